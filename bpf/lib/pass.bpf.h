/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections to the real address that connect(2) let through. One is noted by its socket before the SYN
 * leaves (TCP_CONNECT_CB), and counted on its pod until it ends. Then it moves to podcred_ended, for the
 * reset or acknowledgement that its pod's kernel may still have to send.
 */
#pragma once

#include "copy.bpf.h"
#include "maps.bpf.h"
#include "verdict.bpf.h"

/* Or one pod could fill podcred_passes_v3 for all. 0 or the reason to refuse. */
static __always_inline __u32 pass_quota_check(__u64 pod)
{
	struct podcred_pass_quota *quota, fresh = {};

	quota = bpf_map_lookup_elem(&podcred_pass_quota, &pod);
	if (!quota) {
		bpf_map_update_elem(&podcred_pass_quota, &pod, &fresh, BPF_NOEXIST);
		quota = bpf_map_lookup_elem(&podcred_pass_quota, &pod);
	}
	return podcred_decide_pass_quota(quota);
}

static __always_inline void pass_count(__u64 pod, __s64 n)
{
	struct podcred_pass_quota *quota = bpf_map_lookup_elem(&podcred_pass_quota, &pod);

	if (quota)
		__sync_fetch_and_add(&quota->open, n);
}

/* Who was first keeps it, or a pod with borrowed addresses could take the note of another's. In a pod's
 * own hands (it may have several network namespaces) it goes to the last. */
static __always_inline __u32 pass_take_over(const struct podcred_peer_key *key,
					    const struct podcred_pass *pass)
{
	const struct podcred_pass *first = bpf_map_lookup_elem(&podcred_passes_v3, key);

	if (!first || first->pod_cgroup_id != pass->pod_cgroup_id)
		return PODCRED_REASON_pass_conflict;
	return bpf_map_update_elem(&podcred_passes_v3, key, pass, BPF_EXIST)
		       ? PODCRED_REASON_pass_conflict
		       : 0;
}

/* 0: noted. Else the reason why not. */
static __always_inline __u32 pass_note(const struct podcred_peer_key *key,
				       const struct podcred_pass *pass)
{
	int r = (int)bpf_map_update_elem(&podcred_passes_v3, key, pass,
					 BPF_NOEXIST); /* see flow_announce */

	if (r == -EEXIST)
		return pass_take_over(key, pass);
	if (r)
		return PODCRED_REASON_pass_map_full;
	pass_count(pass->pod_cgroup_id, 1);
	return 0;
}

/* Whether the pod may have one more in podcred_ended: it must not push out those of others. On several
 * CPUs it may be some more. */
static __always_inline int pass_has_grace(__u64 pod, __u64 now)
{
	struct podcred_pass_quota *quota = bpf_map_lookup_elem(&podcred_pass_quota, &pod);

	if (!quota)
		return 0;
	if (now - quota->since_ns >= PODCRED_PASS_GRACE_NS) {
		quota->since_ns = now;
		quota->ended = 0;
	}
	if (quota->ended >= PODCRED_ENDED_PER_POD)
		return 0;
	__sync_fetch_and_add(&quota->ended, 1);
	return 1;
}

/* In this order: at every moment one of the two maps has it. */
static __always_inline void pass_end(const struct podcred_peer_key *key, __u64 owner)
{
	struct podcred_pass *pass = bpf_map_lookup_elem(&podcred_passes_v3, key), ended;

	if (!pass || pass->owner != owner)
		return;
	ended = *pass;
	ended.closed_ns = bpf_ktime_get_boot_ns();
	if (pass_has_grace(ended.pod_cgroup_id, ended.closed_ns))
		bpf_map_update_elem(&podcred_ended, key, &ended, BPF_ANY);
	if (!bpf_map_delete_elem(&podcred_passes_v3, key))
		pass_count(ended.pod_cgroup_id, -1);
}

/* A copy, as the memory may be recycled for another connection while we read (copy.bpf.h). Returns the
 * entry itself; NULL: it is not there, or changes just now. */
static __always_inline struct podcred_pass *pass_find(void *passes,
						      const struct podcred_peer_key *key,
						      struct podcred_pass *copy)
{
	struct podcred_pass *pass = bpf_map_lookup_elem(passes, key), *again;
	struct podcred_peer_key same = *key;
	__u64 seen;

	if (!pass)
		return NULL;
	seen = COPY(copy, pass);
	same.client_port = (__u16)after(same.client_port, seen);
	again = bpf_map_lookup_elem(passes, &same);
	return again && again == pass && again->owner == copy->owner ? again : NULL;
}
