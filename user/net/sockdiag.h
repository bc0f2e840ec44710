/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of the calling thread's network namespace, as the kernel lists them (sock_diag): find
 * them, and close them. netns.h moves a thread into another namespace.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct pc_err;

struct sockdiag_socket {
	struct net_addr local; /* of a raw socket, port is the IP protocol */
	struct net_addr remote; /* all zero (or ::ffff:0.0.0.0) and port 0 when not connected */
	uint64_t cgroup_id; /* where it was made. 0: not said (old kernel, SYN_RECV, TIME_WAIT) */
	uint32_t uid;
	uint32_t inode; /* 0 when no process holds it any more */
	uint32_t ifindex; /* SO_BINDTODEVICE, or 0 */
	uint32_t cookie[2]; /* never given to another socket */
	uint8_t family; /* AF_INET, AF_INET6; the latter may carry IPv4 */
	uint8_t protocol; /* IPPROTO_... */
	uint8_t state; /* TCP_ESTABLISHED, ...; UDP: TCP_ESTABLISHED connected, TCP_CLOSE not */
	bool v6only; /* said of listeners only */
};

#define SOCKDIAG_STATE(s) (1U << (s))

/*
 * Every socket of that protocol (IPPROTO_TCP, UDP, UDPLITE, RAW) that is in one of the states
 * (SOCKDIAG_STATE(TCP_...), or-ed), IPv4 first. What fn returns other than 0 ends the walk and is
 * returned. fn may destroy sockets; a socket that changes meanwhile may be listed twice or not at
 * all. -EOPNOTSUPP: this kernel cannot list that protocol; other -errno of netlink.
 */
int net_sockdiag_each(uint8_t protocol, uint32_t states,
		      int (*fn)(void *arg, const struct sockdiag_socket *socket), void *arg,
		      struct pc_err *err);

/*
 * End that socket: its owner gets ECONNABORTED, a TCP peer gets a RST. A connected UDP socket
 * becomes unconnected. -ENOENT: gone, or hidden by another socket with the same addresses (several
 * UDP sockets with SO_REUSEPORT): list again. -EOPNOTSUPP: the kernel lacks INET_DIAG_DESTROY.
 * -EPERM: needs CAP_NET_ADMIN in the namespace.
 */
int net_sockdiag_destroy(const struct sockdiag_socket *socket);

/* A Unix socket. */
struct sockdiag_unix {
	uint32_t inode; /* 0 when no process has it */
	uint32_t peer; /* inode of the other end, in whatever namespace; 0: it is not connected */
	uint8_t type; /* SOCK_STREAM, ... */
	bool listens;
};

/* Every Unix socket that was made in this namespace, as net_sockdiag_each(). -EOPNOTSUPP: the module unix_diag is not
 * there. */
int net_sockdiag_each_unix(int (*fn)(void *arg, const struct sockdiag_unix *socket), void *arg);

/* Who takes TCP connections to that address: a listener on just this address, else on all
 * addresses. -ENOENT: nobody. */
int net_sockdiag_listener(const struct net_addr *addr, struct sockdiag_socket *ret);
