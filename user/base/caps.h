/* SPDX-License-Identifier: Apache-2.0 */
/* What a process may do, according to /proc, and giving up what it does not need. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bits 1 << CAP_... of <linux/capability.h>. */
struct caps {
	uint64_t effective, permitted, bounding;
};

#define CAPS_BIT(cap) (1ULL << (cap))

/* Of that process; 0: of this one. -errno: it is gone, or /proc hides it. */
int caps_read(int pid, struct caps *ret);

/* The names of those in want that this process does not have, with commas between; "" when it has
 * them all. CAP_SYS_ADMIN stands for CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, as with bpf(2). */
const char *caps_lacking(uint64_t want, char *buf, size_t size);

/*
 * Give up for good all capabilities but those in keep: the bounding set, and that root is root when a
 * program is executed. One without CAP_SETPCAP cannot; it has no_new_privs (the caller sees to it), so
 * it gets nothing from there. Before a change of user, which it then outlives.
 */
void caps_bound(uint64_t keep);

/* After it: permitted and effective are what is in keep and was there; inheritable and ambient are
 * empty. Of this thread: call it before others start. -errno. */
int caps_keep(uint64_t keep);
