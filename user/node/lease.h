/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failureMode open: the BPF programs send pods to the real address once the agent's lease has
 * ended. This file renews it while the agent lives.
 *
 * It is a timer of the resolver's loop and has no thread of its own, so a resolver that hangs does
 * not renew it: anything that blocks the loop for longer than the lease ends the lease.
 */
#pragma once

#include "base/err.h"

struct lease;
struct loop;

/* mount: cgroup2. It and the loop must outlive the lease. To be called in the node's network namespace;
 * does nothing while the loaded configuration says failureMode closed. -errno. */
int node_lease_start(struct loop *loop, const char *pin_dir, const char *mount, struct lease **ret,
		     struct pc_err *err);

/* Returns NULL; NULL is fine. */
struct lease *node_lease_stop(struct lease *lease);
