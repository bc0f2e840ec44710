// SPDX-License-Identifier: Apache-2.0
#include "net/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "net/messages.h"
#include "net/nl.h"

struct request {
	struct nlmsghdr nl;
	struct inet_diag_req_v2 diag;
};

struct walk {
	int (*fn)(void *arg, const struct sockdiag_socket *socket);
	void *arg;
	int stopped; /* what fn returned: not to be mistaken for the kernel's word */
	uint8_t protocol;
};

static int on_socket(void *arg, const struct nlmsghdr *msg)
{
	struct walk *walk = arg;
	struct sockdiag_socket socket;
	int r;

	if (msg->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	r = net_message_socket(msg, walk->protocol, &socket);
	if (r < 0)
		return r;
	walk->stopped = walk->fn(walk->arg, &socket);
	return walk->stopped;
}

static int each_of_family(uint8_t family, uint32_t states, struct walk *walk)
{
	struct request request = {
		.nl = {.nlmsg_len = sizeof(request),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_DUMP},
		.diag = {.sdiag_family = family,
			 .sdiag_protocol = walk->protocol,
			 .idiag_states = states},
	};
	_cleanup_close_ int fd = net_nl_open(NETLINK_SOCK_DIAG, 0, 0);

	if (fd < 0)
		return fd;
	return net_nl_request(fd, &request.nl, on_socket, walk);
}

static const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_UDPLITE:
		return "UDP-Lite";
	case IPPROTO_RAW:
		return "raw";
	default:
		return "unknown";
	}
}

int net_sockdiag_each(uint8_t protocol, uint32_t states,
		      int (*fn)(void *arg, const struct sockdiag_socket *socket), void *arg,
		      struct pc_err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct walk walk = {.fn = fn, .arg = arg, .protocol = protocol};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		int r = each_of_family(families[i], states, &walk);

		if (walk.stopped)
			return walk.stopped;
		if (r == -ENOENT)
			return pc_err_set(err, -EOPNOTSUPP,
					  "the kernel cannot list %s sockets; load its modules "
					  "tcp_diag, udp_diag and raw_diag",
					  protocol_name(protocol));
		if (r < 0)
			return pc_err_set(err, r, "cannot list %s sockets: %s",
					  protocol_name(protocol), strerror(-r));
	}
	return 0;
}

struct unix_request {
	struct nlmsghdr nl;
	struct unix_diag_req diag;
};

struct unix_walk {
	int (*fn)(void *arg, const struct sockdiag_unix *socket);
	void *arg;
	int stopped;
};

static int on_unix(void *arg, const struct nlmsghdr *msg)
{
	struct unix_walk *walk = arg;
	struct sockdiag_unix socket;
	int r;

	if (msg->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	r = net_message_unix(msg, &socket);
	if (r < 0)
		return r;
	walk->stopped = walk->fn(walk->arg, &socket);
	return walk->stopped;
}

int net_sockdiag_each_unix(int (*fn)(void *arg, const struct sockdiag_unix *socket), void *arg)
{
	struct unix_request request = {
		.nl = {.nlmsg_len = sizeof(request),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_DUMP},
		.diag = {.sdiag_family = AF_UNIX,
			 .udiag_states = UINT32_MAX,
			 .udiag_show = UDIAG_SHOW_PEER},
	};
	struct unix_walk walk = {.fn = fn, .arg = arg};
	_cleanup_close_ int fd = net_nl_open(NETLINK_SOCK_DIAG, 0, 0);
	int r = fd < 0 ? fd : net_nl_request(fd, &request.nl, on_unix, &walk);

	return walk.stopped ?: r == -ENOENT ? -EOPNOTSUPP : r;
}

static void id_address(const struct sockdiag_socket *socket, const struct net_addr *from,
		       __be32 to[4], __be16 *ret_port)
{
	*ret_port = htons(from->port);
	if (socket->family == AF_INET)
		memcpy(to, from->ip + 12, 4);
	else
		memcpy(to, from->ip, 16);
}

int net_sockdiag_destroy(const struct sockdiag_socket *socket)
{
	struct request request = {
		.nl = {.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DESTROY},
		.diag = {.sdiag_family = socket->family,
			 .sdiag_protocol = socket->protocol,
			 .idiag_states = UINT32_MAX},
	};
	struct inet_diag_sockid *id = &request.diag.id;
	_cleanup_close_ int fd = net_nl_open(NETLINK_SOCK_DIAG, 0, 0);

	if (fd < 0)
		return fd;
	if (socket->protocol == IPPROTO_RAW)
		request.diag.pad = (uint8_t)socket->local.port; /* sdiag_raw_protocol */
	id_address(socket, &socket->local, id->idiag_src, &id->idiag_sport);
	id_address(socket, &socket->remote, id->idiag_dst, &id->idiag_dport);
	id->idiag_if = socket->ifindex;
	memcpy(id->idiag_cookie, socket->cookie, sizeof(id->idiag_cookie));
	return net_nl_request(fd, &request.nl, NULL, NULL);
}

struct search {
	const struct net_addr *addr;
	struct sockdiag_socket best;
	int score;
};

static int listens_on(const struct sockdiag_socket *socket, const struct net_addr *addr)
{
	static const uint8_t any4[16] = {[10] = 0xff, [11] = 0xff}, any6[16];
	bool v4 = net_addr_is_v4(addr->ip);

	if (socket->local.port != addr->port)
		return 0;
	if (!memcmp(socket->local.ip, addr->ip, 16))
		return 3;
	if (v4 && !memcmp(socket->local.ip, any4, 16))
		return 2;
	if (!memcmp(socket->local.ip, any6, 16) && !(v4 && socket->v6only))
		return 1;
	return 0;
}

static int on_listener(void *arg, const struct sockdiag_socket *socket)
{
	struct search *search = arg;
	int score = listens_on(socket, search->addr);

	if (score > search->score) {
		search->score = score;
		search->best = *socket;
	}
	return 0;
}

int net_sockdiag_listener(const struct net_addr *addr, struct sockdiag_socket *ret)
{
	struct search search = {.addr = addr};
	int r = net_sockdiag_each(IPPROTO_TCP, SOCKDIAG_STATE(TCP_LISTEN), on_listener, &search,
				  NULL);

	if (r < 0)
		return r;
	if (!search.score)
		return -ENOENT;
	*ret = search.best;
	return 0;
}
