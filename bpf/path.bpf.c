// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tcx, at egress of the node's device that a bridge of pods leads to. podcred_wayout sends the agent's
 * answers to the interface that the connection came out of, past the bridge (way.bpf.h).
 */
#include "way.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Nearly no packet to a pod is. What the node itself sends begins with plain headers, all in one place. */
static __always_inline int is_agents(const struct podcred_config *cfg, struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	const __u8 *head = data + ETH_HLEN;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return head + PACKET_V4 <= data_end && head[9] == IPPROTO_TCP &&
		       is_agents_addr(cfg, head, 12, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return head + PACKET_V6 <= data_end &&
		       (head[6] == IPPROTO_TCP || head[6] == NEXT_HOP_BY_HOP) && /* above 64 KiB */
		       is_agents_addr(cfg, head, 8, 1);
	return 0;
}

static __always_inline int way_of_socket(struct __sk_buff *skb, struct podcred_way *way)
{
	struct bpf_sock *sk = skb->sk;
	const struct podcred_seal *seal;

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	seal = sk ? bpf_sk_storage_get(&podcred_sealed_v2, sk, NULL, 0) : NULL;
	if (seal)
		*way = seal->way;
	return seal != NULL;
}

/* Before the claim: the answer to a SYN acknowledges its number and one more. */
static __always_inline int way_of_flow(const struct segment *s, struct podcred_way *way)
{
	struct podcred_flow_key key = {.client = s->dest,
				       .agent = s->source,
				       .client_port = s->dest_port,
				       .agent_port = s->source_port,
				       .isn = s->acked - 1};
	struct podcred_flow *flow = bpf_map_lookup_elem(&podcred_flows_v2, &key), *again;
	__u64 owner, seen;

	if (!flow)
		return 0;
	owner = *(volatile __u64 *)&flow->owner;
	seen = owner ^ flow_way_copy(flow, owner, way);
	key.isn = (__u32)after(key.isn, seen);
	again = bpf_map_lookup_elem(&podcred_flows_v2, &key);
	return again && again == flow && again->owner == owner;
}

/* The kernel's word after the end, without payload. */
static __always_inline void way_of_tail(const struct segment *s, struct podcred_way *way)
{
	struct podcred_peer_key key = {.client = s->dest,
				       .agent = s->source,
				       .client_port = s->dest_port,
				       .agent_port = s->source_port};
	const struct podcred_way *tail = bpf_map_lookup_elem(&podcred_tails, &key);

	if (tail)
		*way = *tail;
}

/* By the bridge go those whose SYN was not noted: the connection is older than the programs, its
 * interface has none, or nobody knows it. And of those whose interface is gone what has no payload: another
 * pod that has the address now learns so that the agent still has the first one's, and ends it. */
static __noinline int judge_way_out(struct __sk_buff *skb)
{
	const struct podcred_config *cfg = config_get();
	const struct podcred_endpoint *agent;
	struct podcred_way way = {};
	struct segment s = {};

	if (!cfg || !segment_addresses(skb, ETH_HLEN, &s) || s.protocol != IPPROTO_TCP || s.hidden)
		return TCX_NEXT;
	segment_read(skb, &s);
	agent = podcred_agent_at(cfg, &s.source);
	if (!agent || s.source_port != bpf_ntohs(agent->port))
		return TCX_NEXT;
	if (!way_of_socket(skb, &way) && !way_of_flow(&s, &way))
		way_of_tail(&s, &way);
	if (!way.ifindex || (s.bare && way_is_gone(&way)))
		return TCX_NEXT;
	if (bpf_skb_store_bytes(skb, 0, way.mac, MAC_LEN, 0))
		return TCX_DROP;
	return (int)bpf_redirect(way.ifindex, 0);
}

SEC("tc")
int podcred_wayout(struct __sk_buff *skb)
{
	const struct podcred_config *cfg = config_get();

	if (!cfg || !is_agents(cfg, skb))
		return TCX_NEXT;
	return judge_way_out(skb);
}
