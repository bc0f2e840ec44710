// SPDX-License-Identifier: Apache-2.0
/* Sockets that are older than podcred: made, connected or in use before it was loaded. */
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/sendfile.h>

#include "bypass.h"

static int keep(struct row *row, int fd)
{
	row->fd = fd;
	return fd < 0 ? -errno : 0;
}

static int make_tcp4(struct row *row)
{
	return keep(row, socket(AF_INET, SOCK_STREAM, 0));
}

static int make_tcp6(struct row *row)
{
	return keep(row, socket(AF_INET6, SOCK_STREAM, 0));
}

static int connect4(struct row *row)
{
	return dial_and_hear(row, row->fd, IMDS4, 80, false);
}

static int connect_mapped(struct row *row)
{
	return dial_and_hear(row, row->fd, IMDS4, 80, true);
}

static int connect6(struct row *row)
{
	return dial_and_hear(row, row->fd, IMDS6, 80, false);
}

static int establish(struct row *row, int fd, const char *host)
{
	int r;

	keep(row, fd);
	r = dial(fd, host, 80, false);
	if (r == 0 && hear(row, fd) != 1)
		r = -EPROTO;
	row->line[0] = '\0';
	return r;
}

static int establish4(struct row *row)
{
	return establish(row, socket(AF_INET, SOCK_STREAM, 0), IMDS4);
}

static int establish6(struct row *row)
{
	return establish(row, socket(AF_INET6, SOCK_STREAM, 0), IMDS6);
}

static int establish_mptcp(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	return fd < 0 ? absent(row, "no MPTCP in this kernel") : establish(row, fd, IMDS4);
}

static int use(struct row *row)
{
	int r = negative(send(row->fd, "more", 4, MSG_NOSIGNAL));

	usleep(WAIT_MS * 1000);
	return r < 0 ? r : 0;
}

/* To the same socket's end, and to the address anew. */
static int reconnect(struct row *row)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int r = negative(connect(row->fd, &none, sizeof(none)));

	return r < 0 ? r : connect4(row);
}

static int connect_udp(struct row *row, int family, int protocol, const char *host, bool mapped)
{
	int fd = socket(family, SOCK_DGRAM, protocol);

	if (fd < 0)
		return absent(row, "no such protocol in this kernel");
	keep(row, fd);
	return dial(fd, host, 80, mapped);
}

static int udp4(struct row *row)
{
	return connect_udp(row, AF_INET, 0, IMDS4, false);
}

static int udp_mapped(struct row *row)
{
	return connect_udp(row, AF_INET6, 0, IMDS4, true);
}

static int udp6(struct row *row)
{
	return connect_udp(row, AF_INET6, 0, IMDS6, false);
}

static int udplite(struct row *row)
{
	return connect_udp(row, AF_INET, IPPROTO_UDPLITE, IMDS4, false);
}

static int send_hear(struct row *row)
{
	int r = negative(send(row->fd, "ping\n", 5, 0));

	return r < 0 ? r : hear(row, row->fd);
}

static int by_sendfile(struct row *row)
{
	int file = open("/etc/hostname", O_RDONLY | O_CLOEXEC), r;

	if (file < 0)
		file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	r = negative(sendfile(row->fd, file, NULL, 4));
	return r < 0 ? r : hear(row, row->fd);
}

static int by_splice(struct row *row)
{
	int ends[2], r;

	if (pipe(ends) < 0 || write(ends[1], "ping\n", 5) != 5)
		return -errno;
	r = negative(splice(ends[0], NULL, row->fd, NULL, 5, 0));
	return r < 0 ? r : hear(row, row->fd);
}

static int make_raw(struct row *row)
{
	return keep(row, socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
}

static int send_raw(struct row *row)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 0, false);
	struct packet p = {0};
	int r;

	syn4(&p, IMDS4);
	r = negative(sendto(row->fd, p.data, p.len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

static int make_packet(struct row *row)
{
	return keep(row, socket(AF_PACKET, SOCK_RAW, 0));
}

static int send_packet(struct row *row)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	struct packet p = {0};
	int r;

	to.sll_ifindex = (int)if_nametoindex(row->device);
	put_ether(&p, row, ETH_P_IP);
	syn4(&p, IMDS4);
	r = negative(sendto(row->fd, p.data, p.len, 0, (struct sockaddr *)&to, sizeof(to)));
	return r < 0 ? r : 0;
}

const struct vector older_vectors[] = {
	{"older socket, connect v4", connect4, make_tcp4, .want = "A", .answers = true},
	{"older socket, connect v4-mapped", connect_mapped, make_tcp6, .want = "A",
	 .answers = true},
	{"older socket, connect v6", connect6, make_tcp6, .want = "A", .answers = true},
	{"TCP established before, v4", use, establish4, .want = "D|ECONNABORTED"},
	{"TCP established before, v6", use, establish6, .want = "D|ECONNABORTED"},
	{"MPTCP established before", use, establish_mptcp, .want = "D|ECONNABORTED|EPIPE"},
	{"TCP established before, AF_UNSPEC, connect", reconnect, establish4, .want = "A",
	 .answers = true},
	{"UDP connected before, v4", send_hear, udp4, .want = "EPERM|EDESTADDRREQ",
	 .answers = true},
	{"UDP connected before, v4-mapped", send_hear, udp_mapped,
	 .want = "EPERM|EACCES|EDESTADDRREQ", .answers = true},
	{"UDP connected before, v6", send_hear, udp6, .want = "EPERM|EDESTADDRREQ",
	 .answers = true},
	{"UDP connected before, sendfile", by_sendfile, udp4, .answers = true},
	{"UDP connected before, splice", by_splice, udp4, .answers = true},
	{"UDP-Lite connected before", send_hear, udplite, .want = "EPERM", .answers = true},
	{"older raw socket", send_raw, make_raw, .want = "EPERM"},
	{"older AF_PACKET socket", send_packet, make_packet, .needs = NEEDS_PACKETS},
	{"TCP established before, of a hostNetwork pod", use, establish4, .place = "hostpod"},
	{"UDP connected before, of a hostNetwork pod", send_hear, udp4, .place = "hostpod",
	 .answers = true},
	{0},
};
