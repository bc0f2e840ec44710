/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server says of a token (TokenReview), for clusters whose keys cannot be had. Beside the signature it
 * knows whether pod and service account still exist; for up to ten seconds it may answer from its cache.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct kube_client;
struct kube_token_review;
struct pc_err;

#define KUBE_TOKEN_MAX	   8192 /* characters of a token */
#define KUBE_AUDIENCES_MAX 4

struct kube_token_review_result {
	/* 0: the API server has judged the token. Else as http_result has it; -EPERM: we may not ask; -EPROTO: what
	 * it sends is no TokenReview; -EAGAIN: it is not well. */
	int error;
	/* One line for people: why there is no judgement, with the next step, or why the token is refused. Nothing
	 * of the token is in it. */
	const char *why;
	bool authenticated; /* and for the audience that was asked for */
	/* Of an authenticated token; empty: it does not say. */
	const char *name_space, *service_account; /* both empty: not a service account's */
	const char *pod_name, *pod_uid;
	const char *node_name, *node_uid; /* from Kubernetes 1.30 on */
};

/*
 * audiences: what the token has to be for, one of them, up to NULL; KUBE_AUDIENCES_MAX at most, and they have to
 * outlive this. An answer that repeats none does not count. done is called once,
 * unless this is cancelled; the pointer is void then, and so is the result when done returns. Copies of the token are
 * wiped. -EINVAL: it has characters that no token has, or too many of them; -ENOMEM.
 */
int kube_token_review_start(struct kube_client *client, const char *token,
			    const char *const *audiences,
			    void (*done)(void *arg, const struct kube_token_review_result *result),
			    void *arg, struct kube_token_review **ret, struct pc_err *err);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct kube_token_review *kube_token_review_cancel(struct kube_token_review *review);
