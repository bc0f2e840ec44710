/* SPDX-License-Identifier: Apache-2.0 */
/* What podcred fetch may not ask of the kernel. It makes connections and may start programs, so it has a list of what is
 * refused, not of what is allowed as podcred serve (sandbox.h). */
#pragma once

#include <stdbool.h>

/*
 * For all threads, and the programs that they start, for good: what serves others (listen, accept), traces or changes
 * other processes, changes the system or its own place in it, loads code into the kernel, or has kernel interfaces of
 * its own (io_uring, BPF, keys, user namespaces) fails with EPERM. Unless may_execute: no program is executed, and no
 * process made. refuse: as daemon_sandbox_enter() has it. Sets no_new_privs. -EINVAL, -ENOSYS: this kernel has no seccomp filters.
 */
int daemon_sandbox_fetch_enter(bool may_execute, bool refuse);

/* The same for a process that serves the cluster, as podcred control does: it may listen, and it executes nothing. */
int daemon_sandbox_service_enter(bool refuse);
