// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup_skb/egress, on the guarded cgroup: packets of pods' sockets, in the pods' own network. It
 * answers with EPERM what netfilter could only drop, and it sees pods whose packets never come to
 * the node's network stack (macvlan, SR-IOV). It does not see packet sockets.
 */
#include "backstop.bpf.h"
#include "client.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

#define TCP_DATA_OFFSET 12 /* where the header says how long it is */

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

/*
 * Data in the SYN, of a connection that has yet to prove that it arrives (arrival.bpf.h). The kernel then
 * sends the SYN without, and the data behind the handshake. By the socket, not by the destination: address
 * translation comes before this hook. Behind options and extension headers the kernel knows where the TCP
 * header is.
 */
static __noinline int is_unproved_data(struct __sk_buff *skb)
{
	struct sk_buff *kernel_skb = (void *)skb;
	struct bpf_sock *sk = skb->sk;
	struct podcred_client *client;
	__u32 at;
	__u8 size;

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	client = sk ? client_of(sk) : NULL;
	if (!client || !client->prove)
		return 0;
	at = (__u16)(BPF_CORE_READ(kernel_skb, transport_header) -
		     BPF_CORE_READ(kernel_skb, network_header));
	if (bpf_skb_load_bytes(skb, at + TCP_DATA_OFFSET, &size, sizeof(size)))
		return 1;
	return skb->len > at + (size >> 4) * 4;
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
	if (sk && sk->state == BPF_TCP_SYN_SENT && is_unproved_data(skb))
		return PACKET_DROP;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return backstop(skb, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return backstop(skb, 1);
	return PACKET_PASS;
}
