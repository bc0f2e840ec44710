/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second reader of IP packets, for comparison: plain C over the whole packet, without the bounds
 * that the verifier asks of bpf/lib/packet.bpf.h. It collects every address that a host or router
 * could take for a next destination.
 */
#pragma once

#include <netinet/ip.h>
#include <netinet/ip6.h>

#include "fuzz.h"

#define MODEL_ADDRS 2048

struct model {
	uint8_t addr[MODEL_ADDRS][16]; /* the destination first, IPv4 as ::ffff:a.b.c.d */
	size_t n;
	uint8_t source[16];
	unsigned protocol, headers, routes;
	size_t header_end; /* how far headers were read */
	bool short_packet; /* no whole first header */
	bool malformed; /* lengths that do not fit */
	bool odd_route; /* of a type with addresses in another form, or longer than its header */
	bool has_ports, lacks_ports;
	uint16_t source_port, dest_port;
};

static inline void model_add(struct model *m, const uint8_t *at, size_t size)
{
	uint8_t *addr = m->addr[m->n++];

	MUST(m->n < MODEL_ADDRS);
	memset(addr, 0, 16);
	if (size == 4)
		addr[10] = addr[11] = 0xff;
	memcpy(addr + 16 - size, at, size);
}

static inline void model_ports(struct model *m, const uint8_t *p, size_t len, size_t at)
{
	static const uint8_t protocols[] = {6, 17, 136, 132, 33};

	if (!memchr(protocols, (int)m->protocol, sizeof(protocols)))
		return;
	m->has_ports = len >= at + 4;
	m->lacks_ports = !m->has_ports;
	if (m->lacks_ports)
		return;
	m->source_port = (uint16_t)(p[at] * 256 + p[at + 1]);
	m->dest_port = (uint16_t)(p[at + 2] * 256 + p[at + 3]);
}

/* RFC 791: type, length, pointer, addresses. */
static inline void model_options(struct model *m, const uint8_t *o, size_t len)
{
	for (size_t at = 0; at < len && o[at] != IPOPT_EOL;) {
		size_t size = 1;

		if (o[at] != IPOPT_NOP) {
			if (at + 1 >= len || o[at + 1] < 2 || at + o[at + 1] > len) {
				m->malformed = true;
				return;
			}
			size = o[at + 1];
		}
		if ((o[at] == IPOPT_LSRR || o[at] == IPOPT_SSRR) && size > 3) {
			m->routes++;
			for (size_t i = 3; i + 4 <= size; i += 4)
				model_add(m, o + at + i, 4);
		}
		at += size;
	}
}

static inline void model_v4(struct model *m, const uint8_t *p, size_t len)
{
	struct iphdr ip;
	size_t head;

	memset(m, 0, sizeof(*m));
	if (len < sizeof(ip)) {
		m->short_packet = true;
		return;
	}
	memcpy(&ip, p, sizeof(ip));
	head = ip.ihl * 4u;
	m->header_end = head;
	model_add(m, p + 16, 4);
	m->source[10] = m->source[11] = 0xff;
	memcpy(m->source + 12, p + 12, 4);
	m->protocol = ip.protocol;
	if (head < sizeof(ip) || head > len) {
		m->malformed = true;
		return;
	}
	model_options(m, p + sizeof(ip), head - sizeof(ip));
	if (!(ntohs(ip.frag_off) & IP_OFFMASK))
		model_ports(m, p, len, head);
}

static inline void model_route(struct model *m, const uint8_t *h, size_t left)
{
	size_t count = h[1] / 2;

	m->routes++;
	if (h[2] != 0 && h[2] != 2 && h[2] != 4) {
		m->odd_route = true;
		return;
	}
	for (size_t i = 0; i < count && 8 + i * 16 + 16 <= left; i++)
		model_add(m, h + 8 + i * 16, 16);
}

/* RFC 8200, and 4302 for the authentication header, which counts in words. */
static inline void model_v6(struct model *m, const uint8_t *p, size_t len)
{
	size_t at = sizeof(struct ip6_hdr);
	unsigned next;

	memset(m, 0, sizeof(*m));
	if (len < at) {
		m->short_packet = true;
		return;
	}
	model_add(m, p + 24, 16);
	memcpy(m->source, p + 8, 16);
	for (next = p[6];; m->headers++) {
		size_t size;

		m->protocol = next;
		m->header_end = at;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_AH && next != IPPROTO_DSTOPTS) {
			model_ports(m, p, len, at);
			return;
		}
		if (len < at + 8) {
			m->malformed = true;
			return;
		}
		size = next == IPPROTO_FRAGMENT ? 8
		       : next == IPPROTO_AH	? p[at + 1] * 4u + 8
						: p[at + 1] * 8u + 8;
		if (next == IPPROTO_ROUTING)
			model_route(m, p + at, len - at);
		m->header_end = at + size;
		if (next == IPPROTO_FRAGMENT && (p[at + 2] || p[at + 3] & 0xf8)) {
			m->protocol = p[at];
			m->headers++;
			return;
		}
		if (len < at + size) {
			m->malformed = true;
			return;
		}
		next = p[at];
		at += size;
	}
}
