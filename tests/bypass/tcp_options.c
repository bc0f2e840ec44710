// SPDX-License-Identifier: Apache-2.0
/* TCP: options of the socket that choose where packets go, or where from. And MPTCP. */
#include <netinet/tcp.h>

#include "bypass.h"

#define LSRR 131
#define SSRR 137

static int any_port(int fd, const char *host, int port)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, host, port, false);

	return negative(bind(fd, (struct sockaddr *)&ss, len));
}

static int bind_guarded(struct row *row)
{
	(void)row;
	return any_port(socket(AF_INET, SOCK_STREAM, 0), IMDS4, 0);
}

static int foreign_source(struct row *row, int level, int option)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	r = set_int(fd, level, option, 1);
	if (r == 0)
		r = any_port(fd, "10.99.77.77", 0);
	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

static int freebind(struct row *row)
{
	return foreign_source(row, IPPROTO_IP, IP_FREEBIND);
}

static int transparent(struct row *row)
{
	return foreign_source(row, IPPROTO_IP, IP_TRANSPARENT);
}

static int bind_to_device(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	r = negative(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 4));
	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

static int mark(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r = set_int(fd, SOL_SOCKET, SO_MARK, 0x4000);

	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

static int late_port(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	r = set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (r == 0)
		r = any_port(fd, "0.0.0.0", 0);
	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

static int low_source_port(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r = any_port(fd, "0.0.0.0", 80);

	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

/* Both have the same 4-tuple wished for: the second is not to profit from the first. */
static int reuseport_twice(struct row *row)
{
	int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0), r;

	set_int(a, SOL_SOCKET, SO_REUSEPORT, 1);
	set_int(b, SOL_SOCKET, SO_REUSEPORT, 1);
	r = any_port(a, "0.0.0.0", 40999);
	if (r == 0)
		r = any_port(b, "0.0.0.0", 40999);
	if (r == 0)
		r = dial(a, OTHER4, 80, false);
	return r < 0 ? r : dial_and_hear(row, b, IMDS4, 80, false);
}

static int same_port_again(struct row *row)
{
	static const struct linger now = {.l_onoff = 1};
	int fd, r;

	for (int i = 0;; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		r = any_port(fd, "0.0.0.0", 40998);
		if (r < 0 || i)
			break;
		dial(fd, IMDS4, 80, false);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(fd);
	}
	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

/* connect() names the end of the route, the option its first hop: that is where packets go. */
static int source_route(struct row *row, int type, const char *via, const char *to)
{
	uint8_t option[8] = {1, (uint8_t)type, 7, 4};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, via, option + 4);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option)) < 0)
		return -errno;
	return dial_and_hear(row, fd, to, 80, false);
}

static int loose_via_guarded(struct row *row)
{
	return source_route(row, LSRR, IMDS4, OTHER4);
}

static int strict_via_guarded(struct row *row)
{
	return source_route(row, SSRR, IMDS4, OTHER4);
}

static int loose_to_guarded(struct row *row)
{
	return source_route(row, LSRR, NODE4, IMDS4);
}

/* The same for IPv6. The kernel puts the address of connect() into the last place, segment 0. */
static int routing_header(struct row *row, int type, int left, const char *via, const char *to)
{
	uint8_t header[40] = {0, 4, (uint8_t)type, (uint8_t)left, (uint8_t)(type == 4)};
	size_t len = sizeof(header);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (type == 2) { /* one address */
		header[1] = 2;
		len = 24;
		inet_pton(AF_INET6, via, header + 8);
	} else {
		inet_pton(AF_INET6, via, header + (left ? 24 : 8));
	}
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, header, (socklen_t)len) < 0)
		return -errno;
	return dial_and_hear(row, fd, to, 80, false);
}

static int segment_via_guarded(struct row *row)
{
	return routing_header(row, 4, 1, IMDS6, OTHER6);
}

static int last_segment_guarded(struct row *row)
{
	return routing_header(row, 4, 0, IMDS6, OTHER6);
}

static int segment_to_guarded(struct row *row)
{
	return routing_header(row, 4, 1, NODE6, IMDS6);
}

static int type2_via_guarded(struct row *row)
{
	return routing_header(row, 2, 1, IMDS6, OTHER6);
}

static int type0_via_guarded(struct row *row)
{
	return routing_header(row, 0, 1, IMDS6, OTHER6);
}

static int extension(struct row *row, int option)
{
	static const uint8_t padding[8] = {0, 0, 1, 4};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (setsockopt(fd, IPPROTO_IPV6, option, padding, sizeof(padding)) < 0)
		return -errno;
	return dial_and_hear(row, fd, IMDS6, 80, false);
}

static int destination_options(struct row *row)
{
	return extension(row, IPV6_DSTOPTS);
}

static int hop_by_hop(struct row *row)
{
	return extension(row, IPV6_HOPOPTS);
}

/* ---- MPTCP ---- */

static int mptcp_socket(struct row *row, int family, int *ret_fd)
{
	*ret_fd = socket(family, SOCK_STREAM, IPPROTO_MPTCP);
	if (*ret_fd < 0)
		return absent(row, "no MPTCP in this kernel");
	socket_timeouts(*ret_fd);
	return 0;
}

static int mptcp_to(struct row *row, const char *host, bool mapped)
{
	int fd, r = mptcp_socket(row, mapped || strchr(host, ':') ? AF_INET6 : AF_INET, &fd);

	return r < 0 ? r : dial_and_hear(row, fd, host, 80, mapped);
}

static int mptcp4(struct row *row)
{
	return mptcp_to(row, IMDS4, false);
}

static int mptcp_mapped(struct row *row)
{
	return mptcp_to(row, IMDS4, true);
}

static int mptcp6(struct row *row)
{
	return mptcp_to(row, IMDS6, false);
}

static int mptcp_fastopen(struct row *row)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 80, false);
	int fd, r = mptcp_socket(row, AF_INET, &fd);

	if (r < 0)
		return r;
	if (sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&ss, len) < 0 &&
	    errno != EINPROGRESS)
		return errno == EOPNOTSUPP ? absent(row, "no MPTCP with Fast Open in this kernel")
					   : -errno;
	return hear(row, fd);
}

static int mptcp_again(struct row *row)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd, r = mptcp_socket(row, AF_INET, &fd);

	if (r == 0)
		r = dial(fd, OTHER4, 80, false);
	if (r == 0)
		r = negative(connect(fd, &none, sizeof(none)));
	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

const struct vector tcp_option_vectors[] = {
	{"bind(169.254.169.254)", bind_guarded, .without = "EADDRNOTAVAIL"},
	{"IP_FREEBIND, foreign source", freebind, .without = "ENETUNREACH|EINVAL"},
	{"IP_TRANSPARENT, foreign source", transparent},
	{"SO_BINDTODEVICE", bind_to_device, .want = "EACCES", .answers = true},
	{"SO_MARK", mark, .want = "A", .answers = true},
	{"IP_BIND_ADDRESS_NO_PORT", late_port, .want = "A", .answers = true},
	{"source port 80", low_source_port, .want = "A", .answers = true},
	{"two sockets on one port (SO_REUSEPORT)", reuseport_twice, .want = "A", .answers = true},
	{"same source port after a reset", same_port_again, .want = "A", .answers = true},
	/* Before the loose one, whose last words may come late and are counted. */
	{"IP_OPTIONS SSRR, guarded first hop", strict_via_guarded, .setup = "source_route",
	 .without = "D"},
	{"IP_OPTIONS LSRR, guarded first hop", loose_via_guarded, .setup = "source_route"},
	{"IP_OPTIONS LSRR through the node", loose_to_guarded, .setup = "source_route"},
	{"IPV6_RTHDR type 4, guarded first hop", segment_via_guarded},
	{"IPV6_RTHDR type 4, no segments left", last_segment_guarded},
	{"IPV6_RTHDR type 4 through the node", segment_to_guarded, .setup = "segment_routing"},
	{"IPV6_RTHDR type 2, guarded first hop", type2_via_guarded, .without = "EINVAL|R"},
	{"IPV6_RTHDR type 0, guarded first hop", type0_via_guarded, .without = "EINVAL"},
	{"TCP v6 with IPV6_DSTOPTS", destination_options, .want = "A", .answers = true},
	{"TCP v6 with IPV6_HOPOPTS", hop_by_hop, .want = "A", .answers = true},
	{0},
};

const struct vector mptcp_vectors[] = {
	{"MPTCP v4", mptcp4, .want = "A", .answers = true},
	{"MPTCP v4-mapped", mptcp_mapped, .want = "A", .answers = true},
	{"MPTCP v6", mptcp6, .want = "A", .answers = true},
	{"MPTCP MSG_FASTOPEN", mptcp_fastopen, .want = "A", .answers = true},
	{"MPTCP, AF_UNSPEC, from another address", mptcp_again, .want = "A", .answers = true},
	{0},
};
