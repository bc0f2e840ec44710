/* SPDX-License-Identifier: Apache-2.0 */
/* The node's interfaces that podcred attaches to, in the network namespace of the caller. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct links_link;
struct pc_err;

/*
 * Attach to every pod's interface and every uplink that has no program yet, and forget those that
 * are gone. Returns the number of links made. What could not be attached is in the log; nothing is,
 * where the load had neither tcx nor tc.
 */
int node_ifaces_attach(const char *pin_dir);

/* To those alone that routes to guarded addresses lead to: a route may change without any event of an
 * interface. */
int node_ifaces_attach_uplinks(const char *pin_dir);

/*
 * An interface by which packets could leave a pod, or this node, and pass no program that should see
 * them. One that is just being made is none.
 */
struct ifaces_gap {
	enum ifaces_gap_kind {
		IFACES_POD, /* the node's end of a pod's interface has no program */
		IFACES_XDP, /* its driver runs an XDP program there, and the packets come out of that
			     * without their sockets: podcred_veth takes them for forged */
		IFACES_UPLINK, /* one by which packets leave the node has no program */
		IFACES_PAST_NODE, /* a pod's interface whose packets never come to the node's own
				   * (an SR-IOV function, a device of the host), or by an uplink
				   * that has no program */
		IFACES_SHARED, /* by which a pod's connections reach the agent, and it has no end of its
				* own on the node: others on that network (macvlan, ipvlan, a switch
				* of the hardware) may be in between */
	} kind;
	char name[16];
	char pod[96]; /* the last two: the pod */
	uint32_t xdp; /* IFACES_XDP: the program's id */
};

/* Those of the first three kinds. -EXDEV: this is not the network namespace that was loaded in, and nothing
 * was looked at. */
int node_ifaces_find_gaps(const char *pin_dir, void (*fn)(void *arg, const struct ifaces_gap *gap),
			  void *arg, struct pc_err *err);

/* Those of the last two. mount: cgroup2. -EPERM: pods' networks may not be entered (CAP_SYS_ADMIN,
 * CAP_SYS_PTRACE, the node's PID namespace). */
int node_ifaces_find_past_node(const char *pin_dir, const char *mount,
			       void (*fn)(void *arg, const struct ifaces_gap *gap), void *arg,
			       struct pc_err *err);

/* The node's end of what a pod's network hangs on. */
bool node_ifaces_is_pod_side(const struct links_link *link);

/* One that a pod has, without an end on the node: the device itself, or what sits on one of the node. */
bool node_ifaces_has_no_end(const struct links_link *link);

/* 0: this is the network namespace that was loaded in. -EXDEV: it is another one. */
int node_ifaces_check_netns(const char *pin_dir, struct pc_err *err);

/* Take the events from a net_links_watch_open() descriptor, and attach to what they brought. */
void node_ifaces_follow(int watch_fd, const char *pin_dir);
