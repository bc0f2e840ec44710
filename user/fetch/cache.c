// SPDX-License-Identifier: Apache-2.0
#include "fetch/cache.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/keyed.h"

#define ENDLESS_NS (3600 * CLOCK_S) /* credentials without an end are asked for again after that */
#define MARGIN_NS                                                                                  \
	(15 * CLOCK_S) /* this much before their end they are not given out any more ... */
#define MARGIN_SHARE  16 /* ... or that share of their life, if that is less */
#define SLACK_NS      (30 * CLOCK_S) /* a refresh has ended by then, in most cases ... */
#define SLACK_SHARE   20 /* ... or that share of their life */
#define LEAST_LIFE_NS CLOCK_S /* of what comes */
#define FORGET_NS     (300 * CLOCK_S) /* a failure that nobody has asked about since */
#define WHY_MAX	      256

struct pod;
TAILQ_HEAD(entries, cached);
TAILQ_HEAD(pods, pod);
LIST_HEAD(waits, fetch_wait);

struct fetch_wait {
	LIST_ENTRY(fetch_wait) link;
	struct fetch_cache *cache;
	struct cached *entry; /* NULL: it is being answered */
	fetch_answer_fn *done;
	void *arg;
};

struct failure {
	enum fetch_class class; /* FETCH_GRANTED: none */
	unsigned in_a_row;
	uint64_t retry_ns, at_ns;
	char why[WHY_MAX];
};

/* A flight is its entry: there is one at a time. */
struct cached {
	struct keyed by_key;
	struct fetch_cache *cache;
	TAILQ_ENTRY(cached) link;
	TAILQ_ENTRY(cached) queue;
	char key[FETCH_KEY_MAX + 1];
	unsigned pods; /* that use it */

	void *request, *newer; /* newer: what came while the other one was being used */
	void *job;
	bool flying, queued;
	struct waits waits;
	size_t n_waits;

	struct fetch_value *value; /* NULL: none */
	uint64_t ends_ns, refresh_ns; /* of the value; ends_ns 0: never */
	uint64_t life_ns;
	bool used; /* since the value came */
	struct failure failure;
};

struct fetch_flight {
	struct cached entry;
};

struct pod {
	struct keyed by_uid;
	TAILQ_ENTRY(pod) link;
	struct cached *entry; /* NULL: it went before the pod did */
	char uid[FETCH_POD_MAX + 1];
};

struct fetch_cache {
	struct fetch_cache_options options;
	void *by_key, *by_uid;
	struct entries entries, queue;
	struct pods pods; /* the one that has not asked for longest first */
	struct fetch_cache_counts n;
	uint64_t wake_ns; /* as told; 0: not at all */
};

const char *fetch_state_name(enum fetch_state state)
{
	static const char *const names[] = {[FETCH_HIT] = "hit",
					    [FETCH_MISS] = "miss",
					    [FETCH_REFRESH] = "refresh",
					    [FETCH_STALE] = "stale"};

	return names[state];
}

static uint64_t now_ns(const struct fetch_cache *cache)
{
	return cache->options.clock.now(cache->options.clock.arg);
}

/* Evenly between the two. */
static uint64_t between(const struct fetch_cache *cache, uint64_t low, uint64_t high)
{
	uint64_t random = cache->options.clock.random(cache->options.clock.arg);

	return low + (uint64_t)((double)(high - low) * ((double)random / UINT32_MAX));
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- when something is due ---- */

static bool is_idle(const struct cached *entry)
{
	return !entry->flying && !entry->queued;
}

static bool lives(const struct cached *entry, uint64_t now)
{
	return entry->value && (!entry->ends_ns || now < entry->ends_ns);
}

/* Not before a failure says so. */
static uint64_t refresh_at(const struct cached *entry)
{
	return entry->refresh_ns > entry->failure.retry_ns ? entry->refresh_ns
							   : entry->failure.retry_ns;
}

/* 0: nothing will be. */
static uint64_t due_at(const struct cached *entry)
{
	uint64_t end = entry->value ? entry->ends_ns : entry->failure.at_ns + FORGET_NS;

	if (!is_idle(entry))
		return entry->value ? entry->ends_ns : 0;
	if (!entry->value || !entry->used)
		return end;
	return end ? least(end, refresh_at(entry)) : refresh_at(entry);
}

static void expect(struct fetch_cache *cache, uint64_t at)
{
	if (!at || (cache->wake_ns && cache->wake_ns <= at))
		return;
	cache->wake_ns = at;
	cache->options.clock.wake(cache->options.clock.arg, at);
}

/* ---- what an entry has ---- */

static void drop_value(struct cached *entry)
{
	entry->value = fetch_value_unref(entry->value);
	entry->used = false;
}

static void keep_value(struct cached *entry, struct fetch_value *value, uint64_t good_ns)
{
	uint64_t now = now_ns(entry->cache), life = good_ns ?: ENDLESS_NS;

	drop_value(entry);
	entry->value = value;
	entry->life_ns = life;
	entry->ends_ns = good_ns ? now + good_ns - least(MARGIN_NS, good_ns / MARGIN_SHARE) : 0;
	entry->refresh_ns = now + between(entry->cache, life / 100 * 45, life / 100 * 55);
	entry->failure = (struct failure){.class = FETCH_GRANTED};
}

/* ---- failures ---- */

/* How long one is kept: the first one, and at most, as it doubles. */
static const struct {
	uint64_t first_ns, most_ns;
} patience[] = {
	[FETCH_ABSENT] = {10 * CLOCK_S, 10 * CLOCK_S}, /* associations take effect after seconds */
	[FETCH_NOT_ALLOWED] = {10 * CLOCK_S, 10 * CLOCK_S},
	[FETCH_DENIED] = {5 * CLOCK_S, 30 * CLOCK_S}, /* IAM is eventually consistent */
	[FETCH_INVALID] = {10 * CLOCK_S, 60 * CLOCK_S},
	[FETCH_TOKEN] = {2 * CLOCK_S, 30 * CLOCK_S},
	[FETCH_NODE] = {1 * CLOCK_S, 30 * CLOCK_S},
	[FETCH_THROTTLED] = {2 * CLOCK_S, 60 * CLOCK_S},
	[FETCH_UNAVAILABLE] = {1 * CLOCK_S, 30 * CLOCK_S},
	[FETCH_BROKEN] = {5 * CLOCK_S, 30 * CLOCK_S},
};

/* Random above half of the bound, so that nodes that failed together do not come back together. */
static uint64_t backoff(const struct cached *entry, enum fetch_class class, unsigned in_a_row)
{
	uint64_t bound = patience[class].first_ns;

	while (--in_a_row && bound < patience[class].most_ns)
		bound *= 2;
	bound = least(bound, patience[class].most_ns);
	return between(entry->cache, bound / 2, bound);
}

static void keep_failure(struct cached *entry, enum fetch_class class, const char *why,
			 uint64_t retry_after_ns)
{
	struct failure *failure = &entry->failure;
	uint64_t wait;

	if (class == FETCH_ABSENT)
		drop_value(entry);
	failure->class = class;
	failure->in_a_row++;
	failure->at_ns = now_ns(entry->cache);
	wait = backoff(entry, class, failure->in_a_row);
	failure->retry_ns = failure->at_ns + (wait > retry_after_ns ? wait : retry_after_ns);
	snprintf(failure->why, sizeof(failure->why), "%s", why && *why ? why : "it failed");
}

/* ---- answers ---- */

/* How long until it is worth to ask again for credentials that are there. */
static uint64_t again_in(const struct cached *entry, uint64_t now)
{
	uint64_t slack = least(SLACK_NS, entry->life_ns / SLACK_SHARE);
	uint64_t at = refresh_at(entry);

	return (at > now ? at - now : 0) + slack;
}

static void answer_value(const struct cached *entry, enum fetch_state state,
			 struct fetch_answer *ret)
{
	uint64_t now = now_ns(entry->cache);

	*ret = (struct fetch_answer){
		.class = FETCH_GRANTED,
		.state = state,
		.value = entry->value,
		.why = "",
		.good_ns = entry->ends_ns ? entry->ends_ns - now : 0,
		.again_ns = again_in(entry, now),
	};
}

static void answer_failure(const struct cached *entry, enum fetch_state state,
			   struct fetch_answer *ret)
{
	uint64_t now = now_ns(entry->cache);
	const struct failure *failure = &entry->failure;
	bool failed = failure->class != FETCH_GRANTED;

	*ret = (struct fetch_answer){
		.class = failed ? failure->class : FETCH_UNAVAILABLE,
		.state = state,
		.why = failed ? failure->why : "what came did not last until now",
		.again_ns = failure->retry_ns > now ? failure->retry_ns - now : 0,
	};
}

static void refuse(enum fetch_class class, const char *why, struct fetch_answer *ret)
{
	*ret = (struct fetch_answer){
		.class = class, .state = FETCH_MISS, .why = why, .again_ns = CLOCK_S};
}

static void move_waits(struct waits *from, struct waits *to)
{
	struct fetch_wait *wait;

	LIST_INIT(to);
	while ((wait = LIST_FIRST(from))) {
		LIST_REMOVE(wait, link);
		LIST_INSERT_HEAD(to, wait, link);
		wait->entry = NULL;
	}
}

/* The functions may do anything: the entry may be gone after the first one. */
static void answer_waits(struct cached *entry, const struct fetch_answer *answer)
{
	struct fetch_value *held = answer->value ? fetch_value_ref(entry->value) : NULL;
	struct fetch_cache *cache = entry->cache;
	struct fetch_answer ours = *answer;
	struct fetch_wait *wait;
	char why[WHY_MAX];
	struct waits waits;

	snprintf(why, sizeof(why), "%s", answer->why);
	ours.why = why;
	cache->n.waits -= entry->n_waits;
	entry->n_waits = 0;
	move_waits(&entry->waits, &waits);
	while ((wait = LIST_FIRST(&waits))) {
		LIST_REMOVE(wait, link);
		wait->done(wait->arg, &ours);
		free(wait);
	}
	fetch_value_unref(held);
}

/* ---- flights ---- */

static void dequeue(struct cached *entry)
{
	if (!entry->queued)
		return;
	TAILQ_REMOVE(&entry->cache->queue, entry, queue);
	entry->queued = false;
	entry->cache->n.queued--;
}

static void take_newer(struct cached *entry)
{
	if (!entry->newer)
		return;
	entry->cache->options.free_request(entry->request);
	entry->request = entry->newer;
	entry->newer = NULL;
}

static void landed(struct cached *entry)
{
	entry->flying = false;
	entry->job = NULL;
	entry->cache->n.flights--;
	take_newer(entry);
}

static int take_off(struct cached *entry)
{
	struct fetch_cache *cache = entry->cache;
	const struct fetch_cache_options *o = &cache->options;
	struct pc_err err = {};
	int r;

	dequeue(entry);
	entry->flying = true;
	cache->n.flights++;
	r = o->start(o->arg, entry->request, (struct fetch_flight *)entry, &entry->job, &err);
	if (r == 0)
		return 0;
	landed(entry);
	keep_failure(entry, FETCH_BROKEN, err.msg, 0);
	return r;
}

/* -errno: it failed at once, which the entry knows. */
static int launch(struct cached *entry)
{
	struct fetch_cache *cache = entry->cache;

	if (!is_idle(entry))
		return 0;
	if (cache->n.flights < cache->options.max_flights)
		return take_off(entry);
	entry->queued = true;
	cache->n.queued++;
	TAILQ_INSERT_TAIL(&cache->queue, entry, queue);
	return 0;
}

static struct cached *next_in_queue(const struct fetch_cache *cache)
{
	struct cached *entry;

	TAILQ_FOREACH(entry, &cache->queue, queue)
	if (!LIST_EMPTY(&entry->waits))
		return entry;
	return TAILQ_FIRST(&cache->queue);
}

/* ---- entries and pods ---- */

static void entry_free(struct cached *entry)
{
	struct fetch_cache *cache = entry->cache;

	if (entry->flying) {
		cache->options.cancel(cache->options.arg, entry->job);
		landed(entry);
	}
	dequeue(entry);
	if (!TAILQ_EMPTY(&cache->queue))
		expect(cache, now_ns(cache));
	keyed_remove(&cache->by_key, entry);
	TAILQ_REMOVE(&cache->entries, entry, link);
	cache->n.entries--;
	drop_value(entry);
	cache->options.free_request(entry->request);
	free(entry);
}

/* One that somebody waits for stays until it has its answer. */
static void entry_unref(struct cached *entry)
{
	if (--entry->pods == 0 && !entry->n_waits)
		entry_free(entry);
}

static void leave(struct pod *pod)
{
	struct cached *entry = pod->entry;

	pod->entry = NULL;
	if (entry)
		entry_unref(entry);
}

static void pod_free(struct fetch_cache *cache, struct pod *pod)
{
	leave(pod);
	keyed_remove(&cache->by_uid, pod);
	TAILQ_REMOVE(&cache->pods, pod, link);
	cache->n.pods--;
	free(pod);
}

/* All pods that used it forget it. */
static void forget(struct fetch_cache *cache, struct cached *entry)
{
	struct pod *pod, *next;

	for (pod = TAILQ_FIRST(&cache->pods); pod; pod = next) {
		next = TAILQ_NEXT(pod, link);
		if (pod->entry != entry)
			continue;
		pod->entry = NULL;
		pod_free(cache, pod);
	}
	entry_free(entry);
}

static struct pod *pod_of(struct fetch_cache *cache, const char *uid)
{
	struct pod *pod = keyed_find(&cache->by_uid, uid);

	if (pod) {
		TAILQ_REMOVE(&cache->pods, pod, link);
		TAILQ_INSERT_TAIL(&cache->pods, pod, link);
		return pod;
	}
	if (cache->n.pods >= cache->options.max_pods)
		pod_free(cache, TAILQ_FIRST(&cache->pods));
	pod = calloc(1, sizeof(*pod));
	if (!pod)
		return NULL;
	snprintf(pod->uid, sizeof(pod->uid), "%s", uid);
	pod->by_uid.key = pod->uid;
	if (keyed_add(&cache->by_uid, pod) < 0) {
		free(pod);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&cache->pods, pod, link);
	cache->n.pods++;
	return pod;
}

static struct cached *entry_of(struct fetch_cache *cache, const char *key)
{
	struct cached *entry = keyed_find(&cache->by_key, key);

	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	snprintf(entry->key, sizeof(entry->key), "%s", key);
	entry->by_key.key = entry->key;
	entry->cache = cache;
	LIST_INIT(&entry->waits);
	if (keyed_add(&cache->by_key, entry) < 0) {
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&cache->entries, entry, link);
	cache->n.entries++;
	return entry;
}

static void take_request(struct cached *entry, void *request)
{
	void **slot = entry->flying ? &entry->newer : &entry->request;

	if (*slot)
		entry->cache->options.free_request(*slot);
	*slot = request;
}

/* The pod's entry is from now on that of the key. NULL: no memory. */
static struct cached *join(struct fetch_cache *cache, const struct fetch_question *q)
{
	struct pod *pod = pod_of(cache, q->pod);
	struct cached *entry = pod ? entry_of(cache, q->key) : NULL;

	if (!entry) {
		cache->options.free_request(q->request);
		return NULL;
	}
	take_request(entry, q->request);
	if (pod->entry == entry)
		return entry;
	entry->pods++;
	leave(pod);
	pod->entry = entry;
	return entry;
}

/* Everybody who waits is told what the entry has now. */
static void settle(struct cached *entry)
{
	struct fetch_answer answer;

	entry->used = entry->used || entry->n_waits;
	expect(entry->cache, due_at(entry));
	if (lives(entry, now_ns(entry->cache)))
		answer_value(entry, FETCH_MISS, &answer);
	else
		answer_failure(entry, FETCH_MISS, &answer);
	entry->pods++; /* the functions may drop it */
	answer_waits(entry, &answer);
	entry_unref(entry);
}

static void launch_queued(struct fetch_cache *cache)
{
	struct cached *entry;

	while (cache->n.flights < cache->options.max_flights && (entry = next_in_queue(cache)))
		if (take_off(entry) < 0)
			settle(entry);
}

/* ---- questions ---- */

static bool answer_from(struct cached *entry, struct fetch_answer *ret)
{
	uint64_t now = now_ns(entry->cache);

	if (!lives(entry, now)) {
		if (entry->failure.class == FETCH_GRANTED || now >= entry->failure.retry_ns)
			return false;
		answer_failure(entry, FETCH_HIT, ret);
		return true;
	}
	entry->used = true;
	if (now >= refresh_at(entry))
		launch(entry);
	expect(entry->cache, due_at(entry));
	answer_value(entry,
		     !is_idle(entry)			     ? FETCH_REFRESH
		     : entry->failure.class != FETCH_GRANTED ? FETCH_STALE
							     : FETCH_HIT,
		     ret);
	return true;
}

static bool wait_for(struct cached *entry, const struct fetch_question *q, struct fetch_answer *ret,
		     struct fetch_wait **ret_wait)
{
	struct fetch_wait *wait = NULL;

	if (entry->n_waits < entry->cache->options.max_waits)
		wait = calloc(1, sizeof(*wait));
	if (!wait) {
		refuse(FETCH_UNAVAILABLE, "too many wait for these credentials", ret);
		return true;
	}
	*wait = (struct fetch_wait){
		.cache = entry->cache, .entry = entry, .done = q->done, .arg = q->arg};
	LIST_INSERT_HEAD(&entry->waits, wait, link);
	entry->n_waits++;
	entry->cache->n.waits++;
	if (launch(entry) < 0) {
		fetch_wait_cancel(wait);
		answer_failure(entry, FETCH_MISS, ret);
		expect(entry->cache, due_at(entry));
		return true;
	}
	if (ret_wait)
		*ret_wait = wait;
	return false;
}

bool fetch_cache_ask(struct fetch_cache *cache, const struct fetch_question *question,
		     struct fetch_answer *ret, struct fetch_wait **ret_wait)
{
	struct cached *entry;

	if (strlen(question->key) > FETCH_KEY_MAX || strlen(question->pod) > FETCH_POD_MAX) {
		cache->options.free_request(question->request);
		refuse(FETCH_BROKEN, "the key or the pod's uid is too long", ret);
		return true;
	}
	entry = join(cache, question);
	if (!entry) {
		refuse(FETCH_BROKEN, "no memory", ret);
		return true;
	}
	return answer_from(entry, ret) || wait_for(entry, question, ret, ret_wait);
}

struct fetch_wait *fetch_wait_cancel(struct fetch_wait *wait)
{
	if (!wait)
		return NULL;
	LIST_REMOVE(wait, link);
	if (wait->entry) {
		wait->entry->n_waits--;
		wait->cache->n.waits--;
	}
	free(wait);
	return NULL;
}

/* ---- the end of a flight ---- */

static void keep_result(struct cached *entry, const struct fetch_result *result)
{
	struct fetch_value *value;

	if (result->class != FETCH_GRANTED) {
		keep_failure(entry, result->class, result->why, result->retry_after_ns);
		return;
	}
	if (result->good_ns && result->good_ns < LEAST_LIFE_NS) {
		keep_failure(entry, FETCH_UNAVAILABLE,
			     "what came has ended already; is this node's clock right?", 0);
		return;
	}
	value = fetch_value_new(result);
	if (value)
		keep_value(entry, value, result->good_ns);
	else
		keep_failure(entry, FETCH_BROKEN, "no memory", 0);
}

void fetch_flight_end(struct fetch_flight *flight, const struct fetch_result *result)
{
	struct cached *entry = &flight->entry;
	struct fetch_cache *cache = entry->cache;

	landed(entry);
	keep_result(entry, result);
	settle(entry);
	launch_queued(cache);
}

/* ---- what ends ---- */

void fetch_cache_gone(struct fetch_cache *cache, const char *uid)
{
	struct pod *pod = keyed_find(&cache->by_uid, uid);

	if (pod)
		pod_free(cache, pod);
}

void fetch_cache_reject(struct fetch_cache *cache, const char *key, const char *access_key_id)
{
	struct cached *entry = keyed_find(&cache->by_key, key);

	if (entry && entry->value && !strcmp(entry->value->access_key_id, access_key_id))
		drop_value(entry);
}

void fetch_cache_renew(struct fetch_cache *cache, const char *key)
{
	struct cached *entry = keyed_find(&cache->by_key, key);

	if (!entry)
		return;
	entry->refresh_ns = now_ns(cache);
	entry->failure.retry_ns = 0;
}

/* False: the entry is gone. */
static bool tidy(struct fetch_cache *cache, struct cached *entry, uint64_t now)
{
	if (entry->value && entry->ends_ns && now >= entry->ends_ns) {
		drop_value(entry);
		entry->failure.at_ns = now;
	}
	if (entry->value || !is_idle(entry) || now < entry->failure.at_ns + FORGET_NS)
		return true;
	forget(cache, entry);
	return false;
}

void fetch_cache_turn(struct fetch_cache *cache)
{
	uint64_t now = now_ns(cache);
	struct cached *entry, *next;

	cache->wake_ns = 0;
	for (entry = TAILQ_FIRST(&cache->entries); entry; entry = next) {
		next = TAILQ_NEXT(entry, link);
		if (!tidy(cache, entry, now))
			continue;
		if (entry->value && entry->used && is_idle(entry) && now >= refresh_at(entry))
			launch(entry);
		expect(cache, due_at(entry));
	}
	launch_queued(cache);
}

struct fetch_cache_counts fetch_cache_counts(const struct fetch_cache *cache)
{
	return cache->n;
}

/* ---- life ---- */

int fetch_cache_new(const struct fetch_cache_options *options, struct fetch_cache **ret)
{
	struct fetch_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->options = *options;
	TAILQ_INIT(&cache->entries);
	TAILQ_INIT(&cache->queue);
	TAILQ_INIT(&cache->pods);
	*ret = cache;
	return 0;
}

static void drop_waits(struct cached *entry)
{
	struct fetch_wait *wait;

	while ((wait = LIST_FIRST(&entry->waits)))
		fetch_wait_cancel(wait);
}

struct fetch_cache *fetch_cache_free(struct fetch_cache *cache)
{
	struct cached *entry;

	if (!cache)
		return NULL;
	while ((entry = TAILQ_FIRST(&cache->entries))) {
		drop_waits(entry);
		forget(cache, entry);
	}
	while (!TAILQ_EMPTY(&cache->pods))
		pod_free(cache, TAILQ_FIRST(&cache->pods));
	free(cache);
	return NULL;
}
