/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces: which ones the processes below a cgroup use, and how to work in one. */
#pragma once

#include <stdint.h>

struct pc_err;

/*
 * Call fn once for each network namespace that a thread of the processes at or below cgroup_dir is
 * in. inode is the number that "net:[...]" shows. path leads to the namespace as long as fn runs,
 * also when the process ends meanwhile. Processes that vanish are skipped; a namespace that no
 * process is in, only a socket, is not found. What fn returns other than 0 ends the walk and is
 * returned.
 * When a process cannot be looked at, the walk goes on and ends with an error: -ESRCH (it is
 * outside our PID namespace) or -errno of /proc, err says which process. -errno of cgroup_dir.
 */
int net_netns_each_below(const char *cgroup_dir,
			 int (*fn)(void *arg, const char *path, uint64_t inode), void *arg,
			 struct pc_err *err);

/* The inode of the namespace that the calling thread is in, 0 or -errno. */
int net_netns_own(uint64_t *ret_inode);

/*
 * Run fn in the namespace at path, in a thread of its own, and return what it returns; the
 * caller's namespace stays as it is. All signals are blocked in that thread. When fn was not run:
 * -errno of open or setns (needs CAP_SYS_ADMIN) or of making the thread.
 */
int net_netns_run(const char *path, int (*fn)(void *arg), void *arg);
