/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's netlink messages, parsed into this module's structs. Pure functions; private to this
 * module. nlmsg_len must be what was received. A message that is too short, or that has attributes
 * which are too short, gives -EBADMSG or leaves the field empty; unknown attributes are skipped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <linux/netlink.h>

struct links_link;
struct sockdiag_socket;
struct sockdiag_unix;

/* inet_diag_msg. protocol is not in it: the caller knows what was asked. */
int net_message_socket(const struct nlmsghdr *msg, uint8_t protocol, struct sockdiag_socket *ret);

/* unix_diag_msg. */
int net_message_unix(const struct nlmsghdr *msg, struct sockdiag_unix *ret);

/* ifinfomsg. -ENOMSG: a message about something else of the interface, for example a bridge port
 * (RTM_DELLINK of family AF_BRIDGE: it left the bridge, and still exists). */
int net_message_link(const struct nlmsghdr *msg, struct links_link *ret);

struct net_message_address {
	int ifindex;
	bool link_local; /* or of the host alone */
};

/* ifaddrmsg; -EBADMSG also when it is not one. */
int net_message_address(const struct nlmsghdr *msg, struct net_message_address *ret);

/* ifinfomsg of family AF_BRIDGE, with its VLANs. *ret_vlan: the one of frames without a tag, 0: none. */
int net_message_pvid(const struct nlmsghdr *msg, int *ret_ifindex, uint16_t *ret_vlan);

#define MESSAGE_OIFS 32 /* more next hops of one route are not looked at */

struct net_message_route {
	uint8_t type; /* RTN_UNICAST, ... */
	uint8_t dst_len;
	unsigned oifs; /* how many are in oif */
	int oif[MESSAGE_OIFS];
};

/* rtmsg; -EBADMSG also when it is not one. */
int net_message_route(const struct nlmsghdr *msg, struct net_message_route *ret);
