// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tcx, on interfaces of the node. podcred_veth sees what comes out of a pod's interface, before a
 * CNI may forward it past netfilter; the packet still has its socket, whatever kind that is.
 * podcred_uplink sees what leaves the node, however it got there: frames of packet sockets of
 * hostNetwork pods, of pods whose interface is on top of the uplink (macvlan), and what was
 * forwarded below netfilter from an interface that has no program yet.
 */
#include "way_in.bpf.h"
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ETH_P_8021Q  0x8100
#define ETH_P_8021AD 0x88a8
#define ETH_TYPE     12 /* where the type is in the header */
#define ARPHRD_ETHER 1
#define VLAN_HLEN    4
#define MAX_TAGS     4

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

/* Neither guarded, nor the agent's, nor in its name. */
static __always_inline int packet_is_elsewhere(const struct podcred_config *cfg, const __u8 *head,
					       int v6)
{
	return packet_is_foreign(cfg, head, v6) && !is_agents_addr(cfg, head, v6 ? 24 : 16, v6) &&
	       !is_agents_addr(cfg, head, v6 ? 8 : 12, v6);
}

static __always_inline __u16 version_to_type(__u8 first)
{
	return first >> 4 == 4 ? ETH_P_IP : first >> 4 == 6 ? ETH_P_IPV6 : 0;
}

static __always_inline int is_elsewhere_at(const struct podcred_config *cfg, const __u8 *head,
					   const __u8 *end, __u16 type)
{
	if (type == ETH_P_IP)
		return head + PACKET_V4 <= end && packet_is_elsewhere(cfg, head, 0);
	return type == ETH_P_IPV6 && head + PACKET_V6 <= end && packet_is_elsewhere(cfg, head, 1);
}

/*
 * Nearly every packet: no tags, no options, and for somebody else. Read in place, behind an Ethernet
 * header. Whether there is one need be asked only where an IP packet of this type could begin: the
 * Ethernet addresses of an eighth of all machines do so, too. A function of its own, as its stack is
 * needed there.
 */
static __noinline int is_plainly_foreign(struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct podcred_config *cfg = config_get();
	__u16 type = bpf_ntohs((__u16)skb->protocol);

	if (!cfg)
		return 1;
	if (data + ETH_HLEN > end)
		return 0;
	if (version_to_type(data[0]) == type && !link_header_size(skb))
		return is_elsewhere_at(cfg, data, end, type);
	return is_elsewhere_at(cfg, data + ETH_HLEN, end, type);
}

/* Fills *head and *packet and returns 1 when there is an IP packet at that place, and it is guarded. */
static __always_inline int guarded_at(const struct podcred_config *cfg, struct __sk_buff *skb,
				      __u16 protocol, __u32 at, __u8 *head, struct packet *packet)
{
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

/* A function of its own, as hardly any packet comes so far; global, so that the verifier looks at it once. */
__noinline int judge_ingress(struct __sk_buff *skb)
{
	const struct podcred_config *cfg = config_get();
	__u8 head[PACKET_HEAD] = {};
	struct sender sender = {};
	struct packet packet = {};

	/* The type was read off the frame on receipt, and one tag taken off. */
	if (!cfg || !guarded_at(cfg, skb, bpf_ntohs((__u16)skb->protocol), link_header_size(skb),
				head, &packet))
		return TCX_NEXT;
	/* A socket of no pod, in a pod's network: made by the host, or of a process that left, or the
	 * kernel's own, for a reset. As netfilter does, which will see no socket at all. */
	sender_of(cfg, skb, &sender);
	if (packet_is_noted(&packet, &sender, skb->ifindex) || sender_may(cfg, &sender)) {
		ticket_issue(head, &packet);
		return TCX_NEXT;
	}
	return packet_refuse(cfg, &packet, &sender, PODCRED_HOOK_ingress) ? TCX_NEXT : TCX_DROP;
}

/* Where the IP header is; AT_NONE: there is none, or not within reach. */
#define AT_NONE (~0U)
static __noinline __u32 ip_at(struct __sk_buff *skb)
{
	__u32 at = link_header_size(skb);
	__u16 protocol = skip_tags(skb, bpf_ntohs((__u16)skb->protocol), &at);

	return protocol == ETH_P_IP || protocol == ETH_P_IPV6 ? at : AT_NONE;
}

SEC("tc")
int podcred_veth(struct __sk_buff *skb)
{
	int verdict;
	__u32 at;

	if (is_plainly_foreign(skb))
		return TCX_NEXT;
	at = ip_at(skb);
	verdict = at == AT_NONE ? TCX_NEXT : judge_way_in(skb, at);
	if (verdict == WAY_CARRY)
		return carry_in(skb);
	if (verdict == TCX_DROP)
		return TCX_DROP;
	if (judge_ingress(skb) != TCX_NEXT)
		return TCX_DROP;
	return verdict == WAY_ASK ? carry_in(skb) : TCX_NEXT;
}

/* ---- uplink ---- */

/* A field of the kernel's own struct, which the context stands for. */
#define SKB_READ(skb, field)                                                                       \
	({                                                                                         \
		typeof(((struct sk_buff *)0)->field) value_ = 0;                                   \
		bpf_probe_read_kernel(&value_, sizeof(value_),                                     \
				      (void *)(skb) +                                              \
					      bpf_core_field_offset(struct sk_buff, field));       \
		value_;                                                                            \
	})

static __always_inline int is_ethernet(struct net_device *dev)
{
	return BPF_CORE_READ(dev, type) == ARPHRD_ETHER;
}

static __always_inline int is_foreign_at(const struct podcred_config *cfg, const __u8 *head,
					 const __u8 *end, __u16 type)
{
	if (type == ETH_P_IP)
		return head + PACKET_V4 <= end && packet_is_foreign(cfg, head, 0);
	return type == ETH_P_IPV6 && head + PACKET_V6 <= end && packet_is_foreign(cfg, head, 1);
}

/*
 * As is_plainly_foreign, where the packet's own word for its type (skb->protocol) is worth nothing:
 * whoever sends by a packet socket chooses it. So by the frame. When it begins as an IP packet does, the
 * device says what it is. A frame that is neither an Ethernet frame nor a packet without a link header
 * is looked at more closely.
 */
static __noinline int frame_is_plainly_foreign(const struct podcred_config *cfg,
					       struct __sk_buff *skb)
{
	const __u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct net_device *dev;
	__u16 bare;

	if (data + ETH_HLEN > end)
		return 0;
	bare = version_to_type(data[0]);
	dev = bare ? SKB_READ(skb, dev) : NULL;
	if (bare && !is_ethernet(dev))
		return !BPF_CORE_READ(dev, hard_header_len) && is_foreign_at(cfg, data, end, bare);
	return is_foreign_at(cfg, data + ETH_HLEN, end,
			     (__u16)(data[ETH_TYPE] << 8 | data[ETH_TYPE + 1]));
}

/* What the frame is, by the device that sends it, and where the IP packet begins: with an Ethernet
 * header that says so, else by the version that it begins with, behind whatever link header. */
static __always_inline __u16 frame_type(struct __sk_buff *skb, __u32 *at)
{
	struct net_device *dev = SKB_READ(skb, dev);
	__u8 type[2] = {};

	if (is_ethernet(dev)) {
		*at = ETH_HLEN;
		bpf_skb_load_bytes(skb, ETH_TYPE, type, sizeof(type));
		return (__u16)(type[0] << 8 | type[1]);
	}
	*at = BPF_CORE_READ(dev, header_ops) ? BPF_CORE_READ(dev, hard_header_len) : 0;
	bpf_skb_load_bytes(skb, *at, type, 1);
	return version_to_type(type[0]);
}

/* Of a process of the node, or of the kernel there; not in a pod's network, from where frames come
 * by here with their socket when the pod's interface sits on this one. */
static __always_inline int is_nodes_own(struct __sk_buff *skb, const struct sender *sender)
{
	struct net_device *dev = SKB_READ(skb, dev);
	struct sock *sk = SKB_READ(skb, sk);

	return sender->cgroup_id && !sender->has_socket &&
	       BPF_CORE_READ(sk, __sk_common.skc_net.net) == BPF_CORE_READ(dev, nd_net.net);
}

static __noinline int judge_uplink(struct __sk_buff *skb)
{
	const struct podcred_config *cfg = config_get();
	__u8 head[PACKET_HEAD] = {};
	struct sender sender = {};
	struct packet packet = {};
	__u16 type;
	__u32 at;

	if (!cfg)
		return TCX_NEXT;
	type = frame_type(skb, &at);
	if (!guarded_at(cfg, skb, type, at, head, &packet))
		return TCX_NEXT;
	sender_of(cfg, skb, &sender);
	if (sender.has_socket
		    ? sender_may(cfg, &sender) || packet_is_noted(&packet, &sender, INTERFACE_NONE)
		    : is_nodes_own(skb, &sender))
		return TCX_NEXT;
	if (forwarded_may(cfg, head, &packet, &sender))
		return TCX_NEXT;
	return packet_refuse(cfg, &packet, &sender, PODCRED_HOOK_uplink) ? TCX_NEXT : TCX_DROP;
}

SEC("tc")
int podcred_uplink(struct __sk_buff *skb)
{
	const struct podcred_config *cfg = config_get();

	if (!cfg || frame_is_plainly_foreign(cfg, skb))
		return TCX_NEXT;
	return judge_uplink(skb);
}
