/* SPDX-License-Identifier: Apache-2.0 */
/* The counters as text for Prometheus (exposition format 0.0.4). */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "node/guard.h"

/*
 * now_ns: CLOCK_BOOTTIME. guard NULL: podcred is not loaded; says no more than that. What this
 * process may not ask the kernel is left out, as a 0 would be a false alarm. Owned by the caller;
 * NULL when there is no memory.
 */
char *node_metrics_text(const struct guard *guard, uint64_t now_ns);

/* node_metrics_text of what is pinned there. -ENOENT: not loaded. */
int node_metrics_read(const char *pin_dir, const char *mount, char **ret, struct pc_err *err);

/* ---- the same in a file, for the textfile collector of node_exporter ---- */

struct metrics_file;

/* Whether a file can be written there. path may be NULL. */
int node_metrics_check(const char *path, struct pc_err *err);

/*
 * Write it now and every 15 seconds. In a thread of its own, the only one beside the loop: what is asked
 * may take seconds when something is wrong, and the disk may be full or stall, for which no descriptor
 * can be waited for. It also tells of a loop that hangs (podcred_resolver_running). What goes wrong
 * is logged, once. path NULL: nothing is done. The strings must outlive it. -errno.
 */
int node_metrics_start(const char *path, const char *pin_dir, const char *mount,
		       struct metrics_file **ret, struct pc_err *err);

/* End it and remove the file; waits for a write that has begun. NULL is fine. */
struct metrics_file *node_metrics_stop(struct metrics_file *file);
