/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failureMode open: the kernel side sends pods to the real address once the agent's lease has
 * ended. This renews it while the agent lives, in a thread of its own, as a probe may take a while.
 */
#pragma once

#include "err.h"

struct lease;

/* mount: cgroup2; it must outlive the lease. To be called in the node's network namespace;
 * does nothing while the loaded configuration says failureMode closed. -errno. */
int lease_start(const char *pin_dir, const char *mount, struct lease **ret, struct pc_err *err);
/* Now and then, from another thread than the one that renews, and may hang: says that it has ended. */
void lease_check(struct lease *lease);

struct lease *lease_stop(struct lease *lease);
