/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of pods to guarded addresses that are older than the guard. */
#pragma once

#include "net/reset.h"
#include "node/layout.h"

/* End them, but those of exempt and audited pods. The packet filter stops what cannot be ended. What could not
 * be looked at is in the log. */
void node_stale_conns_reset(const struct layout *place, struct reset_report *ret);
