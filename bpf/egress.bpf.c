// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup_skb/egress, on the guarded cgroup: packets that pods' sockets send, in the pods' own
 * network. It returns EPERM where netfilter could only drop the packet, and it sees pods whose
 * packets never enter the node's network stack (macvlan, SR-IOV). It does not see packet sockets.
 */
#include "backstop.bpf.h"
#include "client.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

static __always_inline void sender_of(const struct podcred_config *cfg, struct __sk_buff *skb,
				      struct sender *sender)
{
	struct pod_tree tree = pod_tree_get(cfg);

	sender->has_socket = 1; /* or this hook would not run */
	sender->cgroup_id = bpf_skb_cgroup_id(skb);
	sender->pod = pod_at(&tree, bpf_skb_ancestor_cgroup_id(skb, tree.level),
			     bpf_skb_ancestor_cgroup_id(skb, tree.level + 1),
			     bpf_skb_ancestor_cgroup_id(skb, tree.level + 2));
}

/* A function of its own, as hardly any packet comes so far. */
static __noinline int judge_egress(struct __sk_buff *skb, int v6)
{
	const struct podcred_config *cfg = config_get();
	__u64 min = v6 ? PACKET_V6 : PACKET_V4, len = head_size(skb->len);
	struct sender sender = {};
	struct packet packet = {};
	__u8 head[PACKET_HEAD] = {};

	if (!cfg)
		return PACKET_PASS;
	if (len < min || bpf_skb_load_bytes(skb, 0, head, len))
		len = 0;
	packet_parse(head, (__u32)len, v6, &packet);
	if (!packet_is_guarded(cfg, head, &packet))
		return PACKET_PASS;
	sender_of(cfg, skb, &sender);
	if (sender_may(cfg, &sender) || packet_is_noted(&packet, &sender, INTERFACE_NONE))
		return PACKET_PASS;
	return packet_refuse(cfg, &packet, &sender, PODCRED_HOOK_egress);
}

static __always_inline int backstop(struct __sk_buff *skb, int v6)
{
	const struct podcred_config *cfg = config_get();
	const __u8 *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;

	if (!cfg)
		return PACKET_PASS;
	if (data + (v6 ? PACKET_V6 : PACKET_V4) <= data_end && packet_is_foreign(cfg, data, v6))
		return PACKET_PASS;
	return judge_egress(skb, v6);
}

SEC("cgroup_skb/egress")
int podcred_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (skb->mark == SEVERED_MARK)
		return PACKET_DROP;
	/* Data in the SYN: the kernel then sends it without, and the data behind the handshake. */
	if (sk && sk->state == BPF_TCP_SYN_SENT && is_unproved_data(skb, sk, SYN_COUNTS))
		return PACKET_DROP;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return backstop(skb, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return backstop(skb, 1);
	return PACKET_PASS;
}
