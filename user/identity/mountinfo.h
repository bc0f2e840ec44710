/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/mountinfo: text in, the cgroup2 mount out. No I/O except in usable(). */
#pragma once

#include <stdbool.h>

struct mountinfo_pick {
	const char *path; /* mount point, in the text that was given; NULL: none */
	bool saw_v1; /* there are cgroup v1 hierarchies */
};

/*
 * The cgroup2 mount that shows the most: in a container the host's hierarchy may be mounted next
 * to the container's own, and only the host's holds all pods. Of several, the one with the shortest path.
 * text is rewritten in place.
 * usable: whether a mount point is what the line says, not covered by another mount.
 */
struct mountinfo_pick mountinfo_pick_cgroup2(char *text, bool (*usable)(const char *path));
