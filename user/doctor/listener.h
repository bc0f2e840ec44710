/* SPDX-License-Identifier: Apache-2.0 */
/* Who listens on an address of this network namespace, as the kernel lists it (sock_diag). */
#pragma once

#include <stdint.h>

#include "addr.h"

struct listener {
	uint64_t cgroup_id; /* where the socket was made; 0: not said */
	uint32_t inode;
};

/* The listener that TCP connections to addr end at: on just this address, else on all. -ENOENT:
 * nobody; other -errno of netlink. */
int listener_find(const struct net_addr *addr, struct listener *ret);

/* A process that has the socket open: its pid, and its name. -ENOENT: not to be seen. */
int listener_owner(uint32_t inode, int *ret_pid, char ret_name[32]);
