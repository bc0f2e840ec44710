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

#include "copy.bpf.h"
#include "maps.bpf.h"

#define POD_NONE    PODCRED_POD_NONE
#define POD_UNKNOWN PODCRED_POD_UNKNOWN

/* Kernels before 6.1 keep ids instead of pointers. */
struct cgroup___before61 {
	u64 ancestor_ids[0];
} __attribute__((preserve_access_index));

/* Before 5.15: a pointer, or with a low bit set what net_cls and net_prio of cgroup v1 left there. */
struct sock_cgroup_data___before515 {
	u64 val;
} __attribute__((preserve_access_index));
#define NO_CGROUP_POINTER 3

/* Where the pods are: read once for each decision, as the kernel may note a new kubepods. */
struct pod_tree {
	__u64 kubepods, burstable, besteffort; /* cgroup ids; 0: not there */
	__u32 level; /* of kubepods */
};

static __always_inline struct pod_tree pod_tree_get(const struct podcred_config *cfg)
{
	struct pod_tree tree = {
		.kubepods = runtime_get(PODCRED_RUNTIME_KUBEPODS),
		.burstable = runtime_get(PODCRED_RUNTIME_BURSTABLE),
		.besteffort = runtime_get(PODCRED_RUNTIME_BESTEFFORT),
		.level = cfg->kubepods_level,
	};

	return tree;
}

/* at, first, second: the ancestors at the level of kubepods and at the two below it. */
static __always_inline __u64 pod_at(const struct pod_tree *tree, __u64 at, __u64 first,
				    __u64 second)
{
	__u64 pod = first;

	if (!tree->kubepods || at != tree->kubepods)
		return POD_NONE;
	if (first && (first == tree->burstable || first == tree->besteffort))
		pod = second;
	return pod ?: POD_UNKNOWN;
}

static __always_inline __u64 pod_of_task(const struct pod_tree *tree)
{
	__u32 level = tree->level;

	return pod_at(tree, bpf_get_current_ancestor_cgroup_id(level),
		      bpf_get_current_ancestor_cgroup_id(level + 1),
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

/* NULL: not known. */
static __always_inline struct cgroup *sock_cgroup(struct sock *sk)
{
	struct sock_cgroup_data___before515 *old = (void *)&sk->sk_cgrp_data;
	__u64 val;

	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	val = BPF_CORE_READ(old, val);
	return val & NO_CGROUP_POINTER ? NULL : (struct cgroup *)val;
}

/* Id of the cgroup that a TCP socket was made in; 0: not known. On the way of every redirected
 * connect: the verifier lets a typed pointer be followed without a helper, at a fifth of the price. */
static __always_inline __u64 cgroup_id_of_sock(struct tcp_sock *tp)
{
	struct sock *sk = (struct sock *)tp;
	struct cgroup *cgrp;

	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return sk->sk_cgrp_data.cgroup->kn->id;
	cgrp = sock_cgroup(sk);
	return cgrp ? BPF_CORE_READ(cgrp, kn, id) : 0;
}

static __always_inline __u64 pod_of_cgroup(const struct pod_tree *tree, struct cgroup *cgrp)
{
	__u32 level = tree->level;

	return pod_at(tree, cgroup_ancestor_id(cgrp, level), cgroup_ancestor_id(cgrp, level + 1),
		      cgroup_ancestor_id(cgrp, level + 2));
}

/* The resolver rewrites records while we read: as often as that we look again. */
#define POD_LOOKS 3

/* 1: *flags are this pod's. What lies there may be another pod's by now (copy.bpf.h). The generation
 * is read first: a record that went and came back in between has another one. */
static __always_inline int pod_flags_look(const struct podcred_pod *record, __u64 pod, __u32 *flags)
{
	__u64 generation = *(const volatile __u64 *)&record->generation, id;
	const struct podcred_pod *again;

	*flags = *(const volatile __u32 *)&record->flags;
	id = after(pod, generation ^ *flags);
	again = bpf_map_lookup_elem(&podcred_pods, &id);
	return again && again == record && again->cgroup_id == pod &&
	       again->generation == generation;
}

/* PODCRED_POD_* of a pod; 0 while it has no name. In doubt it is no exempt one, and gets nothing. */
static __always_inline __u32 pod_flags(__u64 pod)
{
	for (int i = 0; i < POD_LOOKS; i++) {
		const struct podcred_pod *record = bpf_map_lookup_elem(&podcred_pods, &pod);
		__u32 flags;

		if (!record)
			return 0;
		if (pod_flags_look(record, pod, &flags))
			return flags;
	}
	count(PODCRED_REASON_name_changing);
	return PODCRED_POD_DENIED;
}
