// SPDX-License-Identifier: Apache-2.0
#include "net/messages.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_bridge.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/unix_diag.h>

#include <libmnl/libmnl.h>

#include "base/addr.h"
#include "net/links.h"
#include "net/sockdiag.h"

#define VLANS 4096 /* numbers of 802.1Q */

struct table {
	const struct nlattr **attr;
	unsigned max;
};

static int table_put(const struct nlattr *attr, void *data)
{
	struct table *table = data;

	if (mnl_attr_get_type(attr) <= table->max)
		table->attr[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/* len is exact: libmnl's functions for whole messages round it up. */
static void attributes(const void *start, size_t len, const struct nlattr **attr, unsigned max)
{
	struct table table = {attr, max};

	memset(attr, 0, (max + 1) * sizeof(*attr));
	if (len >= sizeof(struct nlattr))
		mnl_attr_parse_payload(start, len, table_put, &table);
}

static void attributes_of(const struct nlmsghdr *msg, size_t header, const struct nlattr **attr,
			  unsigned max)
{
	const size_t start = NLMSG_HDRLEN + MNL_ALIGN(header);

	attributes((const char *)msg + start, msg->nlmsg_len - start, attr, max);
}

static const void *header_of(const struct nlmsghdr *msg, size_t size)
{
	if (msg->nlmsg_len < NLMSG_HDRLEN + MNL_ALIGN(size))
		return NULL;
	return mnl_nlmsg_get_payload(msg);
}

/* ret stays as it is when there is no such attribute of that size. */
static bool number(const struct nlattr *attr, void *ret, size_t size)
{
	if (!attr || mnl_attr_get_payload_len(attr) < size)
		return false;
	memcpy(ret, mnl_attr_get_payload(attr), size);
	return true;
}

/* Cut to fit; attributes need not end with a NUL. */
static void string(const struct nlattr *attr, char *ret, size_t size)
{
	size_t len = 0;

	if (attr)
		len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	if (len >= size)
		len = size - 1;
	if (len)
		memcpy(ret, mnl_attr_get_payload(attr), len);
	ret[len] = '\0';
}

static void address(uint8_t family, const __be32 from[4], __be16 port, struct net_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->port = ntohs(port);
	if (family == AF_INET6) {
		memcpy(ret->ip, from, 16);
		return;
	}
	ret->ip[10] = ret->ip[11] = 0xff;
	memcpy(ret->ip + 12, from, 4);
}

int net_message_socket(const struct nlmsghdr *msg, uint8_t protocol, struct sockdiag_socket *ret)
{
	const struct inet_diag_msg *diag = header_of(msg, sizeof(*diag));
	const struct nlattr *attr[INET_DIAG_CGROUP_ID + 1];
	struct sockdiag_socket socket = {.protocol = protocol};
	uint8_t v6only = 0;

	if (!diag || (diag->idiag_family != AF_INET && diag->idiag_family != AF_INET6))
		return -EBADMSG;
	socket.family = diag->idiag_family;
	socket.state = diag->idiag_state;
	socket.uid = diag->idiag_uid;
	socket.inode = diag->idiag_inode;
	socket.ifindex = diag->id.idiag_if;
	memcpy(socket.cookie, diag->id.idiag_cookie, sizeof(socket.cookie));
	address(socket.family, diag->id.idiag_src, diag->id.idiag_sport, &socket.local);
	address(socket.family, diag->id.idiag_dst, diag->id.idiag_dport, &socket.remote);
	attributes_of(msg, sizeof(*diag), attr, INET_DIAG_CGROUP_ID);
	number(attr[INET_DIAG_CGROUP_ID], &socket.cgroup_id, sizeof(socket.cgroup_id));
	number(attr[INET_DIAG_SKV6ONLY], &v6only, sizeof(v6only));
	socket.v6only = v6only;
	*ret = socket;
	return 0;
}

int net_message_unix(const struct nlmsghdr *msg, struct sockdiag_unix *ret)
{
	const struct unix_diag_msg *diag = header_of(msg, sizeof(*diag));
	const struct nlattr *attr[UNIX_DIAG_PEER + 1];

	if (!diag || diag->udiag_family != AF_UNIX)
		return -EBADMSG;
	*ret = (struct sockdiag_unix){.inode = diag->udiag_ino,
				      .type = diag->udiag_type,
				      .listens = diag->udiag_state == TCP_LISTEN};
	attributes_of(msg, sizeof(*diag), attr, UNIX_DIAG_PEER);
	number(attr[UNIX_DIAG_PEER], &ret->peer, sizeof(ret->peer));
	return 0;
}

static void nested(const struct nlattr *from, const struct nlattr **attr, unsigned max)
{
	memset(attr, 0, (max + 1) * sizeof(*attr));
	if (from)
		attributes(mnl_attr_get_payload(from), mnl_attr_get_payload_len(from), attr, max);
}

/* What only links of that kind have. */
static void link_info(const struct nlattr *from, struct links_link *link)
{
	const struct nlattr *info[IFLA_INFO_DATA + 1], *vlan[IFLA_VLAN_ID + 1],
		*bridge[IFLA_BR_VLAN_FILTERING + 1];
	uint8_t filters = 0;

	nested(from, info, IFLA_INFO_DATA);
	string(info[IFLA_INFO_KIND], link->kind, sizeof(link->kind));
	if (!strcmp(link->kind, "vlan")) {
		nested(info[IFLA_INFO_DATA], vlan, IFLA_VLAN_ID);
		number(vlan[IFLA_VLAN_ID], &link->vlan, sizeof(link->vlan));
		if (link->vlan >= VLANS)
			link->vlan = 0;
	} else if (!strcmp(link->kind, "bridge")) {
		nested(info[IFLA_INFO_DATA], bridge, IFLA_BR_VLAN_FILTERING);
		number(bridge[IFLA_BR_VLAN_FILTERING], &filters, sizeof(filters));
		link->filters_vlans = filters;
	}
}

static uint32_t native_xdp(const struct nlattr *from)
{
	const struct nlattr *xdp[IFLA_XDP_DRV_PROG_ID + 1];
	uint32_t id = 0;

	nested(from, xdp, IFLA_XDP_DRV_PROG_ID);
	number(xdp[IFLA_XDP_DRV_PROG_ID], &id, sizeof(id));
	return id;
}

int net_message_link(const struct nlmsghdr *msg, struct links_link *ret)
{
	const struct ifinfomsg *info = header_of(msg, sizeof(*info));
	const struct nlattr *attr[IFLA_XDP + 1];
	struct links_link link = {};

	if (msg->nlmsg_type != RTM_NEWLINK && msg->nlmsg_type != RTM_DELLINK)
		return -ENOMSG;
	if (!info)
		return -EBADMSG;
	if (info->ifi_family != AF_UNSPEC)
		return -ENOMSG;
	if (info->ifi_index <= 0)
		return -EBADMSG;
	link.ifindex = info->ifi_index;
	link.up = info->ifi_flags & IFF_UP;
	attributes_of(msg, sizeof(*info), attr, IFLA_XDP);
	string(attr[IFLA_IFNAME], link.name, sizeof(link.name));
	number(attr[IFLA_LINK], &link.link, sizeof(link.link));
	number(attr[IFLA_MASTER], &link.master, sizeof(link.master));
	link.peer_elsewhere = attr[IFLA_LINK_NETNSID];
	if (attr[IFLA_ADDRESS] && mnl_attr_get_payload_len(attr[IFLA_ADDRESS]) == sizeof(link.mac))
		number(attr[IFLA_ADDRESS], link.mac, sizeof(link.mac));
	link_info(attr[IFLA_LINKINFO], &link);
	link.xdp = native_xdp(attr[IFLA_XDP]);
	*ret = link;
	return 0;
}

int net_message_address(const struct nlmsghdr *msg, struct net_message_address *ret)
{
	const struct ifaddrmsg *info = header_of(msg, sizeof(*info));

	if (msg->nlmsg_type != RTM_NEWADDR || !info || !info->ifa_index ||
	    info->ifa_index > INT_MAX)
		return -EBADMSG;
	ret->ifindex = (int)info->ifa_index;
	ret->link_local = info->ifa_scope >= RT_SCOPE_LINK;
	return 0;
}

int net_message_pvid(const struct nlmsghdr *msg, int *ret_ifindex, uint16_t *ret_vlan)
{
	const struct ifinfomsg *info = header_of(msg, sizeof(*info));
	const struct nlattr *attr[IFLA_AF_SPEC + 1], *vlan;

	if (msg->nlmsg_type != RTM_NEWLINK || !info || info->ifi_family != AF_BRIDGE ||
	    info->ifi_index <= 0)
		return -EBADMSG;
	*ret_ifindex = info->ifi_index;
	*ret_vlan = 0;
	attributes_of(msg, sizeof(*info), attr, IFLA_AF_SPEC);
	if (!attr[IFLA_AF_SPEC])
		return 0;
	mnl_attr_for_each_nested(vlan, attr[IFLA_AF_SPEC])
	{
		struct bridge_vlan_info one;

		if (mnl_attr_get_type(vlan) == IFLA_BRIDGE_VLAN_INFO &&
		    number(vlan, &one, sizeof(one)) && one.vid < VLANS &&
		    one.flags & BRIDGE_VLAN_INFO_PVID)
			*ret_vlan = one.vid;
	}
	return 0;
}

static void route_add(struct net_message_route *route, int oif)
{
	if (oif > 0 && route->oifs < MESSAGE_OIFS)
		route->oif[route->oifs++] = oif;
}

static void next_hops(const struct nlattr *attr, struct net_message_route *route)
{
	const char *at = mnl_attr_get_payload(attr);
	size_t left = mnl_attr_get_payload_len(attr);

	for (;;) {
		struct rtnexthop hop;
		size_t step;

		if (left < sizeof(hop))
			return;
		memcpy(&hop, at, sizeof(hop));
		if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
			return;
		route_add(route, hop.rtnh_ifindex);
		step = RTNH_ALIGN(hop.rtnh_len);
		if (step >= left)
			return;
		at += step;
		left -= step;
	}
}

int net_message_route(const struct nlmsghdr *msg, struct net_message_route *ret)
{
	const struct rtmsg *rt = header_of(msg, sizeof(*rt));
	const struct nlattr *attr[RTA_MULTIPATH + 1];
	struct net_message_route route = {};
	int oif = 0;

	if (msg->nlmsg_type != RTM_NEWROUTE || !rt)
		return -EBADMSG;
	route.type = rt->rtm_type;
	route.dst_len = rt->rtm_dst_len;
	attributes_of(msg, sizeof(*rt), attr, RTA_MULTIPATH);
	if (number(attr[RTA_OIF], &oif, sizeof(oif)))
		route_add(&route, oif);
	if (attr[RTA_MULTIPATH])
		next_hops(attr[RTA_MULTIPATH], &route);
	*ret = route;
	return 0;
}
