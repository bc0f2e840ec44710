/* SPDX-License-Identifier: Apache-2.0 */
/* From nothing to a node that is guarded, for "podcred load" and "podcred run". */
#pragma once

#include "kernel/load.h"
#include "net/reset.h"
#include "node/layout.h"

struct guard_up {
	struct kern_report load;
	struct reset_report older; /* connections from before */
	unsigned
		taken_over; /* programs of another load that were detached, with layout->loader.take_over */
};

/*
 * Attach again what has gone with a removed cgroup, where all else is as it would be loaded: the same cgroups,
 * agent and mode. *ret_attached: how many programs. -EAGAIN: it takes a load. Destinations, and the version
 * of the programs, are not compared.
 */
int node_guard_mend(const struct layout *layout, unsigned *ret_attached, struct pc_err *err);

/* Load and attach, follow the interfaces that there are, end older connections, and say what cannot be seen of
 * other loads. */
int node_guard_up(const struct layout *layout, struct guard_up *ret, struct pc_err *err);
