/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials that were fetched, by key: a text that stands for everything that changes the answer. Pods with the
 * same key share one entry.
 *
 *   - One flight per key: whoever asks meanwhile waits for it.
 *   - Credentials are refreshed about half-way through their life, at random around that, if somebody has asked for
 *     them since they came. The old ones are given out while they live, whatever becomes of the refresh; except that
 *     they are dropped at once when nothing is associated any more.
 *   - A failure is kept too, and given out until it is time to try again.
 *   - An entry goes with the last pod that used it, or when its credentials have ended and nobody has asked since.
 *
 * Pure logic: clock, random numbers and fetching are the owner's. All in one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fetch/result.h"

struct pc_err;
struct fetch_cache;
struct fetch_flight;
struct fetch_wait;

#define FETCH_KEY_MAX 128 /* bytes of a key */
#define FETCH_POD_MAX 64 /* bytes of a pod's uid */

struct fetch_clock {
	void *arg; /* of the functions */
	uint64_t (*now)(
		void *arg); /* nanoseconds; a clock that nobody sets and that does not stop */
	uint32_t (*random)(void *arg);
	/* fetch_cache_turn() is due then (in terms of now). Replaces what was said before. */
	void (*wake)(void *arg, uint64_t at_ns);
};

struct fetch_cache_options {
	struct fetch_clock clock;
	void *arg; /* of the functions that follow */
	/*
	 * Begins to fetch. fetch_flight_end() follows once, not before this has returned, unless it is
	 * cancelled. request stays as it is until then. -errno: err says why.
	 */
	int (*start)(void *arg, void *request, struct fetch_flight *flight, void **ret_job,
		     struct pc_err *err);
	void (*cancel)(void *arg, void *job);
	void (*free_request)(void *request);
	size_t max_pods; /* then the one that has not asked for longest is forgotten */
	size_t max_flights; /* at a time; the others queue, and those that somebody waits for go first */
	size_t max_waits; /* of one entry; then who asks is told to come again */
};

int fetch_cache_new(const struct fetch_cache_options *options, struct fetch_cache **ret);

/* Cancels all flights; nobody who waits is called. Returns NULL; NULL is fine. */
struct fetch_cache *fetch_cache_free(struct fetch_cache *cache);

enum fetch_state {
	FETCH_HIT, /* it was there */
	FETCH_MISS, /* it was fetched for this question */
	FETCH_REFRESH, /* it was there, and is being fetched again */
	FETCH_STALE, /* it was there, and the last attempt to get a newer one failed */
};

/* "hit", "miss", "refresh", "stale". */
const char *fetch_state_name(enum fetch_state state);

struct fetch_answer {
	enum fetch_class class;
	enum fetch_state state;
	const struct fetch_value *value; /* granted */
	const char *why; /* else: one line, never NULL */
	uint64_t good_ns; /* granted: from now; 0: without end */
	/* Granted: from then on there may be newer ones. Else: until then the answer is the same. From now. */
	uint64_t again_ns;
};

/* What answer points to is valid while this is called. It may ask anything of the cache, and drop anything. */
typedef void fetch_answer_fn(void *arg, const struct fetch_answer *answer);

struct fetch_question {
	const char *pod; /* uid. It has one key at a time: the one it asked for last */
	const char *key;
	void *request; /* for start(); the cache's from here on. The last one of a key is the one that is used */
	fetch_answer_fn *done;
	void *arg;
};

/* True: *ret is the answer, valid until the next call; done is not called. False: it will be, unless it is
 * cancelled; ret_wait (may be NULL) for that. */
bool fetch_cache_ask(struct fetch_cache *cache, const struct fetch_question *question,
		     struct fetch_answer *ret, struct fetch_wait **ret_wait);

/* done is not called any more. Returns NULL; NULL is fine. */
struct fetch_wait *fetch_wait_cancel(struct fetch_wait *wait);

/* The end of a flight: its job is over. */
void fetch_flight_end(struct fetch_flight *flight, const struct fetch_result *result);

/* That pod has ended: what only it has used is wiped. */
void fetch_cache_gone(struct fetch_cache *cache, const char *pod);

/* These credentials were refused where they were used. If the entry still has them, they are dropped. */
void fetch_cache_reject(struct fetch_cache *cache, const char *key, const char *access_key_id);

/* There are newer ones, as it seems: they are got when somebody asks next, who still has the old ones. */
void fetch_cache_renew(struct fetch_cache *cache, const char *key);

/* What is due by now. */
void fetch_cache_turn(struct fetch_cache *cache);

struct fetch_cache_counts {
	size_t entries, pods, flights, queued, waits;
};

struct fetch_cache_counts fetch_cache_counts(const struct fetch_cache *cache);
