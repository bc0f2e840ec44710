/* SPDX-License-Identifier: Apache-2.0 */
/* The node's interfaces that podcred attaches to, in the network namespace of the caller. */
#pragma once

struct pc_err;

/*
 * Attach to every pod's interface and every uplink that has no program yet, and forget those that
 * are gone. Returns the number of links made. What could not be attached is in the log; nothing is,
 * where the load had neither tcx nor tc.
 */
int ifaces_attach(const char *pin_dir);

/* To those alone that routes to guarded addresses lead to: a route may change without any event of an
 * interface. */
int ifaces_attach_uplinks(const char *pin_dir);

/*
 * An interface by which packets could leave a pod, or this node, and pass no program that should see
 * them. One that is just being made is none.
 */
struct ifaces_gap {
	enum ifaces_gap_kind {
		IFACES_POD, /* the node's end of a pod's interface has no program */
		IFACES_UPLINK, /* nor has one by which packets leave the node */
		IFACES_PAST_NODE, /* a pod's interface whose packets never come to the node's own
				   * (an SR-IOV function, a device of the host), or by an uplink
				   * that has no program */
	} kind;
	char name[16];
	char pod[96]; /* IFACES_PAST_NODE: the pod */
};

/* Those of the first two kinds. -EXDEV: this is not the network namespace that was loaded in, and nothing
 * was looked at. */
int ifaces_find_gaps(const char *pin_dir, void (*fn)(void *arg, const struct ifaces_gap *gap),
		     void *arg, struct pc_err *err);

/* Those of the third. mount: cgroup2. -EPERM: pods' networks may not be entered (CAP_SYS_ADMIN,
 * CAP_SYS_PTRACE, the node's PID namespace). */
int ifaces_find_past_node(const char *pin_dir, const char *mount,
			  void (*fn)(void *arg, const struct ifaces_gap *gap), void *arg,
			  struct pc_err *err);

/* Take the events from a links_watch_open() descriptor, and attach to what they brought. */
void ifaces_follow(int watch_fd, const char *pin_dir);
