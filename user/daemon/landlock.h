/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: what a process may do to files, whatever its user may. */
#pragma once

#include <stdbool.h>

/*
 * For this thread and those that it starts, for good: no file is made, changed, removed or, unless may_execute,
 * executed; /dev/null may be written to. Sets no_new_privs. -ENOSYS, -EOPNOTSUPP: this kernel has no Landlock.
 */
int daemon_landlock_read_only(bool may_execute);
