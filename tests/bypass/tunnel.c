// SPDX-License-Identifier: Apache-2.0
/* Packets in packets: the node has a device that takes them out again, and forwards. */
#include <linux/if_ether.h>

#include "bypass.h"

#define INNER_SOURCE "10.97.0.9"

static void inner(struct packet *p)
{
	struct packet one = {0};

	syn4(&one, IMDS4);
	inet_pton(AF_INET, INNER_SOURCE, one.data + 12);
	end_ip4(&one, 0, 0);
	put(p, one.data, one.len);
}

static void inner_frame(struct packet *p)
{
	static const uint8_t macs[] = {2, 0, 0, 0, 0x97, 1, 2, 0, 0, 0, 0x97, 9, 8, 0};

	put(p, macs, sizeof(macs));
	inner(p);
}

static int datagram(const struct packet *p, const char *to, int port)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, to, port, false);
	int fd = socket(ss.ss_family, SOCK_DGRAM, 0), r;

	r = negative(sendto(fd, p->data, p->len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

/* No privilege needed. */
static int vxlan(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_bytes(&p, 8, 8, 0, 0, 0, 0, 0, 7, 0);
	inner_frame(&p);
	return datagram(&p, NODE4, 4789);
}

static int geneve(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_bytes(&p, 8, 0, 0, 0x65, 0x58, 0, 0, 7, 0);
	inner_frame(&p);
	return datagram(&p, NODE4, 6081);
}

static int raw_protocol(int protocol, bool gre)
{
	int fd = socket(AF_INET, SOCK_RAW, protocol), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, NODE4, 0, false);
	struct packet p = {0};

	if (gre)
		put_bytes(&p, 4, 0, 0, ETH_P_IP >> 8, ETH_P_IP & 255);
	if (protocol == IPPROTO_IPV6)
		syn6(&p, IMDS6);
	else
		inner(&p);
	r = negative(sendto(fd, p.data, p.len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

static int ipip(struct row *row)
{
	(void)row;
	return raw_protocol(IPPROTO_IPIP, false);
}

static int gre(struct row *row)
{
	(void)row;
	return raw_protocol(IPPROTO_GRE, true);
}

static int sit(struct row *row)
{
	(void)row;
	return raw_protocol(IPPROTO_IPV6, false);
}

/* The pod's own end of the tunnel, and a route through it. */
static int through_device(struct row *row)
{
	return tcp_to(row, IMDS4, 80, false);
}

static int raw_through_device(struct row *row)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 0, false);
	struct packet p = {0};

	(void)row;
	inner(&p);
	r = negative(sendto(fd, p.data, p.len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

const struct vector tunnel_vectors[] = {
	{"VXLAN datagram of an ordinary socket", vxlan, .setup = "vxlan", .needs = NEEDS_NETFILTER},
	{"VXLAN device in the pod, connect", through_device, .setup = "vxlan", .want = "A",
	 .answers = true},
	{"VXLAN device in the pod, raw", raw_through_device, .setup = "vxlan"},
	{"GENEVE datagram of an ordinary socket", geneve, .setup = "geneve",
	 .needs = NEEDS_NETFILTER},
	{"IPIP packet", ipip, .setup = "ipip", .needs = NEEDS_NETFILTER},
	{"GRE packet", gre, .setup = "gre", .needs = NEEDS_NETFILTER},
	{"SIT packet", sit, .setup = "sit", .needs = NEEDS_NETFILTER},
	{0},
};
