// SPDX-License-Identifier: Apache-2.0
#include "http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "http/server.h"

#define BACKLOG 4096

static int set_option(int fd, int level, int name)
{
	static const int one = 1;

	return setsockopt(fd, level, name, &one, sizeof(one)) < 0 ? -errno : 0;
}

/*
 * Sockets that share a port are numbered as they come, and when the first one closes, the last gets its
 * number. So of two, who are there for a moment, 1 is the younger; where there is no 1, the kernel takes
 * what there is. The program is that of the port, not of the socket.
 */
static int take_new_connections(int fd)
{
	struct sock_filter second[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
	const struct sock_fprog prog = {.len = 1, .filter = second};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) < 0
		       ? -errno
		       : 0;
}

static int set_options(int fd, int family, bool handover)
{
	int r = set_option(fd, SOL_SOCKET, SO_REUSEADDR);

	if (r == 0 && family == AF_INET6)
		r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (r == 0 && handover)
		r = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
	return r;
}

/* A listener, and nothing else, keeps others with SO_REUSEADDR from the port. */
bool http_is_listened_on(const struct net_addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = net_addr_to_sockaddr(addr, &sa);
	_cleanup_close_ int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	return fd >= 0 && set_options(fd, sa.ss_family, false) == 0 &&
	       bind(fd, (struct sockaddr *)&sa, len) < 0 && errno == EADDRINUSE;
}

static int try_listen(const struct net_addr *addr, bool handover, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = net_addr_to_sockaddr(addr, &sa);
	_cleanup_close_ int fd =
		socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	int r;

	if (fd < 0)
		return -errno;
	r = set_options(fd, sa.ss_family, handover);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	r = handover ? take_new_connections(fd) : 0;
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

static const char *next_step(int code)
{
	switch (code) {
	case -EADDRINUSE:
		return "`ss -tanp` shows who listens on it, or is connected from it; or give the "
		       "agent another port";
	case -EADDRNOTAVAIL:
		return "the node has no such address, or it is an IPv6 one and IPv6 is disabled; "
		       "give one that it has";
	case -EACCES:
		return "ports below 1024 need CAP_NET_BIND_SERVICE; give a higher one";
	case -EAFNOSUPPORT:
		return "this kernel runs without IPv6; remove the address";
	default:
		return "check the agent's listen addresses";
	}
}

bool http_listen_may_come(int error)
{
	return error == -EADDRINUSE || error == -EADDRNOTAVAIL || error == -EAFNOSUPPORT;
}

int http_listen_open(const struct net_addr *addr, bool handover, int *ret_fd, struct pc_err *err)
{
	char text[NET_ADDR_TEXT];
	int r;

	net_addr_format(addr->ip, addr->port, text, sizeof(text));
	if (!addr->port)
		return pc_err_set(err, -EINVAL,
				  "cannot listen on %s: it has no port; write %s:PORT", text,
				  net_addr_is_v4(addr->ip) ? "ADDRESS" : "[ADDRESS]");
	r = try_listen(addr, handover, ret_fd);
	if (r < 0)
		return pc_err_set(err, r, "cannot listen on %s: %s; %s", text, strerror(-r),
				  next_step(r));
	return 0;
}

static int get_option(int fd, int name, int *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, name, ret, &len) < 0 ? -errno : 0;
}

int http_listen_adopt(int fd, int *ret_fd, struct pc_err *err)
{
	int listening = 0, protocol = 0, flags, copy;

	if (get_option(fd, SO_ACCEPTCONN, &listening) < 0 ||
	    get_option(fd, SO_PROTOCOL, &protocol) < 0 || !listening || protocol != IPPROTO_TCP)
		return pc_err_set(
			err, -EINVAL,
			"descriptor %d is not a plain TCP listener; pass one that listens "
			"and is not MPTCP",
			fd);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	flags = copy < 0 ? -1 : fcntl(copy, F_GETFL);
	if (flags < 0 || fcntl(copy, F_SETFL, flags | O_NONBLOCK) < 0) {
		int r = -errno;

		if (copy >= 0)
			close(copy);
		return pc_err_set(err, r, "cannot use listener %d: %s", fd, strerror(-r));
	}
	*ret_fd = copy;
	return 0;
}
