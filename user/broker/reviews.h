/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server says of tokens, kept for a short time, and one question for each token at a time. Where it cannot be
 * asked, the cluster's keys may stand in (judge.h), if the configuration wants that. All on one loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/bind.h"

struct broker_review_wait;
struct broker_reviews;
struct kube_client;
struct loop;

/* Whose token it is to be. */
enum broker_audience {
	BROKER_FOR_CALLER,
	BROKER_FOR_POD,
	BROKER_AUDIENCES,
};

struct broker_verdict {
	int error; /* 0: the token was judged. Else nobody could; why says what is wrong */
	bool good;
	bool by_keys; /* the API server was not asked: the pod may have ended */
	struct broker_token token; /* good */
	const char *why; /* one line; "" when good */
};

/* verdict is valid until it returns. */
typedef void broker_verdict_fn(void *arg, const struct broker_verdict *verdict);

struct broker_reviews_options {
	struct loop *loop;
	struct kube_client *kube;
	const char *audience[BROKER_AUDIENCES];
	bool keys_may_do; /* when the API server does not answer */
};

/* -ENOMEM. */
int broker_reviews_new(const struct broker_reviews_options *options, struct broker_reviews **ret);

/* Nobody is called. Returns NULL; NULL is fine. */
struct broker_reviews *broker_reviews_free(struct broker_reviews *reviews);

/* The cluster's keys: JSON text, and n_issuers, of which a token names one. Copied. */
void broker_reviews_set_keys(struct broker_reviews *reviews, const char *jwks, size_t len,
			     const char *const *issuers, size_t n_issuers);

/*
 * True: *ret is the answer, valid until the loop goes on or the next call; fn is not called. False: it will be, unless it is
 * cancelled: *ret_wait.
 */
bool broker_reviews_ask(struct broker_reviews *reviews, enum broker_audience audience,
			const char *token, broker_verdict_fn *fn, void *arg,
			struct broker_verdict *ret, struct broker_review_wait **ret_wait);

/* Returns NULL; NULL is fine. */
struct broker_review_wait *broker_review_cancel(struct broker_review_wait *wait);

struct broker_review_counts {
	size_t kept;
	unsigned long asked, failed, by_keys; /* since the start */
};

struct broker_review_counts broker_reviews_counts(const struct broker_reviews *reviews);
