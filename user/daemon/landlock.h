/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: what a process may do to files, whatever its user may. */
#pragma once

#include <stdbool.h>

/*
 * For this thread and those that it starts, for good: no file is made, changed, removed or, unless may_execute,
 * executed; /dev/null may be written to. Sets no_new_privs. -ENOSYS, -EOPNOTSUPP: this kernel has no Landlock.
 */
int daemon_landlock_read_only(bool may_execute);

/*
 * Also, nothing is read but what is below these directories; NULL ends them. One that cannot be opened now can never be
 * read. Descriptors that are open stay as they are.
 */
int daemon_landlock_read_below(const char *const *directories);
