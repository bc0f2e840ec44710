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

/* Load and attach, follow the interfaces that there are, end older connections, and say what cannot be seen of
 * other loads. */
int node_guard_up(const struct layout *layout, struct guard_up *ret, struct pc_err *err);
