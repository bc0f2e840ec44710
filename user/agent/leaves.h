/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What podcred fetch has said about each pod: credentials until they end, a refusal until it is time to ask again. A
 * pod has one leaf and at most one question in flight. Credentials are given out while they live, also when a newer
 * answer is being asked for (but see LEAVES_SPENT_S), or could not be had. The leaf that was not used for longest makes room.
 *
 * Any thread may ask. All talk with fetch is in the thread of the loop, where the functions of the second half are to
 * be called.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "agent/told.h"

struct agent_leaves;
struct loop;
struct podcred_peer;

#define LEAVES_MAX 4096

/* How long a refusal is given out at least: whoever waits for the answer sees it. */
#define LEAVES_REFUSAL_MIN_MS 250
/* Two questions about a pod that has credentials are at least so far apart. */
#define LEAVES_REFRESH_MIN_MS 1000
/* With less than that left, SDKs take credentials for nearly spent and come again soon: newer ones, which fetch has
 * as a rule, are waited for, but only for a moment. */
#define LEAVES_SPENT_S	 (20 * 60)
#define LEAVES_MOMENT_MS 200
/* An answer that has not come by then never will. */
#define LEAVES_LOST_S 60

struct agent_leaves_options {
	struct loop *loop;
	/* In the thread of the loop, as upstream_send(). */
	int (*ask)(void *arg, const struct upstream_message *question);
	void *ask_arg;
	/* In the thread of the loop, without a lock: who waits for this key asks again. */
	void (*wake)(void *arg, uint64_t key);
	void *wake_arg;
	size_t max; /* leaves; 0: LEAVES_MAX */
};

int agent_leaves_new(const struct agent_leaves_options *options, struct agent_leaves **ret);

/* When no thread asks any more, and before the loop is freed. NULL is fine. */
void agent_leaves_free(struct agent_leaves *leaves);

/* What whoever waits for the pod's answer is parked under; no other key is the same. */
uint64_t agent_leaves_key(const struct podcred_peer *peer);
bool agent_leaves_is_key(uint64_t key);

/*
 * peer has its name. token: of the request, may be NULL. now: wall clock. 0 with *ret, to be given back;
 * -EINPROGRESS: it is being asked for; -ENOMEM.
 */
int agent_leaves_get(struct agent_leaves *leaves, const struct podcred_peer *peer,
		     const char *token, size_t token_len, time_t now, struct agent_told **ret);

/* ---- in the thread of the loop ---- */

/* The other end is there, or has gone: what was asked is asked again. */
void agent_leaves_connected(struct agent_leaves *leaves, bool connected);

/* A grant, refusal, flush, or gone. Answers that nobody waits for any more are ignored, and other messages. now: wall
 * clock. */
void agent_leaves_told(struct agent_leaves *leaves, const struct upstream_message *m, time_t now);

/* Once a second or so: wipes what has ended, and gives up what was lost. */
void agent_leaves_sweep(struct agent_leaves *leaves, time_t now);

struct agent_leaves_counts {
	size_t leaves, granted, in_flight;
	bool connected;
	uint64_t questions; /* sent */
	uint64_t grants[UPSTREAM_CACHE_MAX], refusals[UPSTREAM_REASON_MAX], lost; /* answers */
	uint64_t kept; /* what was here was an answer */
	uint64_t evicted;
};

/* From any thread. */
void agent_leaves_count(struct agent_leaves *leaves, struct agent_leaves_counts *ret);
