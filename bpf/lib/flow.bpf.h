/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pending connections, called flows. The client's socket announces one when its port and sequence
 * number are known and the SYN has not left (TCP_CONNECT_CB), and the agent's socket claims it when
 * the handshake ends (PASSIVE_ESTABLISHED_CB). In between it is a map entry. Nothing else is read
 * from that map, so an entry that was added or removed late can never name a caller.
 */
#pragma once

#include "copy.bpf.h"
#include "maps.bpf.h"
#include "verdict.bpf.h"

/* A pod may have only so many connections that the agent has not accepted yet, or one pod could
 * fill podcred_flows for all. 0 or the reason to refuse. */
static __always_inline __u32 quota_check(const struct podcred_config *cfg, __u64 pod)
{
	struct podcred_quota *quota, fresh = {};

	quota = bpf_map_lookup_elem(&podcred_quota, &pod);
	if (!quota) {
		bpf_map_update_elem(&podcred_quota, &pod, &fresh, BPF_NOEXIST);
		quota = bpf_map_lookup_elem(&podcred_quota, &pod);
	}
	return podcred_decide_quota(cfg, quota);
}

static __always_inline void quota_add(__u64 pod, __s64 n)
{
	struct podcred_quota *quota = bpf_map_lookup_elem(&podcred_quota, &pod);

	if (quota)
		__sync_fetch_and_add(&quota->pending, n);
}

/* Whoever's delete succeeds took the entry, and only that one may give the quota back. */
static __always_inline int flow_take(void *flows, const struct podcred_flow_key *key, __u64 pod)
{
	if (bpf_map_delete_elem(flows, key))
		return 0;
	quota_add(pod, -1);
	return 1;
}

/*
 * Two sockets produced one key: an attacker with a cloned address, or chance. Neither is stamped.
 * The entry stays, so that it cannot be made again for only one of them while the other's SYN is
 * on its way.
 */
static __always_inline void flow_conflict(const struct podcred_flow_key *key,
					  struct podcred_flow *flow)
{
	struct podcred_flow *first = bpf_map_lookup_elem(&podcred_flows_v2, key);

	flow->conflict_ns = bpf_ktime_get_boot_ns();
	if (first)
		first->conflict_ns = flow->conflict_ns;
	else if (!bpf_map_update_elem(&podcred_flows_v2, key, flow, BPF_NOEXIST))
		quota_add(flow->stamp.pod_cgroup_id, 1); /* the first withdrew just now */
}

/* 0: recorded. Else the reason why the connection cannot be stamped. */
static __always_inline __u32 flow_announce(const struct podcred_flow_key *key,
					   struct podcred_flow *flow)
{
	/* Before Linux 6.4 an inlined map function returns an int, whose upper half is not the sign. */
	int r = (int)bpf_map_update_elem(&podcred_flows_v2, key, flow, BPF_NOEXIST);

	if (r == -EEXIST) {
		flow_conflict(key, flow);
		return PODCRED_REASON_flow_conflict;
	}
	if (r)
		return PODCRED_REASON_flow_map_full;
	quota_add(flow->stamp.pod_cgroup_id, 1);
	return 0;
}

/* The client's socket closed before the agent accepted. */
static __always_inline void flow_withdraw(const struct podcred_flow_key *key, __u64 owner)
{
	struct podcred_flow *flow = bpf_map_lookup_elem(&podcred_flows_v2, key);

	if (flow && flow->owner == owner && !flow->conflict_ns)
		flow_take(&podcred_flows_v2, key, flow->stamp.pod_cgroup_id);
}

/* The agent's side has got the SYN of this flow, and will answer it with this sequence number. Should
 * the entry be recycled under our hands, another flow is refused: the number is not its own. */
static __always_inline void flow_answer(const struct podcred_flow_key *key, __u32 isn)
{
	struct podcred_flow *flow = bpf_map_lookup_elem(&podcred_flows_v2, key);

	if (flow)
		flow->answer = PODCRED_FLOW_ANSWERED | isn;
}

/* The SYN of this flow came out of that interface, from that address. Only its own socket's SYN says so. */
static __always_inline void flow_way(const struct podcred_flow_key *key, __u64 owner,
				     const struct podcred_way *way)
{
	struct podcred_flow *flow = bpf_map_lookup_elem(&podcred_flows_v2, key);

	if (!flow || flow->owner != owner)
		return;
	__builtin_memcpy(flow->way_mac, way->mac, sizeof(flow->way_mac));
	flow->way = PODCRED_FLOW_WAY(way->ifindex, owner);
}

/* Returns what was read, for a second look (copy.bpf.h). A wrong MAC would come to the right interface,
 * and to nobody there. */
static __always_inline __u64 flow_way_copy(const struct podcred_flow *flow, __u64 owner,
					   struct podcred_way *way)
{
	__u64 word = *(const volatile __u64 *)&flow->way;
	__u32 ifindex = (__u32)word;

	way->ifindex = word == PODCRED_FLOW_WAY(ifindex, owner) ? ifindex : 0;
	__builtin_memcpy(way->mac, flow->way_mac, sizeof(way->mac));
	return word;
}

/* 1: *seal is the caller's; the entry is gone and nobody else can claim it. What is looked at here is
 * the same in both layouts, but for the way. */
static __always_inline int flow_claim_from(void *flows, const struct podcred_flow_key *key,
					   struct podcred_seal *seal, int has_way)
{
	struct podcred_flow *flow = bpf_map_lookup_elem(flows, key), *again;
	struct podcred_flow_key same = *key;
	__u64 owner, seen;

	if (!flow || flow->conflict_ns)
		return 0;
	owner = *(volatile __u64 *)&flow->owner;
	seen = owner ^ COPY(&seal->stamp, &flow->stamp);
	if (has_way)
		seen ^= flow_way_copy(flow, owner, &seal->way);
	/* The kernel recycles a withdrawn entry at once: only an entry that is still there, and
	 * still the same, was copied whole. */
	same.isn = (__u32)after(same.isn, seen);
	again = bpf_map_lookup_elem(flows, &same);
	if (!again || again != flow || again->owner != owner)
		return 0;
	return flow_take(flows, key, seal->stamp.pod_cgroup_id);
}

static __always_inline int flow_claim(const struct podcred_flow_key *key, struct podcred_seal *seal)
{
	return flow_claim_from(&podcred_flows_v2, key, seal, 1);
}
