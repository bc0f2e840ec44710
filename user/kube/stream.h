/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts an answer of the Kubernetes API into its objects while it arrives, however long it is: a list
 * into its items, a watch into its lines. An object is only delimited here, by its brackets and
 * strings; what is inside is for the reader of project.h to judge. At most one object is in memory.
 */
#pragma once

#include <stddef.h>

struct kube_stream;
struct pc_err;

/* etcd takes objects of 1.5 MB. As JSON one may be larger, but no pod that somebody wants is. */
#define KUBE_STREAM_MAX	  (4U << 20)
#define KUBE_STREAM_DEPTH 10240 /* of brackets; an API server reads none deeper than 10,000 */

enum kube_stream_kind {
	KUBE_STREAM_LIST, /* {"kind":"PodList","metadata":{...},"items":[OBJECT,...]}, in any order */
	KUBE_STREAM_LINES, /* OBJECT newline OBJECT newline ... */
};

struct kube_stream_events {
	/* The next object, without the space around it; not NUL-terminated, valid during the call. What
	 * is returned, if it is negative, ends the stream. */
	int (*object)(void *arg, const char *json, size_t len, struct pc_err *err);
	/* There was one of more than KUBE_STREAM_MAX bytes, which are lost. */
	void (*skipped)(void *arg);
};

/* What a list says of itself. Strings that are missing are empty. */
struct kube_stream_list {
	const char *kind;
	const char *version; /* resourceVersion */
	const char *next; /* the continue token: there is another page */
};

/* events and arg have to outlive the stream. -ENOMEM. */
int kube_stream_new(enum kube_stream_kind kind, const struct kube_stream_events *events, void *arg,
		    struct kube_stream **ret);

/* Returns NULL; NULL is fine. */
struct kube_stream *kube_stream_free(struct kube_stream *stream);

/*
 * The next bytes, any number of them: where the answer is split changes nothing. 0; -EINVAL: this is
 * no list, err says why and where; -ENOMEM; or what object() has returned. After an error it returns
 * that again.
 */
int kube_stream_feed(struct kube_stream *stream, const char *data, size_t len, struct pc_err *err);

/* The answer has ended. -EINVAL: not where it may. ret: of a list, valid as long as the stream; NULL for
 * lines. */
int kube_stream_end(struct kube_stream *stream, struct kube_stream_list *ret, struct pc_err *err);
