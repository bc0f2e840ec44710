/* SPDX-License-Identifier: Apache-2.0 */
/* The owner of a socket, and what keeps others from listening. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "net/sockdiag.h"

/* A process that has the socket open: its pid, and its name. -ENOENT: there is none; -EACCES: none
 * among those that this process may look at. */
int doctor_listener_owner(uint32_t inode, int *ret_pid, char ret_name[32]);

/* Whether that process has the socket open; false also when it may not be looked at. */
bool doctor_listener_has(int pid, uint32_t inode);

/* A connection that has this address and port as its own end, so that nobody can listen there.
 * -ENOENT: none. */
int doctor_listener_obstacle(const struct net_addr *addr, struct sockdiag_socket *ret);
