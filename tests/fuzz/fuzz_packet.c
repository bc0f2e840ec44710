// SPDX-License-Identifier: Apache-2.0
/* FLAGS: -Itests/fuzz/host -Ibpf/lib */
/*
 * bpf/lib/packet.bpf.h, the very file that the kernel runs, beside a second reader. First byte: IP
 * version; then a packet, of which the header sees what the hooks hand to it.
 */
#include "packet.bpf.h"

#include <arpa/inet.h>

#include "model.h"

static bool names_address(const struct packet *p, const uint8_t *head, const uint8_t want[16])
{
	struct podcred_addr addr;

	if (!memcmp(p->dest.ip, want, 16))
		return true;
	for (uint32_t i = 0; i < p->n_via; i++) {
		packet_addr(head, p->via + i * (p->v6 ? 16 : 4), p->v6, &addr);
		if (!memcmp(addr.ip, want, 16))
			return true;
	}
	return false;
}

/* What may be called unreadable: what a reader without bounds cannot read, what is longer than the
 * bounds, and what no kernel makes. */
static bool may_be_unreadable(const struct model *m)
{
	return m->short_packet || m->malformed || m->odd_route || m->routes > 1 ||
	       m->header_end > PACKET_HEAD - 4 || m->headers >= PACKET_MAX_HEADERS ||
	       m->n > 1 + PACKET_MAX_VIA;
}

static void check_plain(const struct model *m, const struct packet *p, size_t size)
{
	MUST(!memcmp(p->source.ip, m->source, 16) && !memcmp(p->dest.ip, m->addr[0], 16));
	MUST(p->protocol == m->protocol);
	if (p->ports_hidden)
		MUST(m->lacks_ports || m->header_end > PACKET_HEAD - 4);
	else
		MUST(p->source_port == m->source_port && p->dest_port == m->dest_port &&
		     !m->lacks_ports);
	MUST(p->n_via <= PACKET_MAX_VIA && p->via <= PACKET_HEAD);
	MUST(p->via + p->n_via * (p->v6 ? 16u : 4u) <= (size < PACKET_HEAD ? size : PACKET_HEAD));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model m;
	struct packet p = {};
	uint8_t *head;
	size_t len;
	int v6;

	if (!size)
		return 0;
	v6 = *data++ & 1;
	size--;
	head = calloc(1, PACKET_HEAD);
	if (!head)
		abort();
	len = (size_t)head_size(size);
	memcpy(head, data, len);
	packet_parse(head, (__u32)len, v6, &p);
	if (v6)
		model_v6(&m, data, size);
	else
		model_v4(&m, data, size);
	MUST(p.v6 == v6);
	if (!p.unreadable) {
		MUST(!m.short_packet && !m.malformed && !m.odd_route);
		for (size_t i = 0; i < m.n; i++)
			MUST(names_address(&p, head, m.addr[i]));
		check_plain(&m, &p, size);
	} else {
		MUST(may_be_unreadable(&m));
	}
	if (!m.short_packet && packet_is_plain(head, v6))
		MUST(m.n == 1 && !m.routes);
	free(head);
	return 0;
}
