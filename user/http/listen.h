/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"

/*
 * A listening plain TCP socket, non-blocking. IPPROTO_TCP by name, never MPTCP, which would let connections
 * arrive without the stamp of their own socket. handover: beside those that others of this user, who do the
 * same, have on the address; new connections come to the youngest, and none is lost when an older one closes.
 */
int http_listen_open(const struct net_addr *addr, bool handover, int *ret_fd, struct pc_err *err);

/* Whether what kept http_listen_open() from listening may end by itself: an address that is not there yet,
 * a family that is off, a port that somebody else has. */
bool http_listen_may_come(int error);

/* A copy of the caller's listener, if it is one that stamps can reach. */
int http_listen_adopt(int fd, int *ret_fd, struct pc_err *err);
