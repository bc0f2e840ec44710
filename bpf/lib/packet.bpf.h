/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The head of an IP packet -> where it goes. The result is its destination address, whatever the
 * protocol, and every other address that a source route or a routing header names. Pure: bytes in,
 * struct out.
 */
#pragma once

#include "addr.bpf.h"

#define PACKET_HEAD 128 /* bytes looked at; a packet whose headers are longer is unreadable */
#define PACKET_V4   20 /* what every packet of the family has */
#define PACKET_V6   40

#define PACKET_MAX_V4	   64 /* a power of two above the longest IPv4 header */
#define PACKET_MAX_OPTIONS 40
#define PACKET_MAX_HEADERS 8
#define PACKET_MAX_VIA	   9

#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING	43
#define NEXT_FRAGMENT	44
#define NEXT_AUTH	51
#define NEXT_DEST	60

#define OPTION_END   0
#define OPTION_NOP   1
#define OPTION_LSRR  131
#define OPTION_SSRR  137
#define ROUTE_TYPE_0 0
#define ROUTE_TYPE_2 2
#define ROUTE_TYPE_4 4 /* segment routing */

struct packet {
	struct podcred_addr source, dest;
	__u16 source_port, dest_port; /* host byte order; 0 when the packet shows none */
	__u8 protocol;
	__u8 v6;
	__u8 unreadable; /* may name addresses that could not be read */
	__u8 ports_hidden; /* the protocol has ports, but behind what could be read */
	__u8 segment; /* where the TCP header is; 0: there is none, or not here */
	__u8 n_via; /* addresses of a route, one after another in the head */
	__u32 via; /* where */
};

/* How much of a packet to look at. In 64 bits and opaque to clang, which otherwise checks one copy
 * of the value and hands another to the helper. */
static __always_inline __u64 head_size(__u64 len)
{
	asm volatile("" : "+r"(len));
	return len > PACKET_HEAD ? PACKET_HEAD : len;
}

/*
 * The mask is assembly, or clang moves it away from the access, or drops it where another mask does.
 * The verifier of Linux 6.12 then has no bounds: it loses those of a value when it learns something
 * of another that it was added to. (Tests compile this for the host, too.)
 */
static __always_inline __u8 packet_byte(const __u8 *head, __u32 at)
{
	__u64 index = at;

#ifdef __bpf__
	asm volatile("%0 &= %1" : "+r"(index) : "i"(PACKET_HEAD - 1));
#else
	index &= PACKET_HEAD - 1;
#endif
	return head[index];
}

static __always_inline __u32 packet_word(const __u8 *head, __u32 at)
{
	__u32 word;

	if (at > PACKET_HEAD - sizeof(word))
		return 0;
	__builtin_memcpy(&word, head + at, sizeof(word));
	return word;
}

static __always_inline void packet_addr(const __u8 *head, __u32 at, int v6,
					struct podcred_addr *addr)
{
	if (v6)
		addr_set_words(addr, packet_word(head, at), packet_word(head, at + 4),
			       packet_word(head, at + 8), packet_word(head, at + 12));
	else
		addr_set_v4(addr, packet_word(head, at));
}

static __always_inline int is_extension(__u8 next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT ||
	       next == NEXT_AUTH || next == NEXT_DEST;
}

/* No options, no extension headers: nothing but the destination address matters. */
static __always_inline int packet_is_plain(const __u8 *head, int v6)
{
	return v6 ? !is_extension(head[6]) : (head[0] & 15) == PACKET_V4 / 4;
}

static __always_inline void packet_ports(const __u8 *head, __u32 len, __u32 at, struct packet *p)
{
	switch (p->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		if (at + 4 > len) {
			p->ports_hidden = 1;
			return;
		}
		if (p->protocol == IPPROTO_TCP)
			p->segment = (__u8)at;
		p->source_port = packet_byte(head, at) << 8 | packet_byte(head, at + 1);
		p->dest_port = packet_byte(head, at + 2) << 8 | packet_byte(head, at + 3);
	}
}

/* A second route in one packet is nothing that a kernel makes. */
static __always_inline void packet_route(struct packet *p, __u32 at, __u32 n, __u32 size, __u32 len)
{
	if (p->n_via || n > PACKET_MAX_VIA || at + n * size > len)
		p->unreadable = 1;
	else
		p->n_via = (__u8)n;
	p->via = at;
}

/* Positions are masked each time: then the verifier sees the same state after every round. */
static __always_inline void packet_options(const __u8 *head, __u32 end, struct packet *p)
{
	__u32 at = PACKET_V4;

	for (int i = 0; i < PACKET_MAX_OPTIONS; i++) {
		__u8 type, size = 1;

		if (at >= end)
			return;
		type = packet_byte(head, at);
		if (type == OPTION_END)
			return;
		if (type != OPTION_NOP)
			size = packet_byte(head, at + 1);
		if (size < 1 + (type != OPTION_NOP) || at + size > end) {
			p->unreadable = 1;
			return;
		}
		if ((type == OPTION_LSRR || type == OPTION_SSRR) && size > 3)
			packet_route(p, at + 3, (size - 3) / 4, 4, end);
		at = (at + size) & (PACKET_MAX_V4 - 1);
	}
}

static __always_inline void packet_parse_v4(const __u8 *head, __u32 len, struct packet *p)
{
	__u32 end = (head[0] & 15) * 4;

	if (len < PACKET_V4 || end < PACKET_V4 || end > len) {
		p->unreadable = 1;
		return;
	}
	packet_addr(head, 12, 0, &p->source);
	packet_addr(head, 16, 0, &p->dest);
	p->protocol = head[9];
	if (end > PACKET_V4)
		packet_options(head, end, p);
	if (!((head[6] & 0x1f) | head[7])) /* later fragments have no ports */
		packet_ports(head, len, end, p);
}

static __always_inline void packet_routing(const __u8 *head, __u32 len, __u32 at, struct packet *p)
{
	__u8 type = packet_byte(head, at + 2), words = packet_byte(head, at + 1);

	if (type != ROUTE_TYPE_0 && type != ROUTE_TYPE_2 && type != ROUTE_TYPE_4)
		p->unreadable = 1;
	else
		packet_route(p, at + 8, words / 2, 16, len);
}

static __always_inline __u32 extension_size(const __u8 *head, __u32 at, __u8 type)
{
	__u32 units = packet_byte(head, at + 1);

	if (type == NEXT_FRAGMENT)
		return 8;
	return type == NEXT_AUTH ? (units + 2) * 4 : (units + 1) * 8;
}

static __always_inline int is_later_fragment(const __u8 *head, __u32 at)
{
	return packet_byte(head, at + 2) | (packet_byte(head, at + 3) & 0xf8);
}

static __always_inline void packet_parse_v6(const __u8 *head, __u32 len, struct packet *p)
{
	__u32 at = PACKET_V6;
	__u8 next = head[6];

	if (len < PACKET_V6) {
		p->unreadable = 1;
		return;
	}
	packet_addr(head, 8, 1, &p->source);
	packet_addr(head, 24, 1, &p->dest);
	for (int i = 0; i < PACKET_MAX_HEADERS; i++) {
		__u32 size;

		p->protocol = next;
		if (!is_extension(next)) {
			packet_ports(head, len, at, p);
			return;
		}
		if (at + 8 > len)
			break;
		size = extension_size(head, at, next);
		if (next == NEXT_FRAGMENT && is_later_fragment(head, at)) {
			p->protocol = packet_byte(head, at);
			return; /* the rest is no header */
		}
		if (next == NEXT_ROUTING)
			packet_routing(head, len, at, p);
		if (at + size > len)
			break;
		next = packet_byte(head, at);
		at = (at + size) & (2 * PACKET_HEAD - 1);
	}
	p->unreadable = 1;
}

/* head: PACKET_HEAD bytes from the IP header on, of which len are the packet's. */
static __always_inline void packet_parse(const __u8 *head, __u32 len, int v6, struct packet *p)
{
	p->v6 = (__u8)v6;
	if (v6)
		packet_parse_v6(head, len, p);
	else
		packet_parse_v4(head, len, p);
}
