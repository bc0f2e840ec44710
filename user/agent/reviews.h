/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of pods that podcred fetch has the API server judge. A pod has one question in flight, and after a token that
 * was refused its next one waits, so that nobody has the API server asked as often as he likes.
 *
 * Any thread may ask. The functions of the second half are for the thread of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <podcred/podcred.h>

#include "crypto/hash.h"
#include "upstream/message.h"

struct agent_reviews;
struct loop;

#define REVIEWS_MAX	 256 /* of all pods, open or at rest */
#define REVIEWS_REST_MS	 1000 /* after a token that was refused */
#define REVIEWS_LOST_S	 10 /* an answer that has not come by then never will */
#define REVIEWS_FIRST_ID (1ULL << 62) /* other questions have smaller ones */

/* Who sent which token. */
struct agent_review {
	struct podcred_peer peer;
	uint8_t hash[CRYPTO_SHA256_SIZE]; /* of the token */
	enum upstream_purpose purpose;
	uint64_t trust; /* whoever asks knows what it is */
};

struct agent_reviews_options {
	struct loop *loop;
	/* In the thread of the loop, as upstream_send(). */
	int (*ask)(void *arg, const struct upstream_message *question);
	void *ask_arg;
	/* In the thread of the loop, without a lock: a VERDICT or a REFUSAL. */
	void (*answered)(void *arg, const struct agent_review *review,
			 const struct upstream_message *answer);
	void *answered_arg;
};

int agent_reviews_new(const struct agent_reviews_options *options, struct agent_reviews **ret);

/* When no thread asks any more, and before the loop is freed. NULL is fine. */
void agent_reviews_free(struct agent_reviews *reviews);

/* -EINPROGRESS: answered() comes, for this token or for the one before it, or it never does; -EBUSY: ask later;
 * -ENOMEM. */
int agent_reviews_ask(struct agent_reviews *reviews, const struct agent_review *review,
		      const char *token, size_t len);

/* ---- in the thread of the loop ---- */

/* The other end is there, or has gone: what was asked is asked again. */
void agent_reviews_connected(struct agent_reviews *reviews, bool connected);

/* An answer; others are ignored. */
void agent_reviews_told(struct agent_reviews *reviews, const struct upstream_message *m);

/* Once a second or so: gives up what was lost. */
void agent_reviews_sweep(struct agent_reviews *reviews);
