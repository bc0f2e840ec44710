// SPDX-License-Identifier: Apache-2.0
#include "net/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/rtnetlink.h>

#include <libmnl/libmnl.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "net/messages.h"
#include "net/nl.h"

/* A listing that the kernel calls inconsistent, since something changed meanwhile, is made again. */
#define TRIES 16

struct list {
	void *item;
	size_t n, room;
};

static void *list_add(struct list *list, size_t size)
{
	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		void *grown = reallocarray(list->item, room, size);

		if (!grown)
			return NULL;
		list->item = grown;
		list->room = room;
	}
	return (char *)list->item + list->n++ * size;
}

static void list_free(struct list *list)
{
	free(list->item);
}

/* All start with the address family, which is all that a listing asks for; but for a bridge's VLANs. */
struct request {
	struct nlmsghdr nl;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
	};
	struct nlattr attr;
	uint32_t mask;
};

static int dump_once(uint16_t type, uint8_t family,
		     int (*fn)(void *arg, const struct nlmsghdr *msg), struct list *list)
{
	struct request request = {
		.nl = {.nlmsg_len = NLMSG_LENGTH(sizeof(request.link)),
		       .nlmsg_type = type,
		       .nlmsg_flags = NLM_F_DUMP},
		.link = {.ifi_family = family},
		.attr = {.nla_type = IFLA_EXT_MASK, .nla_len = NLA_HDRLEN + sizeof(request.mask)},
		.mask = RTEXT_FILTER_BRVLAN,
	};
	_cleanup_close_ int fd = net_nl_open(NETLINK_ROUTE, 0, 0);

	if (fd < 0)
		return fd;
	if (type == RTM_GETROUTE)
		request.nl.nlmsg_len = NLMSG_LENGTH(sizeof(request.route));
	if (type == RTM_GETADDR)
		request.nl.nlmsg_len = NLMSG_LENGTH(sizeof(request.address));
	if (family == AF_BRIDGE)
		request.nl.nlmsg_len = sizeof(request);
	return net_nl_request(fd, &request.nl, fn, list);
}

/* Whole, or an error: fn may have added to the list all the same. */
static int dump(uint16_t type, uint8_t family, int (*fn)(void *arg, const struct nlmsghdr *msg),
		struct list *list)
{
	const size_t before = list->n;
	int r = -EINTR;

	for (unsigned i = 0; r == -EINTR && i < TRIES; i++) {
		list->n = before;
		r = dump_once(type, family, fn, list);
	}
	return r;
}

static int on_link(void *arg, const struct nlmsghdr *msg)
{
	struct links_link link, *item;
	int r = net_message_link(msg, &link);

	if (r < 0)
		return r == -ENOMSG ? 0 : r;
	item = list_add(arg, sizeof(*item));
	if (!item)
		return -ENOMEM;
	*item = link;
	return 0;
}

int net_links_each(int (*fn)(void *arg, const struct links_link *link), void *arg,
		   struct pc_err *err)
{
	_cleanup_(list_free) struct list list = {};
	const struct links_link *link;
	int r = dump(RTM_GETLINK, AF_UNSPEC, on_link, &list);

	if (r < 0)
		return pc_err_set(err, r, "cannot list network interfaces: %s", strerror(-r));
	link = list.item;
	for (size_t i = 0; !r && i < list.n; i++)
		r = fn(arg, &link[i]);
	return r;
}

static int on_address(void *arg, const struct nlmsghdr *msg)
{
	struct net_message_address address;
	int r = net_message_address(msg, &address), *item;

	if (r < 0 || address.link_local)
		return r;
	item = list_add(arg, sizeof(*item));
	if (!item)
		return -ENOMEM;
	*item = address.ifindex;
	return 0;
}

int net_links_each_address(int (*fn)(void *arg, int ifindex), void *arg, struct pc_err *err)
{
	_cleanup_(list_free) struct list list = {};
	const int *ifindex;
	int r = dump(RTM_GETADDR, AF_UNSPEC, on_address, &list);

	if (r < 0)
		return pc_err_set(err, r, "cannot list addresses: %s", strerror(-r));
	ifindex = list.item;
	for (size_t i = 0; !r && i < list.n; i++)
		r = fn(arg, ifindex[i]);
	return r;
}

struct port {
	int ifindex;
	uint16_t vlan;
};

static int on_port(void *arg, const struct nlmsghdr *msg)
{
	struct port port, *item;
	int r = net_message_pvid(msg, &port.ifindex, &port.vlan);

	if (r < 0)
		return r;
	item = list_add(arg, sizeof(*item));
	if (!item)
		return -ENOMEM;
	*item = port;
	return 0;
}

int net_links_each_pvid(int (*fn)(void *arg, int ifindex, uint16_t vlan), void *arg,
			struct pc_err *err)
{
	_cleanup_(list_free) struct list list = {};
	const struct port *port;
	int r = dump(RTM_GETLINK, AF_BRIDGE, on_port, &list);

	if (r < 0 && r != -EOPNOTSUPP)
		return pc_err_set(err, r, "cannot list bridges: %s", strerror(-r));
	port = list.item;
	for (size_t i = 0; !r && i < list.n; i++)
		r = fn(arg, port[i].ifindex, port[i].vlan);
	return r == -EOPNOTSUPP ? 0 : r;
}

int net_links_watch_open(void)
{
	return net_nl_open(NETLINK_ROUTE,
			   RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_TC,
			   SOCK_NONBLOCK);
}

/* What says no link of itself: an address, or a port of a bridge, whose VLANs are told by that alone. */
static bool is_other_change(const struct nlmsghdr *msg)
{
	switch (msg->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return true;
	default:
		return false;
	}
}

int net_links_watch_read(int fd, void (*fn)(void *arg, const struct links_link *link, bool gone),
			 void *arg)
{
	_Alignas(struct nlmsghdr) char buf[NL_BUFFER];

	for (;;) {
		ssize_t n = net_nl_receive(fd, buf, sizeof(buf));
		const struct nlmsghdr *msg = (const void *)buf;
		int len = (int)n;

		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		for (; net_nl_message_ok(msg, len); msg = mnl_nlmsg_next(msg, &len)) {
			struct links_link link;

			if (net_message_link(msg, &link) == 0)
				fn(arg, &link, msg->nlmsg_type == RTM_DELLINK);
			else if (is_other_change(msg))
				fn(arg, NULL, false);
		}
	}
}

static int on_route(void *arg, const struct nlmsghdr *msg)
{
	return net_message_route(msg, arg);
}

int net_links_route_oif(const uint8_t ip[16], int *ret_ifindex)
{
	const bool v4 = net_addr_is_v4(ip);
	struct {
		struct nlmsghdr nl;
		struct rtmsg rt;
		struct nlattr attr;
		uint8_t dst[16];
	} request = {
		.nl = {.nlmsg_type = RTM_GETROUTE},
		.rt = {.rtm_family = v4 ? AF_INET : AF_INET6, .rtm_dst_len = v4 ? 32 : 128},
		.attr = {.nla_type = RTA_DST, .nla_len = sizeof(struct nlattr) + (v4 ? 4 : 16)},
	};
	struct net_message_route route = {};
	_cleanup_close_ int fd = net_nl_open(NETLINK_ROUTE, 0, 0);
	int r;

	if (fd < 0)
		return fd;
	request.nl.nlmsg_len = NLMSG_LENGTH(sizeof(request.rt)) + request.attr.nla_len;
	memcpy(request.dst, v4 ? ip + 12 : ip, v4 ? 4 : 16);
	r = net_nl_request(fd, &request.nl, on_route, &route);
	if (r < 0)
		return r;
	/* IPv6 answers with the refusing route, on lo, where IPv4 has an error. */
	if (!route.oifs || (route.type != RTN_UNICAST && route.type != RTN_LOCAL))
		return -ENETUNREACH;
	*ret_ifindex = route.oif[0];
	return 0;
}

static int on_default(void *arg, const struct nlmsghdr *msg)
{
	struct list *list = arg;
	struct net_message_route route;
	int r = net_message_route(msg, &route);

	if (r < 0)
		return r;
	if (route.dst_len || route.type != RTN_UNICAST)
		return 0;
	for (unsigned i = 0; i < route.oifs; i++) {
		int *item = list_add(list, sizeof(*item));

		if (!item)
			return -ENOMEM;
		*item = route.oif[i];
	}
	return 0;
}

static bool among(const int *item, size_t n, int value)
{
	for (size_t i = 0; i < n; i++)
		if (item[i] == value)
			return true;
	return false;
}

int net_links_uplinks(int (*fn)(void *arg, int ifindex), void *arg, struct pc_err *err)
{
	_cleanup_(list_free) struct list list = {};
	const int *oif;
	int r = dump(RTM_GETROUTE, AF_INET, on_default, &list);

	if (!r)
		r = dump(RTM_GETROUTE, AF_INET6, on_default, &list);
	if (r < 0)
		return pc_err_set(err, r, "cannot list routes: %s", strerror(-r));
	oif = list.item;
	for (size_t i = 0; !r && i < list.n; i++)
		if (!among(oif, i, oif[i]))
			r = fn(arg, oif[i]);
	return r;
}
