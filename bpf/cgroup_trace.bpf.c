// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tp_btf/cgroup_mkdir and cgroup_rmdir: report a pod's cgroup to the resolver the moment it is
 * created, before anything runs in it. Only the levels at which pods and QoS cgroups live are
 * reported.
 */
#include "ident.bpf.h"
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Where kubepods itself may be, while it is not there yet. */
#define SEARCH_LEVELS 6

static __always_inline int of_interest(const struct podcred_config *cfg, struct cgroup *cgrp)
{
	__u64 kubepods = runtime_get(PODCRED_RUNTIME_KUBEPODS);
	__u32 level = (__u32)cgrp->level;

	if (!kubepods)
		return level <= SEARCH_LEVELS;
	return level > cfg->kubepods_level && level <= cfg->kubepods_level + 2 &&
	       cgroup_ancestor_id(cgrp, cfg->kubepods_level) == kubepods;
}

static __always_inline int same_text(const char *a, const char *b, __u32 size)
{
	for (__u32 i = 0; i < size; i++) {
		if (a[i] != b[i])
			return 0;
		if (!a[i])
			return 1;
	}
	return 0;
}

/*
 * kubepods, or a QoS cgroup in it, was removed and is created again: know it from the first moment,
 * also while no process of ours runs. The hooks on the old one died with it; until the resolver
 * has attached them again, the packet filter drops. 1: it is kubepods.
 */
static __always_inline int learn(const struct podcred_config *cfg, struct cgroup *cgrp,
				 const char *path)
{
	__u32 level = (__u32)cgrp->level;
	char text[PODCRED_CONFIG_PATH_LEN];

	if (level == cfg->kubepods_level) {
		bpf_probe_read_kernel_str(text, sizeof(text), path);
		if (!same_text(text, cfg->kubepods_path, sizeof(text)))
			return 0;
		runtime_set(PODCRED_RUNTIME_BURSTABLE, 0);
		runtime_set(PODCRED_RUNTIME_BESTEFFORT, 0);
		runtime_set(PODCRED_RUNTIME_KUBEPODS, cgrp->kn->id);
		return 1;
	} else if (level == cfg->kubepods_level + 1 &&
		   cgroup_ancestor_id(cgrp, cfg->kubepods_level) ==
			   runtime_get(PODCRED_RUNTIME_KUBEPODS)) {
		bpf_probe_read_kernel_str(text, PODCRED_QOS_NAME_LEN, cgrp->kn->name);
		if (same_text(text, cfg->qos_name[0], PODCRED_QOS_NAME_LEN))
			runtime_set(PODCRED_RUNTIME_BURSTABLE, cgrp->kn->id);
		else if (same_text(text, cfg->qos_name[1], PODCRED_QOS_NAME_LEN))
			runtime_set(PODCRED_RUNTIME_BESTEFFORT, cgrp->kn->id);
	}
	return 0;
}

static __always_inline void announce(struct cgroup *cgrp, const char *path, __u32 op)
{
	const struct podcred_config *cfg = config_get();
	struct podcred_cgroup_event *event;
	int kubepods = 0;

	/* v1 hierarchies fire the same events, with ids that collide with ours. */
	if (!cfg || cgrp->root->hierarchy_id != 0)
		return;
	if (op == PODCRED_CGROUP_MKDIR)
		kubepods = learn(cfg, cgrp, path);
	if (!kubepods && !of_interest(cfg, cgrp))
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
	announce(cgrp, path, PODCRED_CGROUP_MKDIR);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(podcred_cgrmdir, struct cgroup *cgrp, const char *path)
{
	announce(cgrp, path, PODCRED_CGROUP_RMDIR);
	return 0;
}
