/* SPDX-License-Identifier: Apache-2.0 */
/* The counters as text for Prometheus (exposition format 0.0.4). */
#pragma once

#include <stdint.h>

#include "err.h"
#include "guard.h"

/*
 * now_ns: CLOCK_BOOTTIME. guard NULL: podcred is not loaded; says no more than that. What this
 * process may not ask the kernel is left out, as a 0 would be a false alarm. Owned by the caller;
 * NULL when there is no memory.
 */
char *metrics_text(const struct guard *guard, uint64_t now_ns);

/* metrics_text of what is pinned there. -ENOENT: not loaded. */
int metrics_read(const char *pin_dir, const char *mount, char **ret, struct pc_err *err);

/* ---- the same in a file, for the textfile collector of node_exporter ---- */

struct metrics_file {
	const char *path; /* NULL: none, and nothing here does anything */
	const char *pin_dir, *mount;
	uint64_t next_ns; /* CLOCK_BOOTTIME */
	int error; /* of the last write */
};

/* Whether a file can be written there. path may be NULL. */
int metrics_check(const char *path, struct pc_err *err);

/* Write it when it is due; log what goes wrong, once. */
void metrics_tick(struct metrics_file *file);

/* Remove it: nobody keeps it right any more. */
void metrics_done(const struct metrics_file *file);
