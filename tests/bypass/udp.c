// SPDX-License-Identifier: Apache-2.0
/* Datagrams with an ordinary socket. */
#include <netinet/udp.h>

#include "bypass.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static int udp(int family)
{
	return socket(family, SOCK_DGRAM, 0);
}

/* Connected, then write() alone. */
static int connected(struct row *row, int fd, const char *host, int port, bool mapped)
{
	int r;

	if (fd < 0)
		return -errno;
	r = dial(fd, host, port, mapped);
	if (r == 0 && write(fd, "ping\n", 5) < 0)
		r = -errno;
	set_receive_timeout(fd, wait_ms(WAIT_MS));
	return r < 0 ? r : hear(row, fd);
}

#define CONNECTED(function, family, host, port, mapped)                                            \
	static int function(struct row *row)                                                       \
	{                                                                                          \
		return connected(row, udp(family), host, port, mapped);                            \
	}
#define SENDTO(function, family, host, port, mapped)                                               \
	static int function(struct row *row)                                                       \
	{                                                                                          \
		return send_and_hear(row, udp(family), host, port, mapped);                        \
	}

CONNECTED(connect4, AF_INET, IMDS4, 80, false)
CONNECTED(connect_mapped, AF_INET6, IMDS4, 80, true)
CONNECTED(connect6, AF_INET6, IMDS6, 80, false)
CONNECTED(connect_dns, AF_INET, IMDS4, 53, false)
SENDTO(sendto4, AF_INET, IMDS4, 80, false)
SENDTO(sendto_mapped, AF_INET6, IMDS4, 80, true)
SENDTO(sendto6, AF_INET6, IMDS6, 80, false)
SENDTO(sendto_dns, AF_INET, IMDS4, 53, false)
SENDTO(sendto_ntp, AF_INET, IMDS4, 123, false)
SENDTO(sendto_inet_on_inet6, AF_INET6, IMDS4, 80, false)

static int sendto_unspec(struct row *row)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 80, false);
	int fd = udp(AF_INET);

	ss.ss_family = AF_UNSPEC; /* the kernel takes it for AF_INET */
	socket_timeouts(fd);
	if (sendto(fd, "ping\n", 5, 0, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return hear(row, fd);
}

static int connected_elsewhere(struct row *row)
{
	int fd = udp(AF_INET), r = dial(fd, OTHER4, 80, false);

	return r < 0 ? r : send_and_hear(row, fd, IMDS4, 80, false);
}

static int after_unspec(struct row *row)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd = udp(AF_INET), r = dial(fd, OTHER4, 80, false);

	if (r == 0)
		r = negative(connect(fd, &none, sizeof(none)));
	return r < 0 ? r : send_and_hear(row, fd, IMDS4, 80, false);
}

/* An AF_INET6 socket that becomes an AF_INET one. */
static int address_form(struct row *row)
{
	int fd = udp(AF_INET6), r = dial(fd, OTHER4, 80, true);

	if (r == 0)
		r = set_int(fd, IPPROTO_IPV6, IPV6_ADDRFORM, AF_INET);
	return r < 0 ? r : send_and_hear(row, fd, IMDS4, 80, false);
}

/* A message, with one control message. */
static int message(struct row *row, int fd, const char *host, bool mapped, int level, int type,
		   const void *data, size_t len)
{
	union {
		char space[CMSG_SPACE(64)];
		struct cmsghdr align;
	} control = {0};
	struct sockaddr_storage ss;
	struct iovec iov = {.iov_base = "ping\n", .iov_len = 5};
	struct msghdr msg = {.msg_name = &ss, .msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c = &control.align;

	msg.msg_namelen = address(&ss, host, 80, mapped);
	if (data) {
		c->cmsg_level = level;
		c->cmsg_type = type;
		c->cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(c), data, len);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(len);
	}
	if (sendmsg(fd, &msg, 0) < 0)
		return -errno;
	set_receive_timeout(fd, wait_ms(WAIT_MS));
	return hear(row, fd);
}

static int sendmsg_mapped(struct row *row)
{
	return message(row, udp(AF_INET6), IMDS4, true, 0, 0, NULL, 0);
}

static int sendmsg_pktinfo(struct row *row)
{
	struct in_pktinfo info = {0};

	return message(row, udp(AF_INET), IMDS4, false, IPPROTO_IP, IP_PKTINFO, &info,
		       sizeof(info));
}

static int sendmsg_pktinfo6(struct row *row)
{
	struct in6_pktinfo info = {0};

	return message(row, udp(AF_INET6), IMDS6, false, IPPROTO_IPV6, IPV6_PKTINFO, &info,
		       sizeof(info));
}

/* sendmsg() names the end of the route, the control message its first hop. */
static int sendmsg_source_route(struct row *row)
{
	uint8_t option[8] = {1, 131, 7, 4};

	inet_pton(AF_INET, IMDS4, option + 4);
	return message(row, udp(AF_INET), OTHER4, false, IPPROTO_IP, IP_RETOPTS, option,
		       sizeof(option));
}

static int sendmsg_routing_header(struct row *row)
{
	uint8_t header[40] = {0, 4, 4, 1, 1};

	inet_pton(AF_INET6, IMDS6, header + 24);
	return message(row, udp(AF_INET6), OTHER6, false, IPPROTO_IPV6, IPV6_RTHDR, header,
		       sizeof(header));
}

static int sendmsg_hop_by_hop(struct row *row)
{
	uint8_t padding[8] = {0, 0, 1, 4};

	return message(row, udp(AF_INET6), IMDS6, false, IPPROTO_IPV6, IPV6_HOPOPTS, padding,
		       sizeof(padding));
}

static int source_route_option(struct row *row)
{
	uint8_t option[8] = {1, 131, 7, 4};
	int fd = udp(AF_INET);

	inet_pton(AF_INET, IMDS4, option + 4);
	if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option)) < 0)
		return -errno;
	return connected(row, fd, OTHER4, 80, false);
}

static int sendmmsg_second(struct row *row)
{
	struct sockaddr_storage to[2];
	struct iovec iov = {.iov_base = "ping\n", .iov_len = 5};
	struct mmsghdr msgs[2] = {0};
	int fd = udp(AF_INET), sent;

	for (int i = 0; i < 2; i++) {
		msgs[i].msg_hdr.msg_name = &to[i];
		msgs[i].msg_hdr.msg_namelen = address(&to[i], i ? IMDS4 : OTHER4, 80, false);
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(fd, msgs, 2, 0);
	if (sent == 1) /* the error is kept for the next call */
		sent = sendmmsg(fd, msgs + 1, 1, 0);
	(void)row;
	return sent < 0 ? -errno : 0;
}

static int segments(struct row *row)
{
	char data[64] = "ping\n";
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 80, false);
	int fd = udp(AF_INET);

	if (set_int(fd, IPPROTO_UDP, UDP_SEGMENT, 16) < 0)
		return absent(row, "no UDP_SEGMENT in this kernel");
	if (sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	socket_timeouts(fd);
	return hear(row, fd);
}

/* The first piece says where to; is the second asked again? */
static int corked(struct row *row)
{
	struct sockaddr_storage other, guarded;
	socklen_t len = address(&other, OTHER4, 80, false);
	int fd = udp(AF_INET);

	address(&guarded, IMDS4, 80, false);
	if (sendto(fd, "ping", 4, MSG_MORE, (struct sockaddr *)&guarded, len) < 0)
		return -errno;
	if (sendto(fd, "\n", 1, 0, (struct sockaddr *)&other, len) < 0)
		return -errno;
	socket_timeouts(fd);
	return hear(row, fd);
}

/* An ICMP echo by an unprivileged socket. */
static int ping(struct row *row, int family, bool connect_first)
{
	uint8_t echo[12] = {family == AF_INET ? 8 : 128, 0, 0, 0, 0, 1, 0, 1, 'p', 'i', 'n', 'g'};
	const char *host = family == AF_INET ? IMDS4 : IMDS6;
	int protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	int fd = socket(family, SOCK_DGRAM, protocol);
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, host, 0, false);
	int r;

	if (fd < 0)
		return -errno;
	if (connect_first) {
		r = dial(fd, host, 0, false);
		if (r == 0)
			r = negative(send(fd, echo, sizeof(echo), 0));
	} else {
		r = negative(sendto(fd, echo, sizeof(echo), 0, (struct sockaddr *)&ss, len));
	}
	(void)row;
	return r < 0 ? r : 0;
}

static int ping4(struct row *row)
{
	return ping(row, AF_INET, true);
}

static int ping4_sendto(struct row *row)
{
	return ping(row, AF_INET, false);
}

static int ping6(struct row *row)
{
	return ping(row, AF_INET6, true);
}

static int ping6_sendto(struct row *row)
{
	return ping(row, AF_INET6, false);
}

/* Other ways to write the same IPv4 address. Nobody translates them here. */
static int nat64(struct row *row)
{
	return send_and_hear(row, udp(AF_INET6), "64:ff9b::169.254.169.254", 80, false);
}

static int six_to_four(struct row *row)
{
	return send_and_hear(row, udp(AF_INET6), "2002:a9fe:a9fe::1", 80, false);
}

static int compatible(struct row *row)
{
	return send_and_hear(row, udp(AF_INET6), "::169.254.169.254", 80, false);
}

static int translated(struct row *row)
{
	return send_and_hear(row, udp(AF_INET6), "::ffff:0:169.254.169.254", 80, false);
}

/* ---- UDP-Lite: no hook of connect() or sendmsg() runs for it ---- */

static int lite(struct row *row, int family, const char *host, bool mapped, bool connect_first)
{
	int fd = socket(family, SOCK_DGRAM, IPPROTO_UDPLITE);

	if (fd < 0)
		return absent(row, "no UDP-Lite in this kernel");
	if (connect_first)
		return connected(row, fd, host, 80, mapped);
	return send_and_hear(row, fd, host, 80, mapped);
}

static int lite4(struct row *row)
{
	return lite(row, AF_INET, IMDS4, false, true);
}

static int lite4_sendto(struct row *row)
{
	return lite(row, AF_INET, IMDS4, false, false);
}

static int lite_mapped(struct row *row)
{
	return lite(row, AF_INET6, IMDS4, true, true);
}

static int lite6(struct row *row)
{
	return lite(row, AF_INET6, IMDS6, false, true);
}

static int lite6_sendto(struct row *row)
{
	return lite(row, AF_INET6, IMDS6, false, false);
}

#define NO_ROUTE "ENETUNREACH|EHOSTUNREACH|D|EINVAL|EACCES"

const struct vector udp_vectors[] = {
	{"UDP connect+send v4", connect4, .want = "EACCES", .answers = true},
	{"UDP connect+send v4-mapped", connect_mapped, .want = "EACCES", .answers = true},
	{"UDP connect+send v6", connect6, .want = "EACCES", .answers = true},
	{"UDP connect+send, port 53", connect_dns, .want = "EACCES", .answers = true},
	{"UDP sendto v4", sendto4, .want = "EACCES", .answers = true},
	{"UDP sendto v4-mapped", sendto_mapped, .want = "EACCES", .answers = true},
	{"UDP sendto v6", sendto6, .want = "EACCES", .answers = true},
	{"UDP sendto, port 53", sendto_dns, .want = "EACCES", .answers = true},
	{"UDP sendto, port 123", sendto_ntp, .want = "EACCES", .answers = true},
	{"UDP sendto, AF_INET address on AF_INET6", sendto_inet_on_inet6, .want = "EACCES",
	 .answers = true},
	{"UDP sendto, AF_UNSPEC address", sendto_unspec, .want = "EACCES", .answers = true},
	{"UDP connected elsewhere, sendto", connected_elsewhere, .want = "EACCES"},
	{"UDP connected, AF_UNSPEC, sendto", after_unspec, .want = "EACCES", .answers = true},
	{"UDP IPV6_ADDRFORM, then sendto", address_form, .want = "EACCES"},
	{"UDP sendmsg v4-mapped", sendmsg_mapped, .want = "EACCES", .answers = true},
	{"UDP sendmsg with IP_PKTINFO", sendmsg_pktinfo, .want = "EACCES", .answers = true},
	{"UDP sendmsg with IPV6_PKTINFO", sendmsg_pktinfo6, .want = "EACCES", .answers = true},
	{"UDP sendmsg with IPV6_HOPOPTS", sendmsg_hop_by_hop, .want = "EACCES", .answers = true},
	{"UDP sendmsg, IP_RETOPTS LSRR", sendmsg_source_route, .setup = "source_route"},
	{"UDP sendmsg, IPV6_RTHDR type 4", sendmsg_routing_header, .without = "EINVAL|R"},
	{"UDP connect, IP_OPTIONS LSRR", source_route_option, .setup = "source_route"},
	{"UDP sendmmsg, second message", sendmmsg_second, .want = "EACCES"},
	{"UDP_SEGMENT", segments, .want = "EACCES", .answers = true},
	{"UDP MSG_MORE, second address allowed", corked, .want = "EACCES", .answers = true},
	{"ICMP ping socket v4, connect+send", ping4, .want = "EACCES"},
	{"ICMP ping socket v4, sendto", ping4_sendto},
	/* the hooks of connect(2) are not asked for ping sockets before Linux 6.1 */
	{"ICMP ping socket v6, connect+send", ping6, .without = "R|D", .want = "EACCES|D"},
	{"ICMP ping socket v6, sendto", ping6_sendto},
	{"NAT64 form of the address", nat64, .without = NO_ROUTE},
	{"6to4 form of the address", six_to_four, .without = NO_ROUTE},
	{"IPv4-compatible form of the address", compatible, .without = NO_ROUTE},
	{"IPv4-translated form of the address", translated, .without = NO_ROUTE},
	{0},
};

const struct vector udplite_vectors[] = {
	{"UDP-Lite connect+send v4", lite4, .answers = true},
	{"UDP-Lite sendto v4", lite4_sendto, .answers = true},
	{"UDP-Lite connect+send v4-mapped", lite_mapped, .answers = true},
	{"UDP-Lite connect+send v6", lite6, .answers = true},
	{"UDP-Lite sendto v6", lite6_sendto, .answers = true},
	{0},
};
