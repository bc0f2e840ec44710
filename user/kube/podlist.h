/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source of names: a file with pods as "kubectl get pods -o json" (or yaml) writes them, or as
 * the kubelet's /pods answers. kind PodList, List (of Pods) or Pod.
 */
#pragma once

#include <stddef.h>

struct pc_err;
struct pod_name;

#define PODLIST_MAX	 (64U << 20)
#define PODLIST_WHY_SIZE 480

struct podlist {
	struct pod_name *pods; /* NULL when n is 0 */
	size_t n;
	size_t skipped; /* items that cannot be used: what a tenant writes costs only its own pod */
	char why[PODLIST_WHY_SIZE]; /* which, and why, of the first ones; one line */
};

void podlist_done(struct podlist *list);

/*
 * What podcred does not ask for is not looked at. An item that cannot be used is left out, and so are
 * all that share a uid without being the same. -EINVAL: the file is no list of pods, or broken, or
 * not one of its items can be used. -EFBIG, -ENOMEM, errno of open and read; err: file, item, field,
 * cause, next step.
 */
int podlist_load(const char *path, struct podlist *ret, struct pc_err *err);

/* The same for text in memory; source names it in messages. JSON when it starts with '{', else
 * YAML. */
int podlist_decode(const char *text, size_t len, const char *source, struct podlist *ret,
		   struct pc_err *err);

/*
 * Notice changes of the file: a descriptor to poll, owned by the caller, on its directory, so that
 * files renamed over it and the swapped symlinks of a ConfigMap volume are seen. Load after
 * opening it. A file that is itself a symlink into another directory is not followed there.
 */
int podlist_watch_open(const char *path);

/* 1: something in the directory changed, load again (it may have been another file, or be half
 * written: then another event follows); 0: nothing; -ENOENT: the directory went away, open a
 * new watch; else -errno. */
int podlist_watch_drain(int fd);
