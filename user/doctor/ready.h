/* SPDX-License-Identifier: Apache-2.0 */
/* Probes for a kubelet: cheap, with the rights of the container that they run in. */
#pragma once

#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"

/*
 * Connect to the agent as any pod may, and have it say whom it sees. To be called in the agent's own pod:
 * then the connection is stamped, and 0 says that a stamp comes from connect(2) to the agent by all the programs
 * in between. pod_uid, which may be NULL: that the agent of just this pod has answered, and has seen
 * this pod, so that its name is known, too. Of several addresses one is enough.
 */
int doctor_ready_agent(const struct net_addr *agents, size_t n, const char *pod_uid,
		       struct pc_err *err);

/* Whether a resolver follows the pods of the load that is pinned there: it has said so within seconds. */
int doctor_ready_resolver(const char *pin_dir, struct pc_err *err);
