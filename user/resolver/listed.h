/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods that the list calls running, compared with the processes below kubepods. If there are
 * some and none of them is there, the wrong directory is guarded, or the list is of another node or
 * very old.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "identity/cgsurvey.h"
#include "identity/pod.h"

struct listed {
	char (*uids)[2][POD_UID_SIZE]; /* of running pods: uid, and hash of a static one */
	size_t n;
	uint64_t absent_ns; /* CLOCK_MONOTONIC: since when none is there; 0: one is */
};

/* In place of what was there. -ENOMEM: it stays. */
int resolver_listed_set(struct listed *listed, const struct pod_name *pods, size_t n);
void resolver_listed_done(struct listed *listed);

/* How many pods should run below kubepods of which, for a while now, none does. survey: of what is
 * around it; NULL: cannot be told. */
size_t resolver_listed_absent(struct listed *listed, const struct cgsurvey *survey,
			      const char *kubepods, uint64_t now_ns);
