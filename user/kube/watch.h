/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows all objects of one path of the Kubernetes API: lists them in pages, then watches, and
 * starts again where that breaks. It reports what exists, never what merely could not be asked: an
 * API server that is away for hours costs no object.
 *
 * Everything happens on the loop of the client. No function of struct kube_watch_events is called
 * before kube_watch_new() has returned or after kube_watch_free(), and none may call that. Nothing is
 * logged here: state() has a line for people.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/project.h"

struct kube_client;
struct kube_watch;
struct loop;
struct pc_err;

#define KUBE_WATCH_WHY_SIZE 512

/* What tells objects apart. Valid during the call. */
struct kube_object_id {
	const char *uid; /* no two objects have the same one, not even one after the other */
	const char *name_space; /* empty: the object is not in one */
	const char *name;
};

/* Why something did not go as it should; each is counted. */
enum kube_watch_error {
	KUBE_WATCH_UNREACHABLE, /* no connection, or it broke: DNS, TCP, TLS */
	KUBE_WATCH_SILENT, /* nothing came for longer than there are bookmarks: half open */
	KUBE_WATCH_UNAUTHORIZED, /* 401, with fresh credentials too */
	KUBE_WATCH_FORBIDDEN, /* 403 */
	KUBE_WATCH_BUSY, /* 429, 503 */
	KUBE_WATCH_EXPIRED, /* 410: what comes after the last known version is forgotten */
	KUBE_WATCH_STATUS, /* any other status */
	KUBE_WATCH_MALFORMED, /* no JSON, no list, no event, or cut off in the middle */
	KUBE_WATCH_REFUSED, /* put() had no memory, or could not do it now */
	KUBE_WATCH_ERRORS,
};

/* One word, as a label of a metric. */
const char *kube_watch_error_name(enum kube_watch_error error);

struct kube_watch_state {
	bool in_touch; /* what is known is what exists: a list was read, and changes are followed */
	bool listed; /* a list has been read to its end, sometime */
	uint64_t since_ns; /* CLOCK_BOOTTIME: since when in_touch is what it is */
	uint64_t
		heard_ns; /* CLOCK_BOOTTIME: when what is known was last known to be complete: the end of
			      a list, then each event and bookmark; 0: never */
	char why[KUBE_WATCH_WHY_SIZE]; /* what is wrong, and the next step: one line; empty: nothing */
	size_t objects; /* that exist and can be used */
	size_t unusable; /* that exist and cannot */
	char unusable_why[KUBE_WATCH_WHY_SIZE]; /* one of those: which, and why; one line */
	/* since the start */
	uint64_t lists, watches, events, bookmarks;
	uint64_t errors[KUBE_WATCH_ERRORS];
};

struct kube_watch_events {
	/*
	 * The object exists, and is like this: of a list, or added, or changed (what changed may be
	 * nothing that the shape names). -EINVAL: it cannot be used, err says why; it is then as if it did
	 * not exist, but counted. Any other error: the list is read again after a while.
	 */
	int (*put)(void *arg, const struct kube_object_id *id, const json_t *object,
		   struct pc_err *err);
	/* It was deleted, or is in no list any more, or cannot be used any more. Only after a put() that
	 * succeeded. */
	void (*gone)(void *arg, const struct kube_object_id *id);
	/* A list was read to its end, and all that is gone has been reported: this is what exists. */
	void (*listed)(void *arg);
	/* Something of it has changed, other than times and counters. May be NULL. */
	void (*state)(void *arg, const struct kube_watch_state *state);
};

struct kube_watch_options {
	const char *path; /* "/api/v1/pods" */
	/*
	 * "fieldSelector=spec.nodeName%3Dn1", URL-encoded; NULL: none. Never by what can change about an object,
	 * such as its labels: when it leaves the selection, the API reports it as deleted, and what was deleted is
	 * not expected back (its uid is never used again), so it would be missing from then on.
	 */
	const char *query;
	const char *resource; /* for messages: "pods" */
	/* What put() needs of an object. The members of its metadata include uid, namespace, name and
	 * resourceVersion. */
	const struct project_shape *shape;
	/* 0: as everybody should have it. Milliseconds, for tests. */
	unsigned idle_ms; /* of a watch on which nothing comes */
	unsigned backoff_ms, backoff_max_ms;
};

/* Both structs are copied, and so are the strings; shape and client have to outlive the watch. The
 * first request is made from the loop. -ENOMEM. */
int kube_watch_new(struct loop *loop, struct kube_client *client,
		   const struct kube_watch_options *options, const struct kube_watch_events *events,
		   void *arg, struct kube_watch **ret);

/* Reports nothing. Returns NULL; NULL is fine. */
struct kube_watch *kube_watch_free(struct kube_watch *watch);

/* As of now, times and counters too. */
const struct kube_watch_state *kube_watch_state(struct kube_watch *watch);
