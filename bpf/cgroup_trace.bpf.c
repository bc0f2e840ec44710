// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tp_btf/cgroup_mkdir and cgroup_rmdir: tell the resolver of a pod's cgroup the moment it is made,
 * before anything runs in it. Only the levels at which pods and QoS cgroups live are reported.
 */
#include "ident.bpf.h"
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Where kubepods itself may be, while it is not there yet. */
#define SEARCH_LEVELS 6

static __always_inline int of_interest(struct cgroup *cgrp)
{
	const struct podcred_config *cfg = config_get();
	__u32 level = (__u32)cgrp->level;

	/* v1 hierarchies fire the same events, with ids that collide with ours. */
	if (!cfg || cgrp->root->hierarchy_id != 0)
		return 0;
	if (!cfg->kubepods_id)
		return level <= SEARCH_LEVELS;
	return level > cfg->kubepods_level && level <= cfg->kubepods_level + 2 &&
	       cgroup_ancestor_id(cgrp, cfg->kubepods_level) == cfg->kubepods_id;
}

static __always_inline void report(struct cgroup *cgrp, const char *path, __u32 op)
{
	struct podcred_cgroup_event *event;

	if (!of_interest(cgrp))
		return;
	event = bpf_ringbuf_reserve(&podcred_cgroups, sizeof(*event), 0);
	if (!event) { /* the resolver sees the counter move and walks the tree */
		count(PODCRED_REASON_cgroup_event_lost);
		return;
	}
	event->cgroup_id = cgrp->kn->id;
	event->time_ns = bpf_ktime_get_ns();
	event->op = op;
	event->level = (__u32)cgrp->level;
	bpf_probe_read_kernel_str(event->path, sizeof(event->path), path);
	bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(podcred_cgmkdir, struct cgroup *cgrp, const char *path)
{
	report(cgrp, path, PODCRED_CGROUP_MKDIR);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(podcred_cgrmdir, struct cgroup *cgrp, const char *path)
{
	report(cgrp, path, PODCRED_CGROUP_RMDIR);
	return 0;
}
