/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Nobody else may be on the path between a pod and the agent. Beyond the pod's interface there may
 * be a bridge, and on it a neighbour that poisons ARP or neighbour discovery, or takes over a MAC,
 * to read another pod's connections to the agent, or to answer in its place. So they do not cross
 * the bridge: what a stamped socket sends is put straight into the node's stack, and the answers go
 * to the interface and MAC that its SYN came from. Anything else that comes out of a pod's
 * interface for the agent, or in its name, is dropped.
 */
#pragma once

#include "backstop.bpf.h"
#include "client.bpf.h"
#include "flow.bpf.h"

#define TCX_NEXT (-1)
#define TCX_DROP 2

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_HLEN   14
#define ETH_SOURCE 6 /* where the sender's address is in the header */
#define MAC_LEN	   6

#define TCP_ACK	   8 /* where in its header, and so on */
#define TCP_OFFSET 12
#define TCP_FLAGS  13
#define TCP_SYN	   2

/* The source (at 12 and 8) or destination of an IP header is the agent's, as it lies in the packet: each that
 * comes from a pod, or goes to one, is asked. */
static __always_inline int is_agents_addr(const struct podcred_config *cfg, const __u8 *head,
					  __u32 at, int v6)
{
	const struct podcred_endpoint *agent = &cfg->agent[v6];
	const podcred_word *addr = (const podcred_word *)agent->addr.ip;

	if (!agent->port)
		return 0;
	if (!v6)
		return packet_word(head, at) == addr[3];
	return packet_word(head, at + 12) == addr[3] && packet_word(head, at + 8) == addr[2] &&
	       packet_word(head, at + 4) == addr[1] && packet_word(head, at) == addr[0];
}

/* A TCP packet as far as it matters here. Not by packet_parse, which follows any chain of headers: the
 * verifier would walk it twice for podcred_veth, and there is no stack for both. */
struct segment {
	struct podcred_addr source, dest;
	__u16 source_port, dest_port; /* host byte order */
	__u32 at; /* where the TCP header is */
	__u32 acked;
	__u8 flags;
	__u8 protocol;
	__u8 hidden; /* the TCP header is, or may be, behind what is not read; a later fragment */
	__u8 bare; /* no payload and no SYN */
	__u8 options; /* IPv4: they may name other destinations (packet.bpf.h) */
};

#define SEGMENT_MAX_OPTIONS 3 /* a socket's: hop by hop, and two for the destination */

/* Behind the options that a socket may have, and the kernel writes into what is above 64 KiB. Fragments of
 * what is no TCP packet go to the node rightfully. */
static __always_inline void segment_extensions(struct __sk_buff *skb, struct segment *s)
{
	__u8 extension[2];

	for (int i = 0; i < SEGMENT_MAX_OPTIONS; i++) {
		if (s->protocol != NEXT_HOP_BY_HOP && s->protocol != NEXT_DEST)
			break;
		if (bpf_skb_load_bytes(skb, s->at, extension, sizeof(extension)))
			break;
		s->protocol = extension[0];
		s->at += (extension[1] + 1) * 8;
	}
	s->hidden = is_extension(s->protocol);
	if (s->protocol == NEXT_FRAGMENT && !bpf_skb_load_bytes(skb, s->at, extension, 1)) {
		s->protocol = extension[0];
		s->hidden = extension[0] == IPPROTO_TCP || is_extension(extension[0]);
	}
}

/* The addresses of the IP header at that place, and where the next header is. 0: there is none. */
static __noinline int segment_addresses(struct __sk_buff *skb, __u32 at, struct segment *s)
{
	__u8 head[PACKET_V6] = {};

	if (bpf_skb_load_bytes(skb, at, head, PACKET_V4))
		return 0;
	if (head[0] >> 4 == 4) {
		packet_addr(head, 12, 0, &s->source);
		packet_addr(head, 16, 0, &s->dest);
		s->protocol = head[9];
		s->at = at + (head[0] & 15) * 4;
		s->options = (head[0] & 15) * 4 != PACKET_V4;
		s->hidden = (head[0] & 15) * 4 < PACKET_V4 ||
			    (s->protocol == IPPROTO_TCP && (head[6] & 0x1f || head[7]));
		return 1;
	}
	if (head[0] >> 4 != 6 || bpf_skb_load_bytes(skb, at, head, PACKET_V6))
		return 0;
	packet_addr(head, 8, 1, &s->source);
	packet_addr(head, 24, 1, &s->dest);
	s->protocol = head[6];
	s->at = at + PACKET_V6;
	segment_extensions(skb, s);
	return 1;
}

static __always_inline void segment_read(struct __sk_buff *skb, struct segment *s)
{
	__u8 tcp[PACKET_V4];

	if (bpf_skb_load_bytes(skb, s->at, tcp, sizeof(tcp))) {
		s->hidden = 1;
		return;
	}
	s->source_port = (__u16)(tcp[0] << 8 | tcp[1]);
	s->dest_port = (__u16)(tcp[2] << 8 | tcp[3]);
	s->acked = (__u32)tcp[TCP_ACK] << 24 | tcp[TCP_ACK + 1] << 16 | tcp[TCP_ACK + 2] << 8 |
		   tcp[TCP_ACK + 3];
	s->flags = tcp[TCP_FLAGS];
	s->bare = !(s->flags & TCP_SYN) && skb->len == s->at + (tcp[TCP_OFFSET] >> 4) * 4;
}

/* The interface is no more, or has left the node: who was behind it cannot be told from who has its address
 * now. */
static __always_inline int way_is_gone(const struct podcred_way *way)
{
	return !bpf_map_lookup_elem(&podcred_paths, &way->ifindex);
}
