/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source of names: a file with pods as "kubectl get pods -o json" (or yaml) writes them, or as
 * the kubelet's /pods returns them. Its kind is PodList, List (of Pods) or Pod.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct pc_err;
struct pod_name;

/* A full node, 250 pods, of 1 MiB each: a few large ones must not push out all others. */
#define PODLIST_MAX	 (256U << 20)
#define PODLIST_WHY_SIZE 480

struct podlist {
	struct pod_name *pods; /* NULL when n is 0 */
	size_t n;
	size_t skipped; /* items that cannot be used: what a tenant writes costs only its own pod */
	char why[PODLIST_WHY_SIZE]; /* which, and why, of the first ones; one line */
};

void kube_podlist_done(struct podlist *list);

/*
 * What podcred does not ask for is not looked at. An item that cannot be used is left out, and so are
 * all that share a uid without being the same. -EINVAL: the file is no list of pods, or broken, or
 * not one of its items can be used. -EFBIG, -ENOMEM, errno of open and read; err: file, item, field,
 * cause, next step.
 */
int kube_podlist_load(const char *path, struct podlist *ret, struct pc_err *err);

/* The same for text in memory; source names it in messages. JSON when it starts with '{', else
 * YAML. */
int kube_podlist_decode(const char *text, size_t len, const char *source, struct podlist *ret,
			struct pc_err *err);

/* Notices that there is another file at path, or something else in it, whatever happens to the
 * folders on the way: made late, removed, replaced, mounted over, behind links. */
struct podlist_watch {
	int fd; /* to poll, -EBADF when there is none: look when it is readable, and now and then */
	int error; /* why there is none, for a message */
	const char *path;
	struct stat folder, file; /* as seen last; all zero: none */
	bool again;
};

/* path is not copied. Then look, and load. */
void kube_podlist_watch_start(struct podlist_watch *watch, const char *path);
void kube_podlist_watch_stop(struct podlist_watch *watch);

/* Whether to load the file again; it may be the same one. */
bool kube_podlist_watch_look(struct podlist_watch *watch);
