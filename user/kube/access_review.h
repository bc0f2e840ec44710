/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the API server would let somebody do something (SubjectAccessReview): for those who act on behalf of others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct kube_access_review;
struct kube_client;
struct pc_err;

/* One key of user.extra, as an authenticator has set it. */
struct kube_access_extra {
	const char *key;
	const char *const *values; /* up to a NULL */
};

struct kube_access_question {
	/* Who. All of it comes from an authenticator, and is passed on as it is: UTF-8. */
	const char *user; /* not empty */
	const char *uid; /* NULL: none */
	const char *const *groups; /* up to a NULL; NULL: none */
	const struct kube_access_extra *extra;
	size_t n_extra;
	/* What. Empty strings would mean "any" to some authorizers, so NULL and "" are both left out. */
	const char *verb, *group, *resource, *subresource;
	const char *name_space; /* NULL: in all of them, or of a kind without */
	const char *name; /* NULL: any */
};

struct kube_access_result {
	/* 0: the API server has decided. Else as kube_token_review_result has it: -EPERM, -EPROTO, -EAGAIN ... */
	int error;
	bool allowed; /* only if error is 0, no authorizer denies it, and one allows it */
	/* One line for people: why there is no decision, with the next step, or why it is refused; empty: allowed. */
	const char *why;
};

/*
 * The question is copied. done is called once, never before this has returned, unless it is cancelled; the pointer is
 * void then, and so is the result when done returns. -EINVAL: nobody is asked about; -ENOMEM.
 */
int kube_access_review_start(struct kube_client *client,
			     const struct kube_access_question *question,
			     void (*done)(void *arg, const struct kube_access_result *result),
			     void *arg, struct kube_access_review **ret, struct pc_err *err);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct kube_access_review *kube_access_review_cancel(struct kube_access_review *review);
