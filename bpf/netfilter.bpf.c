// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * netfilter POST_ROUTING, in the node's network namespace: the backstop. Everything that leaves the
 * node passes here as an IP packet, with its final destination. It was either forwarded from a
 * pod's network (raw and packet sockets, address translation, a socket created elsewhere), or sent
 * by a socket of the node's own network, which may be a hostNetwork pod's.
 */
#include "backstop.bpf.h"
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak; /* 6.2, as netfilter */

/* Set by the loader: podcred_veth and podcred_uplink are loaded. */
const volatile __u8 have_tc __weak = 0;

/* Not full sockets: they have no cgroup of their own. */
#define TCP_TIME_WAIT	 6
#define TCP_NEW_SYN_RECV 12

static __always_inline void sender_of(const struct podcred_config *cfg, struct sk_buff *skb,
				      struct sender *sender)
{
	struct sock *sk = skb->sk;
	struct pod_tree tree;
	struct cgroup *cgrp;
	__u8 state;

	if (!sk)
		return;
	state = BPF_CORE_READ(sk, __sk_common.skc_state);
	if (state == TCP_NEW_SYN_RECV) /* answers for its listener */
		sk = BPF_CORE_READ(sk, __sk_common.skc_listener);
	if (state == TCP_TIME_WAIT) {
		/* Of the node's own network, where nobody had a connection without being let through.
		 * All that it says is an acknowledgement. */
		sender->has_socket = 1;
		return;
	}
	cgrp = sock_cgroup(sk);
	if (!cgrp)
		return;
	tree = pod_tree_get(cfg);
	sender->has_socket = 1;
	sender->cgroup_id = BPF_CORE_READ(cgrp, kn, id);
	sender->pod = pod_of_cgroup(&tree, cgrp);
}

/* The linear part: what the stack has pulled there to route it. Beyond it nothing is read, and
 * what would have to be read is refused. */
static __always_inline __u32 head_load(struct sk_buff *skb, __u8 *head)
{
	__u64 len = head_size(skb->len - skb->data_len);

	if (!len || bpf_probe_read_kernel(head, len, skb->head + skb->network_header))
		return 0;
	return (__u32)len;
}

/* Of a socket: whose it is. Forwarded: what podcred_veth let pass, where it is in use. */
static __always_inline int may_leave(const struct podcred_config *cfg, const __u8 *head,
				     const struct packet *packet, const struct sender *sender)
{
	if (!sender->has_socket)
		return have_tc ? forwarded_may(cfg, head, packet, sender)
			       : packet_is_noted(packet, sender, INTERFACE_ANY);
	if (!sender_may(cfg, sender) && !packet_is_noted(packet, sender, INTERFACE_NONE))
		return 0;
	/* A switch in software may make a packet of its own of it, without a socket. */
	ticket_issue(head, packet);
	return 1;
}

/* A function of its own, as hardly any packet comes so far. */
static __noinline int judge_postrouting(struct bpf_nf_ctx *ctx, int v6)
{
	const struct podcred_config *cfg = config_get();
	struct sk_buff *skb = ctx->skb;
	struct sender sender = {};
	struct packet packet = {};
	__u8 head[PACKET_HEAD] = {};
	__u32 len;

	if (!cfg)
		return PACKET_PASS;
	len = head_load(skb, head);
	packet_parse(head, len, v6, &packet);
	if (!packet_is_guarded(cfg, head, &packet))
		return PACKET_PASS;
	sender_of(cfg, skb, &sender);
	if (may_leave(cfg, head, &packet, &sender))
		return PACKET_PASS;
	return packet_refuse(cfg, &packet, &sender, PODCRED_HOOK_postrouting);
}

static __always_inline int backstop(struct bpf_nf_ctx *ctx, int v6)
{
	const struct podcred_config *cfg = config_get();
	struct sk_buff *skb = ctx->skb;
	const __u8 *head;

	if (!cfg)
		return PACKET_PASS;
	/* Typed, it can be read without a helper. What routed the packet has read this far. */
	head = bpf_rdonly_cast(skb->head + skb->network_header,
			       v6 ? bpf_core_type_id_kernel(struct ipv6hdr)
				  : bpf_core_type_id_kernel(struct iphdr));
	if (packet_is_foreign(cfg, head, v6))
		return PACKET_PASS;
	return judge_postrouting(ctx, v6);
}

SEC("netfilter")
int podcred_post4(struct bpf_nf_ctx *ctx)
{
	return backstop(ctx, 0);
}

SEC("netfilter")
int podcred_post6(struct bpf_nf_ctx *ctx)
{
	return backstop(ctx, 1);
}
