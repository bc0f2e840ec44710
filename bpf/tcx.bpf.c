// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tcx, on interfaces of the node. podcred_veth sees what comes out of a pod's interface, before a
 * CNI may forward it past netfilter; the packet still has its socket, whatever kind that is.
 * podcred_uplink sees frames of packet sockets of hostNetwork pods, which pass no netfilter hook.
 */
#include "backstop.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ETH_P_IP     0x0800
#define ETH_P_IPV6   0x86dd
#define ETH_P_8021Q  0x8100
#define ETH_P_8021AD 0x88a8
#define ETH_HLEN     14
#define ETH_TYPE     12 /* where the type is in the header */
#define VLAN_HLEN    4
#define MAX_TAGS     4

#define TCX_NEXT (-1)
#define TCX_DROP 2

static __always_inline int is_tag(__u16 protocol)
{
	return protocol == ETH_P_8021Q || protocol == ETH_P_8021AD;
}

/* Where the link layer's header ends. On an interface that has none, the packet begins with the
 * network header, and as many bytes can be read from the one as from the other. Not by comparing
 * what is there: who sends a frame may choose addresses that look like an IP header. */
static __always_inline __u32 link_header_size(struct __sk_buff *skb)
{
	__u64 linear = (void *)(long)skb->data_end - (void *)(long)skb->data;
	__u8 last;

	asm volatile("" : "+r"(linear)); /* or clang does bit operations on pointers */
	return bpf_skb_load_bytes_relative(skb, (__u32)linear - 1, &last, sizeof(last),
					   BPF_HDR_START_NET)
		       ? ETH_HLEN
		       : 0;
}

static __always_inline __u16 skip_tags(struct __sk_buff *skb, __u16 protocol, __u32 *at)
{
	for (int i = 0; i < MAX_TAGS && is_tag(protocol); i++) {
		__u8 tag[VLAN_HLEN];

		if (bpf_skb_load_bytes(skb, *at, tag, sizeof(tag)))
			return 0;
		protocol = (__u16)(tag[2] << 8 | tag[3]);
		*at += VLAN_HLEN;
	}
	return protocol;
}

/*
 * Nearly every packet: no tags, no options, and for somebody else. Read in place, behind an Ethernet
 * header. That there is one need not be asked: an IP packet of this type would begin with its version,
 * and whoever addresses a frame so that it seems to is looked at more closely below.
 */
static __always_inline int is_plainly_foreign(const struct podcred_config *cfg,
					      struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return data + ETH_HLEN + PACKET_V4 <= data_end && data[0] >> 4 != 4 &&
		       packet_is_foreign(cfg, data + ETH_HLEN, 0);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return data + ETH_HLEN + PACKET_V6 <= data_end && data[0] >> 4 != 6 &&
		       packet_is_foreign(cfg, data + ETH_HLEN, 1);
	return 0;
}

/* Fills *packet and returns 1 when there is an IP packet at that place, and it is guarded. */
static __always_inline int guarded_at(const struct podcred_config *cfg, struct __sk_buff *skb,
				      __u16 protocol, __u32 at, struct packet *packet)
{
	__u8 head[PACKET_HEAD] = {};
	__u64 min, len;
	int v6;

	protocol = skip_tags(skb, protocol, &at);
	if (is_tag(protocol)) {
		packet->unreadable = 1;
		return 1;
	}
	v6 = protocol == ETH_P_IPV6;
	if (!v6 && protocol != ETH_P_IP)
		return 0;
	min = v6 ? PACKET_V6 : PACKET_V4;
	if (bpf_skb_load_bytes(skb, at, head, min))
		return 0; /* shorter than a header: nobody routes it */
	if (packet_is_foreign(cfg, head, v6))
		return 0;
	len = head_size(skb->len - at);
	if (len < min || bpf_skb_load_bytes(skb, at, head, len))
		packet->unreadable = 1;
	packet_parse(head, (__u32)len, v6, packet);
	return packet_is_guarded(cfg, head, packet);
}

static __always_inline void sender_of(const struct podcred_config *cfg, struct __sk_buff *skb,
				      struct sender *sender)
{
	struct pod_tree tree = pod_tree_get(cfg);

	sender->cgroup_id = bpf_skb_cgroup_id(skb); /* 0: no socket */
	if (!sender->cgroup_id)
		return;
	sender->pod = pod_at(&tree, bpf_skb_ancestor_cgroup_id(skb, tree.level),
			     bpf_skb_ancestor_cgroup_id(skb, tree.level + 1),
			     bpf_skb_ancestor_cgroup_id(skb, tree.level + 2));
	sender->has_socket = sender->pod != POD_NONE;
}

/* A function of its own, as hardly any packet comes so far. */
static __noinline int judge_ingress(struct __sk_buff *skb)
{
	const struct podcred_config *cfg = config_get();
	struct sender sender = {};
	struct packet packet = {};

	/* The type was read off the frame on receipt, and one tag taken off. */
	if (!cfg ||
	    !guarded_at(cfg, skb, bpf_ntohs((__u16)skb->protocol), link_header_size(skb), &packet))
		return TCX_NEXT;
	/* A socket of no pod, in a pod's network: made by the host, or of a process that left. As
	 * netfilter does, which will see no socket at all. */
	sender_of(cfg, skb, &sender);
	return packet_judge(cfg, &packet, &sender, PODCRED_HOOK_ingress) ? TCX_NEXT : TCX_DROP;
}

SEC("tc")
int podcred_veth(struct __sk_buff *skb)
{
	const struct podcred_config *cfg = config_get();

	if (!cfg || is_plainly_foreign(cfg, skb))
		return TCX_NEXT;
	return judge_ingress(skb);
}

static __noinline int judge_uplink(struct __sk_buff *skb)
{
	const struct podcred_config *cfg = config_get();
	__u16 protocol = bpf_ntohs((__u16)skb->protocol);
	struct sender sender = {};
	struct packet packet = {};
	__u8 type[2];
	__u32 at;

	if (!cfg)
		return TCX_NEXT;
	sender_of(cfg, skb, &sender);
	if (!sender.has_socket) /* the host's own */
		return TCX_NEXT;
	at = link_header_size(skb);
	/* A packet socket says of its frame what it likes, so believe the frame. */
	if (at && !bpf_skb_load_bytes(skb, ETH_TYPE, type, sizeof(type)))
		protocol = (__u16)(type[0] << 8 | type[1]);
	if (!guarded_at(cfg, skb, protocol, at, &packet))
		return TCX_NEXT;
	return packet_judge(cfg, &packet, &sender, PODCRED_HOOK_uplink) ? TCX_NEXT : TCX_DROP;
}

SEC("tc")
int podcred_uplink(struct __sk_buff *skb)
{
	if (!skb->sk) /* forwarded: not of a socket of the node, and not our part */
		return TCX_NEXT;
	return judge_uplink(skb);
}
