/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Closes connections to guarded addresses that pods opened before the guard was attached. New ones
 * go through the BPF programs; those that were already open would continue otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct reset_options {
	const char
		*kubepods; /* the network namespaces of the processes below it, and the own one */
	/* Whether a connection to that address is to be ended. ip: 16-byte form; protocol:
	 * IPPROTO_TCP, UDP or UDPLITE. */
	bool (*guarded)(void *arg, const uint8_t ip[16], uint16_t port, uint8_t protocol);
	/* Whether a socket made in that cgroup is a pod's that is to be cut off. The cgroup may
	 * be gone already; 0 when the kernel does not say (see sockdiag.h). */
	bool (*pod_socket)(void *arg, uint64_t cgroup_id);
	void *arg; /* of both; they may be called in another thread, while the caller waits */
};

struct reset_example {
	struct net_addr local, remote;
	uint64_t cgroup_id;
	uint64_t netns; /* inode */
	int result; /* 0: destroyed, else -errno: still there */
	uint8_t protocol;
};

#define RESET_EXAMPLES 16

struct reset_report {
	unsigned found; /* destroyed + failed + those that ended by themselves meanwhile */
	unsigned destroyed;
	unsigned failed; /* still there */
	unsigned namespaces; /* looked at whole */
	unsigned unreachable; /* namespaces that could not be entered or listed */
	struct pc_err why; /* of the first of these, or empty */
	unsigned n_examples;
	struct reset_example example[RESET_EXAMPLES]; /* failed ones rather than destroyed ones */
};

/*
 * Find and destroy TCP connections (also such that are being opened or closed) and connected UDP
 * and UDP-Lite sockets whose remote address is guarded and whose cgroup is a pod's. Linux lists
 * UDP-Lite, but cannot destroy it: such sockets count as failed, with -EOPNOTSUPP.
 * ret is filled in any case. 0: all processes were looked at; failed and unreachable may be above 0
 * all the same. Else as net_netns_each_below, after what could be done was done.
 * Needs CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE and the node's PID namespace.
 */
int net_reset_connections(const struct reset_options *options, struct reset_report *ret,
			  struct pc_err *err);
