// SPDX-License-Identifier: Apache-2.0
/* Pods on the node's network, and processes that are in no pod. */
#include "bypass.h"

static int imds4(struct row *row)
{
	return tcp_to(row, IMDS4, 80, false);
}

static int imds4_mapped(struct row *row)
{
	return tcp_to(row, IMDS4, 80, true);
}

static int imds6(struct row *row)
{
	return tcp_to(row, IMDS6, 80, false);
}

static int udp(struct row *row)
{
	return send_and_hear(row, socket(AF_INET, SOCK_DGRAM, 0), IMDS4, 80, false);
}

static int udplite(struct row *row)
{
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);

	return fd < 0 ? absent(row, "no UDP-Lite in this kernel")
		      : send_and_hear(row, fd, IMDS4, 80, false);
}

static int raw_to(int family, int protocol, const struct packet *p, const char *to)
{
	int fd = socket(family, SOCK_RAW, protocol), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, to, 0, false);

	r = negative(sendto(fd, p->data, p->len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

static int raw(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_syn4(&p, IMDS4);
	return raw_to(AF_INET, IPPROTO_TCP, &p, IMDS4);
}

static int two_destinations(struct row *row)
{
	struct packet p = {0};

	(void)row;
	syn4(&p, IMDS4);
	return raw_to(AF_INET, IPPROTO_RAW, &p, OTHER4);
}

static int raw6(struct row *row)
{
	struct packet p = {0};

	(void)row;
	put_syn6(&p, IMDS6);
	return raw_to(AF_INET6, IPPROTO_TCP, &p, IMDS6);
}

static int ping(struct row *row)
{
	static const uint8_t echo[12] = {8, 0, 0, 0, 0, 1, 0, 1, 'p', 'i', 'n', 'g'};
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), r;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 0, false);

	(void)row;
	if (fd < 0)
		return -errno;
	r = negative(sendto(fd, echo, sizeof(echo), 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

static int source_route(struct row *row)
{
	uint8_t option[8] = {1, 131, 7, 4};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, IMDS4, option + 4);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option)) < 0)
		return -errno;
	return dial_and_hear(row, fd, OTHER4, 80, false);
}

static int routing_header(struct row *row)
{
	uint8_t header[40] = {0, 4, 4, 1, 1};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	inet_pton(AF_INET6, IMDS6, header + 24);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, header, sizeof(header)) < 0)
		return -errno;
	return dial_and_hear(row, fd, OTHER6, 80, false);
}

const struct vector host_vectors[] = {
	{"hostNetwork pod, connect v4", imds4, .place = "hostpod", .want = "A", .answers = true},
	{"hostNetwork pod, connect v4-mapped", imds4_mapped, .place = "hostpod", .want = "A",
	 .answers = true},
	{"hostNetwork pod, connect v6", imds6, .place = "hostpod", .want = "A", .answers = true},
	{"hostNetwork pod, UDP sendto", udp, .place = "hostpod", .want = "EACCES", .answers = true},
	{"hostNetwork pod, UDP-Lite", udplite, .place = "hostpod", .answers = true},
	{"hostNetwork pod, ping socket", ping, .place = "hostpod"},
	{"hostNetwork pod, raw TCP", raw, .place = "hostpod"},
	{"hostNetwork pod, raw v6 TCP", raw6, .place = "hostpod"},
	{"hostNetwork pod, IP_HDRINCL, sendto another address", two_destinations,
	 .place = "hostpod"},
	{"hostNetwork pod, IP_OPTIONS LSRR", source_route, .place = "hostpod"},
	{"hostNetwork pod, IPV6_RTHDR type 4", routing_header, .place = "hostpod"},
	{"host process in the pod's network namespace", imds4, .place = "guest", .answers = true,
	 .needs = NEEDS_PACKETS},
	{"host process in the pod's namespace, UDP", udp, .place = "guest", .answers = true,
	 .needs = NEEDS_PACKETS},
	{"host process in the pod's namespace, v6", imds6, .place = "guest", .answers = true,
	 .needs = NEEDS_PACKETS},
	{"host process", imds4, .place = "host", .want = "R", .answers = true,
	 .open = "the node's own services use the real address"},
	{"host process, v6", imds6, .place = "host", .want = "R", .answers = true,
	 .open = "the node's own services use the real address"},
	{"host process, UDP", udp, .place = "host", .want = "R", .answers = true,
	 .open = "the node's own services use the real address"},
	{"the agent itself", imds4, .place = "agent", .want = "R", .answers = true,
	 .open = "the agent asks the real service for its own credentials"},
	{0},
};
