/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One netlink request and its answers. Private to this module.
 *
 * The sockets accept messages from the kernel only: a pod with CAP_NET_ADMIN may send to any
 * netlink socket in its network namespace, including one that we open there, and could forge the
 * end of a listing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/netlink.h>

/* What one read may bring; the kernel fills it with many messages. */
#define NL_BUFFER (32 * 1024)

/* A socket of that family (NETLINK_...) in the calling thread's network namespace, subscribed to
 * groups (RTMGRP_..., 0 for none). flags: SOCK_NONBLOCK or 0. The descriptor or -errno. */
int net_nl_open(int bus, unsigned groups, int flags);

/* One datagram of the kernel's; others are dropped. Its length, or -errno. */
ssize_t net_nl_receive(int fd, void *buf, size_t size);

/* Whether a whole message is at the front of len bytes. */
bool net_nl_message_ok(const struct nlmsghdr *msg, int len);

/*
 * Send a request and call fn for each answer, until the kernel says that it was the last. The
 * caller has set nlmsg_len, nlmsg_type and, for a listing, NLM_F_DUMP; the rest is done here.
 * 0, what fn returned when that was not 0, or -errno; -EINTR: the listing changed meanwhile and is
 * not complete. After anything but 0 the socket may hold unread answers: close it.
 */
int net_nl_request(int fd, struct nlmsghdr *request,
		   int (*fn)(void *arg, const struct nlmsghdr *msg), void *arg);
