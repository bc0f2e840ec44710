/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of a pod's connections past the bridge (bpf/lib/way.bpf.h): which device of the node each
 * bridge leads to, in the network namespace of the caller.
 */
#pragma once

#include <stdbool.h>

#include "net/links.h"

struct pc_err;
struct paths;

/* Why no connection has a path of its own. */
enum paths_off {
	PATHS_ON,
	PATHS_OFF_AGENT, /* the agent's address is not the node's own */
	PATHS_OFF_OLD, /* the load is older than paths */
	PATHS_OFF_WITHOUT, /* it did without */
};

/* Of the interfaces as they are now. *ret is NULL where there is no path to know; *ret_off, which may be
 * NULL, tells why. -errno. */
int node_paths_read(const char *pin_dir, struct paths **ret, enum paths_off *ret_off,
		    struct pc_err *err);
struct paths *node_paths_free(struct paths *paths);
static inline void paths_freep(struct paths **paths)
{
	node_paths_free(*paths);
}

/* The interfaces that it was read of, as net_links_each. */
int node_paths_each_link(const struct paths *paths,
			 int (*fn)(void *arg, const struct links_link *link), void *arg);

/* What the node's end of a pod's interface leads to. */
enum paths_kind {
	PATHS_NO_BRIDGE, /* the node's stack itself: nobody is in between */
	PATHS_BRIDGE, /* a bridge, and the device of the node behind it is known */
	PATHS_UNKNOWN, /* a bridge or switch whose device is not known: connections cross it */
};
enum paths_kind node_paths_of(const struct paths *paths, const struct links_link *link,
			      int *ret_gateway);

/* Write down the path of that interface, before podcred_veth is attached to it. -errno. */
int node_paths_note(const struct paths *paths, const struct links_link *link);

/* Whether it is written down, as it is now. */
bool node_paths_is_noted(const struct paths *paths, const struct links_link *link);

/* Forget those of interfaces that are gone; all of them where paths is NULL. */
void node_paths_sweep(const char *pin_dir, const struct paths *paths);
