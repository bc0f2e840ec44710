// SPDX-License-Identifier: Apache-2.0
/* Raw sockets: CAP_NET_RAW, which containers have by default. */
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>

#include "bypass.h"

#define MORE_FRAGMENTS 0x2000

/* TO may be another address than the one in the packet: it then only says which way. */
static int send_raw(int family, int protocol, const struct packet *p, const char *to)
{
	int fd = socket(family, SOCK_RAW, protocol), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, to, 0, false);

	if (fd < 0)
		return -errno;
	r = negative(sendto(fd, p->data, p->len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

/* ---- the kernel makes the IP header ---- */

static int tcp4(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_syn4(&p, IMDS4);
	return send_raw(AF_INET, IPPROTO_TCP, &p, IMDS4);
}

static int tcp4_sts(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_syn4(&p, STS4);
	return send_raw(AF_INET, IPPROTO_TCP, &p, STS4);
}

static int connect4(struct row *row)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_TCP), r = dial(fd, IMDS4, 0, false);
	struct packet p = {0};

	(void)row;
	put_syn4(&p, IMDS4);
	if (r == 0)
		r = negative(send(fd, p.data, p.len, 0));
	return r < 0 ? r : 0;
}

static int protocol4(int protocol)
{
	struct packet p = {0};

	put_udp(&p, 80, "ping\n", 5);
	return send_raw(AF_INET, protocol, &p, IMDS4);
}

static int udp4(struct row *row)
{
	(void)row;
	return protocol4(IPPROTO_UDP);
}

static int icmp4(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_bytes(&p, 8, 8, 0, 0xf7, 0xfd, 0, 1, 0, 1);
	return send_raw(AF_INET, IPPROTO_ICMP, &p, IMDS4);
}

static int sctp4(struct row *row)
{
	(void)row;
	return protocol4(IPPROTO_SCTP);
}

static int unknown4(struct row *row)
{
	(void)row;
	return protocol4(253);
}

static int source_route(struct row *row)
{
	uint8_t option[8] = {1, 131, 7, 4};
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP), r;
	struct packet p = {0};
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, OTHER4, 0, false);

	(void)row;
	inet_pton(AF_INET, IMDS4, option + 4);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option)) < 0)
		return -errno;
	put_udp(&p, 80, "ping\n", 5);
	r = negative(sendto(fd, p.data, p.len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

/* ---- IP_HDRINCL ---- */

static int own_header(struct row *row)
{
	struct packet p = {0};

	(void)row;
	syn4(&p, IMDS4);
	return send_raw(AF_INET, IPPROTO_RAW, &p, IMDS4);
}

static int two_destinations(struct row *row)
{
	struct packet p = {0};

	(void)row;
	syn4(&p, IMDS4);
	return send_raw(AF_INET, IPPROTO_RAW, &p, OTHER4);
}

static int timestamp_option(struct row *row)
{
	static const uint8_t option[8] = {68, 8, 5, 0};
	struct packet p = {0};
	size_t start = put_ip4(&p, IMDS4, IPPROTO_TCP, option, sizeof(option));

	(void)row;
	put_syn4(&p, IMDS4);
	end_ip4(&p, start, 0);
	return send_raw(AF_INET, IPPROTO_RAW, &p, IMDS4);
}

static int longest_header(struct row *row)
{
	static const uint8_t options[40] = {[0 ... 38] = 1};
	struct packet p = {0};
	size_t start = put_ip4(&p, IMDS4, IPPROTO_TCP, options, sizeof(options));

	(void)row;
	put_syn4(&p, IMDS4);
	end_ip4(&p, start, 0);
	return send_raw(AF_INET, IPPROTO_RAW, &p, IMDS4);
}

static int first_fragment(struct row *row)
{
	struct packet p = {0};
	size_t start = put_ip4(&p, IMDS4, IPPROTO_TCP, NULL, 0);

	(void)row;
	put_syn4(&p, IMDS4);
	put_bytes(&p, 4, 0, 0, 0, 0);
	end_ip4(&p, start, MORE_FRAGMENTS);
	return send_raw(AF_INET, IPPROTO_RAW, &p, IMDS4);
}

static int later_fragment(struct row *row)
{
	struct packet p = {0};
	size_t start = put_ip4(&p, IMDS4, IPPROTO_TCP, NULL, 0);

	(void)row;
	put_bytes(&p, 8, 1, 2, 3, 4, 5, 6, 7, 8);
	end_ip4(&p, start, 3);
	return send_raw(AF_INET, IPPROTO_RAW, &p, IMDS4);
}

/* The ports are in the first, the rest of the TCP header in the second. */
static int tiny_fragments(struct row *row)
{
	struct packet whole = {0};
	int r = 0;

	(void)row;
	put_syn4(&whole, IMDS4);
	for (size_t at = 0; r == 0 && at < whole.len; at += 8) {
		size_t len = whole.len - at < 8 ? whole.len - at : 8;
		struct packet p = {0};
		size_t start = put_ip4(&p, IMDS4, IPPROTO_TCP, NULL, 0);

		((struct iphdr *)(p.data + start))->id = htons(77);
		put(&p, whole.data + at, len);
		end_ip4(&p, start, (uint16_t)(at / 8 | (at + len < whole.len ? 0x2000 : 0)));
		r = send_raw(AF_INET, IPPROTO_RAW, &p, IMDS4);
	}
	return r;
}

static int foreign_source(struct row *row)
{
	struct packet p = {0};

	(void)row;
	syn4(&p, IMDS4);
	inet_pton(AF_INET, "10.99.77.78", p.data + 12);
	end_ip4(&p, 0, 0);
	return send_raw(AF_INET, IPPROTO_RAW, &p, IMDS4);
}

/* The node is the destination, and the option says where next. */
static int route_through_node(struct row *row)
{
	uint8_t option[8] = {1, 131, 7, 4};
	struct packet p = {0};
	size_t start;

	(void)row;
	inet_pton(AF_INET, IMDS4, option + 4);
	start = put_ip4(&p, NODE4, IPPROTO_TCP, option, sizeof(option));
	put_syn4(&p, IMDS4);
	end_ip4(&p, start, 0);
	return send_raw(AF_INET, IPPROTO_RAW, &p, NODE4);
}

/* ---- somebody else is made to answer to the guarded address ---- */

static int echo_from_guarded(const char *to)
{
	struct packet p = {0};
	size_t start = put_ip4(&p, to, IPPROTO_ICMP, NULL, 0);
	int r;

	put_bytes(&p, 8, 8, 0, 0xf7, 0xfd, 0, 1, 0, 1);
	inet_pton(AF_INET, IMDS4, p.data + 12);
	end_ip4(&p, start, 0);
	r = send_raw(AF_INET, IPPROTO_RAW, &p, to);
	usleep(20000);
	return r;
}

static int node_answers(struct row *row)
{
	(void)row;
	return echo_from_guarded(NODE4);
}

static int pod_answers(struct row *row)
{
	(void)row;
	return echo_from_guarded(setting("BYPASS_OTHER_IP"));
}

/* A SYN that claims to come from there, to a listener of this pod. */
static int listener_answers(struct row *row)
{
	const char *own = setting("BYPASS_OWN_IP");
	int listener = socket(AF_INET, SOCK_STREAM, 0), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, "0.0.0.0", 8080, false);
	struct packet p = {0};

	(void)row;
	if (bind(listener, (struct sockaddr *)&ss, len) < 0 || listen(listener, 1) < 0)
		return -errno;
	syn4_from_to(&p, IMDS4, own, 8080);
	r = send_raw(AF_INET, IPPROTO_RAW, &p, own);
	usleep(20000);
	return r;
}

const struct vector raw_vectors[] = {
	{"raw TCP, sendto", tcp4, .want = "EPERM"},
	{"raw TCP, sendto STS address", tcp4_sts, .want = "EPERM"},
	{"raw TCP, connect+send", connect4, .want = "EPERM"},
	{"raw UDP", udp4, .want = "EPERM"},
	{"raw ICMP", icmp4, .want = "EPERM"},
	{"raw SCTP packet", sctp4, .want = "EPERM"},
	{"raw, protocol 253", unknown4, .want = "EPERM"},
	{"raw with IP_OPTIONS LSRR, guarded first hop", source_route, .setup = "source_route"},
	{"IP_HDRINCL", own_header, .want = "EPERM"},
	{"IP_HDRINCL, sendto another address", two_destinations},
	{"IP_HDRINCL with a timestamp option", timestamp_option},
	{"IP_HDRINCL with 40 bytes of options", longest_header},
	{"IP_HDRINCL, first fragment", first_fragment},
	{"IP_HDRINCL, later fragment", later_fragment},
	{"IP_HDRINCL, ports and flags in two fragments", tiny_fragments},
	{"IP_HDRINCL, foreign source", foreign_source},
	{"IP_HDRINCL LSRR through the node", route_through_node, .setup = "source_route"},
	{"forged source, another pod answers", pod_answers, .needs = NEEDS_PACKETS},
	{"forged source, a listener of the pod answers", listener_answers},
	{"forged source, the node answers", node_answers,
	 .open = "the node itself answers, and the pod does not control the contents; rp_filter, "
		 "which this suite switches off, stops the request"},
	{0},
};
