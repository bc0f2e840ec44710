/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two witnesses for "which pod connects": the cgroup of the task that calls connect(2), and the
 * cgroup that the socket was created in. They differ when a descriptor was passed between pods,
 * when a process moved, or when a kernel worker connects.
 *
 * The pod is the first level below kubepods, or the second where the first is one of the two QoS
 * cgroups. Whatever is nested deeper belongs to that pod.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "podcred_maps.h"

#define POD_NONE    0ULL /* not below kubepods: a process of the host */
#define POD_UNKNOWN (~0ULL) /* below kubepods, but in no pod's cgroup */

/* Kernels before 6.1 keep ids instead of pointers. */
struct cgroup___before61 {
	u64 ancestor_ids[0];
} __attribute__((preserve_access_index));

static __always_inline __u64 pod_at(const struct podcred_config *cfg, __u64 first, __u64 second)
{
	__u64 pod = first;

	if (first && (first == cfg->qos_id[0] || first == cfg->qos_id[1]))
		pod = second;
	return pod ?: POD_UNKNOWN;
}

static __always_inline __u64 pod_of_task(const struct podcred_config *cfg)
{
	__u32 level = cfg->kubepods_level;

	if (!cfg->kubepods_id || bpf_get_current_ancestor_cgroup_id(level) != cfg->kubepods_id)
		return POD_NONE;
	return pod_at(cfg, bpf_get_current_ancestor_cgroup_id(level + 1),
		      bpf_get_current_ancestor_cgroup_id(level + 2));
}

/* Id of the ancestor at a level, 0 when the cgroup is not that deep. */
static __always_inline __u64 cgroup_ancestor_id(struct cgroup *cgrp, __u32 level)
{
	struct cgroup___before61 *old = (void *)cgrp;
	struct cgroup *ancestor = NULL;
	__u64 id = 0;

	if (level > (__u32)BPF_CORE_READ(cgrp, level))
		return 0;
	if (bpf_core_field_exists(cgrp->ancestors)) {
		bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
				      (void *)cgrp + bpf_core_field_offset(cgrp->ancestors) +
					      level * sizeof(ancestor));
		return BPF_CORE_READ(ancestor, kn, id);
	}
	bpf_probe_read_kernel(&id, sizeof(id),
			      (void *)old + bpf_core_field_offset(old->ancestor_ids) +
				      level * sizeof(id));
	return id;
}

static __always_inline struct cgroup *cgroup_of_sock(struct bpf_sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!tp)
		return NULL;
	return BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_cgrp_data.cgroup);
}

static __always_inline __u64 pod_of_cgroup(const struct podcred_config *cfg, struct cgroup *cgrp)
{
	__u32 level = cfg->kubepods_level;

	if (!cfg->kubepods_id || cgroup_ancestor_id(cgrp, level) != cfg->kubepods_id)
		return POD_NONE;
	return pod_at(cfg, cgroup_ancestor_id(cgrp, level + 1),
		      cgroup_ancestor_id(cgrp, level + 2));
}
