/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the connections of pods reach the agent, by interface: past the bridge, without a bridge, or
 * across one where others are. This header only reports it; ifaces.h and paths.h set it up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "node/paths.h"

enum ways_kind {
	WAYS_DIRECT, /* into the node's stack: nobody is in between */
	WAYS_CARRIED, /* past a bridge, there and back */
	WAYS_BRIDGED, /* across a bridge or switch */
	WAYS_LACKING, /* perhaps across one, though it need not be: it is not noted, or a program is
		       * not attached */
	WAYS_SHARED, /* by an interface of the pod that has no end of its own on the node */
};

struct ways_way {
	enum ways_kind kind;
	int ifindex;
	int gateway_ifindex; /* 0: none */
	int peer; /* the pod's end, as it is numbered there */
	char name[16]; /* the node's end; with WAYS_SHARED the pod's */
	char bridge[16]; /* that it is a port of, or "" */
	char gateway[16]; /* the node's device that the bridge leads to, or "" */
};

struct ways {
	struct ways_way *v;
	size_t n;
	enum paths_off off;
};

/* Those that are up, in the network namespace of the caller. -EXDEV: it is another one than was loaded in.
 * Done also after a failure. */
int node_ways_read(const char *pin_dir, struct ways *ret, struct pc_err *err);
void node_ways_done(struct ways *ways);

size_t node_ways_count(const struct ways *ways, enum ways_kind kind);

/*
 * That of the pod whose cgroup is given, to that address. 1: *ret is it. 0: none of its processes is in a
 * network with a known one. -EPERM: its network may not be entered.
 */
int node_ways_of_pod(const struct ways *ways, const char *cgroup, const uint8_t agent[16],
		     struct ways_way *ret);

/* "carried", "direct" or "bridged": for JSON and metrics. */
const char *node_ways_kind_name(enum ways_kind kind);

/* What that means for the pod, in words. */
const char *node_ways_text(const struct ways_way *way, char *buf, size_t size);

/* Why there is no path at all; NULL with PATHS_ON. */
const char *node_ways_off_text(enum paths_off off);
