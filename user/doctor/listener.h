/* SPDX-License-Identifier: Apache-2.0 */
/* The owner of a socket of this network namespace, and what keeps others from listening. */
#pragma once

#include <stdint.h>

#include "base/addr.h"
#include "net/sockdiag.h"

/* A process that has the socket open: its pid, and its name. -ENOENT: there is none; -EACCES: none
 * among those that this process may look at. */
int doctor_listener_owner(uint32_t inode, int *ret_pid, char ret_name[32]);

/* A connection that has this address and port as its own end, so that nobody can listen there.
 * -ENOENT: none. */
int doctor_listener_obstacle(const struct net_addr *addr, struct sockdiag_socket *ret);
