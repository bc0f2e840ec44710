/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch, for its own files: watch.c makes the requests, watch_objects.c takes what they bring,
 * watch_state.c says how it goes.
 */
#pragma once

#include "base/err.h"
#include "kube/known.h"
#include "kube/stream.h"
#include "kube/watch.h"

enum watch_phase {
	WATCH_WAIT, /* for the timer */
	WATCH_LIST,
	WATCH_FOLLOW,
};

struct kube_watch {
	struct kube_client *client;
	struct kube_watch_options options; /* its strings only in kube_watch_new() */
	char *path; /* "/api/v1/pods", or "/api/v1/pods?QUERY" */
	char *resource;
	struct kube_watch_events events;
	void *arg;

	enum watch_phase phase, after_wait; /* the second one: when the timer ends */
	struct loop_timer *timer;
	struct kube_call *call;
	struct kube_stream *stream; /* of an answer with status 200 */

	/* The answer. */
	unsigned status;
	uint64_t retry_after_ns;
	char *body; /* of one with another status: the beginning */
	size_t body_len;
	int failure; /* what ended it from this side, negative: see error; 0: nothing did */
	enum kube_watch_error error; /* then */
	unsigned error_code; /* of an ERROR event, as if it were the answer's status; 0: none */
	struct pc_err why;

	/* What to ask for. */
	char version[KUBE_VERSION_SIZE]; /* the last one heard of; empty: none yet */
	char *next; /* the next page */
	bool fresh; /* the version is of no use: read the list as it is now */
	bool whole; /* pages expire before they are read: not in pages */

	/* How it went. */
	uint64_t opened_ns; /* the answer began, CLOCK_BOOTTIME */
	uint64_t came; /* events and bookmarks of this answer */
	uint64_t failed_ns; /* last */
	unsigned failures; /* in a row */

	struct kube_known known;
	uint64_t list; /* the number of the present one, or the last one */
	size_t nameless; /* objects of it, and of events since then, that cannot be used and have no uid */
	struct kube_watch_state now, told;
};

/* ---- watch_objects.c ---- */

/* For the stream. */
extern const struct kube_stream_events kube_watch_items, kube_watch_lines;

/* The list is complete: what it had not is gone. */
void kube_watch_sweep(struct kube_watch *watch);

/* ---- watch_state.c ---- */

/* Printable, and cut: what is in it comes from anybody. */
void kube_watch_set_line(char to[KUBE_WATCH_WHY_SIZE], const char *from);

/* The message of a Status object, as a line; empty: there is none. code: its code, or 0. */
void kube_watch_read_status(const char *json, size_t len, char ret[KUBE_WATCH_WHY_SIZE],
			    unsigned *ret_code);

/* In touch, with nothing wrong; or not, with why. */
void kube_watch_set_touch(struct kube_watch *watch, bool in_touch);

/* What is known is complete as of now. */
void kube_watch_hear(struct kube_watch *watch);

/* Calls state() when there is news. */
void kube_watch_tell(struct kube_watch *watch);
