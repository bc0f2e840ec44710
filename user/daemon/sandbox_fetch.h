/* SPDX-License-Identifier: Apache-2.0 */
/* What podcred fetch may ask of the kernel, as sandbox.h has it for podcred serve: more, as it makes connections, and much
 * more if it has to execute programs, which it shares its filter with. */
#pragma once

#include <stdbool.h>

/*
 * For all threads, and the programs that they start, for good: what neither getting credentials nor, if may_execute, an
 * ordinary program takes fails with EPERM, and is logged. Serving others (listen, accept), tracing, mounts, namespaces,
 * executable memory without a file, kernel interfaces of their own (BPF, io_uring, keys), and changes of files, of users
 * and of the system are in neither list. Unless may_execute: no program is executed, and no process made. refuse: as
 * daemon_sandbox_enter() has it. Sets no_new_privs. -EINVAL, -ENOSYS: this kernel has no seccomp filters.
 */
int daemon_sandbox_fetch_enter(bool may_execute, bool refuse);

/* The same for a process that serves the cluster, as podcred control does: it may listen, and it executes nothing. */
int daemon_sandbox_service_enter(bool refuse);
