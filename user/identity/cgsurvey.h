/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One bounded walk of a cgroup tree: the kubepods directories in it, and what looks like a pod or
 * like a container of Kubernetes, wherever it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stddef.h>

#include "identity/pod.h"

enum cgsurvey_kind {
	CGSURVEY_KUBEPODS,
	CGSURVEY_POD, /* by its name, below a kubepods or not */
	CGSURVEY_CONTAINER, /* of a runtime of Kubernetes, in no pod */
};

struct cgsurvey_entry {
	enum cgsurvey_kind kind;
	char *path; /* absolute */
	bool populated; /* it has processes */
	long kubepods; /* index of the kubepods that a pod is in; -1: none */
	char uid[POD_UID_SIZE]; /* of a pod */
	bool is_static;
	size_t pods, pods_populated; /* of a kubepods */
};

struct cgsurvey {
	struct cgsurvey_entry *v; /* the nearest first */
	size_t n, room;
};

/* Does not look into pods, into containers (a kind cluster) without this flag, nor into user.slice
 * (delegated to users who may make any name). */
#define CGSURVEY_CONTAINERS (1U << 0)

#define CGSURVEY_DEPTH	  6 /* levels down that a kubepods may be */
#define CGSURVEY_DIRS_MAX 65536

/* -E2BIG: more directories than that; other -errno of start. cgsurvey_done also after a failure. */
int cgsurvey_take(const char *start, unsigned flags, struct cgsurvey *ret);
void cgsurvey_done(struct cgsurvey *survey);

/* The same in steps, for a loop that has other things to do. Each looks at so many entries of directories: 1, there are
 * more; 0, that was all of it; -errno as above. What was found is the walk's; free returns NULL, and NULL is fine. */
struct cgsurvey_walk;
int cgsurvey_walk_start(const char *start, unsigned flags, struct cgsurvey_walk **ret);
int cgsurvey_walk_on(struct cgsurvey_walk *walk, size_t entries);
const struct cgsurvey *cgsurvey_walk_found(const struct cgsurvey_walk *walk);
struct cgsurvey_walk *cgsurvey_walk_free(struct cgsurvey_walk *walk);

/*
 * The directory in which the kubelet of this kubepods and its runtime make their cgroups, owned by
 * the caller: the one above, of systemd's nested slices the one above all of them. Other kubelets
 * (kind, tests) have others. NULL: no memory.
 */
char *cgsurvey_realm(const char *mount, const char *kubepods);

/* What is in there; containers are not looked into. 0, -ENOMEM, or as cgsurvey_take. */
int cgsurvey_around(const char *mount, const char *kubepods, struct cgsurvey *ret);
