// SPDX-License-Identifier: Apache-2.0
/* Raw IPv6, and its extension headers. */
#include <linux/if_ether.h>
#include <netinet/ip6.h>

#include "bypass.h"

static int send_raw6(int protocol, const struct packet *p, const char *to)
{
	int fd = socket(AF_INET6, SOCK_RAW, protocol), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, to, 0, false);

	if (fd < 0)
		return -errno;
	r = negative(sendto(fd, p->data, p->len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

static int tcp6(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_syn6(&p, IMDS6);
	return send_raw6(IPPROTO_TCP, &p, IMDS6);
}

static int tcp6_sts(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_syn6(&p, STS6);
	return send_raw6(IPPROTO_TCP, &p, STS6);
}

static int connect6(struct row *row)
{
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_TCP), r = dial(fd, IMDS6, 0, false);
	struct packet p = {0};

	(void)row;
	put_syn6(&p, IMDS6);
	if (r == 0)
		r = negative(send(fd, p.data, p.len, 0));
	return r < 0 ? r : 0;
}

static int icmp6(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_bytes(&p, 8, 128, 0, 0, 0, 0, 1, 0, 1);
	return send_raw6(IPPROTO_ICMPV6, &p, IMDS6);
}

/* A raw AF_INET6 socket with a v4-mapped address: whatever the kernel makes of it. */
static int mapped(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_syn4(&p, IMDS4);
	return send_raw6(IPPROTO_TCP, &p, "::ffff:" IMDS4);
}

/* Header of our own, then EXTENSION of the type NEXT, then TCP. TO is the way, or NULL. */
static int extended(int next, const uint8_t *extension, size_t len, const char *daddr,
		    const char *to)
{
	struct packet p = {0};
	size_t start = put_ip6(&p, daddr, len ? next : IPPROTO_TCP);

	put(&p, extension, len);
	put_syn6(&p, IMDS6);
	end_ip6(&p, start);
	return send_raw6(IPPROTO_RAW, &p, to ?: daddr);
}

static int own_header(struct row *row)
{
	(void)row;
	return extended(0, (const uint8_t *)"", 0, IMDS6, NULL);
}

static int two_destinations(struct row *row)
{
	(void)row;
	return extended(0, (const uint8_t *)"", 0, IMDS6, OTHER6);
}

static int hop_by_hop(struct row *row)
{
	static const uint8_t header[8] = {IPPROTO_TCP, 0, 1, 4};

	(void)row;
	return extended(0, header, sizeof(header), IMDS6, NULL);
}

static int destination_options(struct row *row)
{
	static const uint8_t header[8] = {IPPROTO_TCP, 0, 1, 4};

	(void)row;
	return extended(60, header, sizeof(header), IMDS6, NULL);
}

/* More of them than a program would walk. */
static int many_headers(struct row *row)
{
	uint8_t headers[20 * 8] = {0};

	(void)row;
	for (int i = 0; i < 20; i++) {
		headers[i * 8] = i == 19 ? IPPROTO_TCP : 60;
		headers[i * 8 + 2] = 1;
		headers[i * 8 + 3] = 4;
	}
	return extended(60, headers, sizeof(headers), IMDS6, NULL);
}

static int first_fragment(struct row *row)
{
	static const uint8_t header[8] = {IPPROTO_TCP, 0, 0, 1, 0, 0, 0, 9};

	(void)row;
	return extended(44, header, sizeof(header), IMDS6, NULL);
}

static int later_fragment(struct row *row)
{
	static const uint8_t header[8] = {IPPROTO_TCP, 0, 0, 24, 0, 0, 0, 9};

	(void)row;
	return extended(44, header, sizeof(header), IMDS6, NULL);
}

static int no_next_header(struct row *row)
{
	static const uint8_t header[8] = {59, 0, 1, 4};

	(void)row;
	return extended(60, header, sizeof(header), IMDS6, NULL);
}

static int authenticated(struct row *row)
{
	static const uint8_t header[16] = {IPPROTO_TCP, 2};

	(void)row;
	return extended(51, header, sizeof(header), IMDS6, NULL);
}

/* The last segment is the first of the list. Type 4 also lists where the packet is going now. */
static int routing(int type, int left, const char *segment, const char *daddr)
{
	uint8_t header[40] = {IPPROTO_TCP, type == 4 ? 4 : 2, (uint8_t)type, (uint8_t)left};

	header[4] = type == 4;
	inet_pton(AF_INET6, segment, header + 8);
	inet_pton(AF_INET6, daddr, header + 24);
	return extended(43, header, type == 4 ? 40 : 24, daddr, NULL);
}

static int type4_done(struct row *row)
{
	(void)row;
	return routing(4, 0, IMDS6, IMDS6);
}

static int type4_through_node(struct row *row)
{
	(void)row;
	return routing(4, 1, IMDS6, NODE6);
}

static int type2_done(struct row *row)
{
	(void)row;
	return routing(2, 0, OTHER6, IMDS6);
}

static int type2_through_node(struct row *row)
{
	(void)row;
	return routing(2, 1, IMDS6, NODE6);
}

static int type0_through_node(struct row *row)
{
	(void)row;
	return routing(0, 1, IMDS6, NODE6);
}

/* The kernel makes the headers: the first hop is the packet's destination. */
static int segment_option(struct row *row)
{
	uint8_t header[40] = {0, 4, 4, 1, 1};
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_TCP), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, OTHER6, 0, false);
	struct packet p = {0};

	(void)row;
	inet_pton(AF_INET6, IMDS6, header + 24);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, header, sizeof(header)) < 0)
		return -errno;
	put_syn6(&p, OTHER6);
	r = negative(sendto(fd, p.data, p.len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

const struct vector raw6_vectors[] = {
	{"raw v6 TCP, sendto", tcp6, .want = "EPERM"},
	{"raw v6 TCP, sendto STS address", tcp6_sts, .want = "EPERM"},
	{"raw v6 TCP, connect+send", connect6, .want = "EPERM"},
	{"raw v6 ICMPv6", icmp6, .want = "EPERM"},
	{"raw v6, v4-mapped address", mapped, .without = "D|EINVAL|ENETUNREACH|EHOSTUNREACH"},
	{"raw v6, own header", own_header, .want = "EPERM"},
	{"raw v6, own header, sendto another address", two_destinations},
	{"raw v6, hop-by-hop options", hop_by_hop},
	{"raw v6, destination options", destination_options},
	{"raw v6, 20 extension headers", many_headers},
	{"raw v6, first fragment", first_fragment},
	{"raw v6, later fragment", later_fragment},
	{"raw v6, no next header", no_next_header},
	{"raw v6, authentication header", authenticated},
	{"raw v6, routing header type 4, done", type4_done},
	{"raw v6, routing header type 4 through the node", type4_through_node,
	 .setup = "segment_routing"},
	{"raw v6, routing header type 2, done", type2_done},
	{"raw v6, routing header type 2 through the node", type2_through_node, .without = "D|R"},
	{"raw v6, routing header type 0 through the node", type0_through_node, .without = "D"},
	{"raw v6, IPV6_RTHDR type 4, guarded first hop", segment_option},
	{0},
};
