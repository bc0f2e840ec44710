// SPDX-License-Identifier: Apache-2.0
/* MODULES: fetch base */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "fetch/cache.h"

#define MAX_FLIGHTS 4
#define MAX_STARTS  64

/* A world that stands still: the test moves its clock, throws its dice and lets its flights land. */
static struct world {
	struct fetch_cache *cache;
	uint64_t now, wake;
	uint32_t random;
	struct fetch_flight *flights[MAX_STARTS];
	char started[MAX_STARTS][32]; /* the requests */
	const char *requests[MAX_STARTS]; /* as they were given, and stay */
	bool cancelled[MAX_STARTS];
	unsigned n_started, n_requests;
	int start_fails;
} world;

static uint64_t now(void *arg)
{
	return ((struct world *)arg)->now;
}

static uint32_t dice(void *arg)
{
	return ((struct world *)arg)->random;
}

static void wake(void *arg, uint64_t at_ns)
{
	struct world *w = arg;

	assert_true(at_ns >= w->now); /* else the loop would spin */
	w->wake = at_ns;
}

static int start(void *arg, void *request, struct fetch_flight *flight, void **ret_job,
		 struct pc_err *err)
{
	struct world *w = arg;

	assert_true(w->n_started < MAX_STARTS);
	if (w->start_fails)
		return pc_err_set(err, w->start_fails, "it cannot be started");
	w->flights[w->n_started] = flight;
	snprintf(w->started[w->n_started], sizeof(w->started[0]), "%s", (char *)request);
	w->requests[w->n_started] = request;
	*ret_job = &w->cancelled[w->n_started++];
	return 0;
}

static void cancel(void *arg, void *job)
{
	(void)arg;
	assert_false(*(bool *)job);
	*(bool *)job = true;
}

static void free_request(void *request)
{
	world.n_requests--;
	free(request);
}

static int setup(void **state)
{
	const struct fetch_cache_options options = {
		.clock = {.arg = &world, .now = now, .random = dice, .wake = wake},
		.arg = &world,
		.start = start,
		.cancel = cancel,
		.free_request = free_request,
		.max_pods = 8,
		.max_flights = MAX_FLIGHTS,
		.max_waits = 3,
	};

	(void)state;
	world = (struct world){.now = 1000 * CLOCK_S, .random = UINT32_MAX / 2};
	return fetch_cache_new(&options, &world.cache);
}

static int teardown(void **state)
{
	(void)state;
	fetch_cache_free(world.cache);
	assert_int_equal(world.n_requests, 0);
	return 0;
}

/* ---- what a pod sees ---- */

struct told {
	unsigned times;
	enum fetch_class class;
	enum fetch_state state;
	char key_id[32], why[64];
	uint64_t good_s, again_s;
	struct fetch_wait *wait;
};

static void note(void *arg, const struct fetch_answer *answer)
{
	struct told *told = arg;

	told->times++;
	told->class = answer->class;
	told->state = answer->state;
	snprintf(told->key_id, sizeof(told->key_id), "%s",
		 answer->value ? answer->value->access_key_id : "");
	snprintf(told->why, sizeof(told->why), "%s", answer->why);
	told->good_s = answer->good_ns / CLOCK_S;
	told->again_s = answer->again_ns / CLOCK_S;
}

static void ask_with(struct told *told, const char *pod, const char *key, const char *request)
{
	struct fetch_question q = {
		.pod = pod, .key = key, .request = strdup(request), .done = note, .arg = told};
	struct fetch_answer answer;

	*told = (struct told){};
	world.n_requests++;
	if (fetch_cache_ask(world.cache, &q, &answer, &told->wait))
		note(told, &answer);
}

static struct told ask(const char *pod, const char *key)
{
	struct told told;

	ask_with(&told, pod, key, key);
	return told;
}

static void land(unsigned flight, const char *key_id, uint64_t good_s)
{
	const struct fetch_result result = {
		.class = FETCH_GRANTED,
		.access_key_id = key_id,
		.secret_access_key = "secret",
		.session_token = "token",
		.good_ns = good_s * CLOCK_S,
	};

	assert_string_equal(world.requests[flight], world.started[flight]);
	fetch_flight_end(world.flights[flight], &result);
}

static void crash(unsigned flight, enum fetch_class class, uint64_t retry_after_s)
{
	const struct fetch_result result = {
		.class = class, .why = "no luck", .retry_after_ns = retry_after_s * CLOCK_S};

	fetch_flight_end(world.flights[flight], &result);
}

static void pass(uint64_t seconds)
{
	world.now += seconds * CLOCK_S;
	fetch_cache_turn(world.cache);
}

static uint64_t wake_in_s(void)
{
	return (world.wake - world.now) / CLOCK_S;
}

/* ---- the tests ---- */

static void test_one_flight_for_all(void **state)
{
	struct told first, second, third;

	(void)state;
	ask_with(&first, "pod-a", "k", "k");
	ask_with(&second, "pod-b", "k", "k");
	assert_int_equal(world.n_started, 1);
	assert_int_equal(first.times + second.times, 0);

	land(0, "AKIA1", 3600);
	assert_int_equal(first.times, 1);
	assert_int_equal(second.times, 1);
	assert_string_equal(first.key_id, "AKIA1");
	assert_int_equal(first.state, FETCH_MISS);

	third = ask("pod-c", "k");
	assert_int_equal(third.times, 1);
	assert_int_equal(third.state, FETCH_HIT);
	assert_int_equal(world.n_started, 1);
}

static void test_keys_are_apart(void **state)
{
	struct told a, b;

	(void)state;
	ask_with(&a, "pod-a", "k1", "k1");
	ask_with(&b, "pod-b", "k2", "k2");
	assert_int_equal(world.n_started, 2);
	land(1, "AKIA2", 3600);
	land(0, "AKIA1", 3600);
	assert_string_equal(a.key_id, "AKIA1");
	assert_string_equal(b.key_id, "AKIA2");
}

static void get(const char *pod, const char *key, const char *key_id, uint64_t good_s)
{
	struct told told;

	ask_with(&told, pod, key, key);
	assert_int_equal(told.times, 0);
	land(world.n_started - 1, key_id, good_s);
	assert_int_equal(told.class, FETCH_GRANTED);
}

static void test_refresh_ahead(void **state)
{
	struct told told;

	(void)state;
	get("pod-a", "k", "AKIA1", 3600);
	assert_in_range(wake_in_s(), 1795, 1805);

	pass(1790);
	assert_int_equal(world.n_started, 1);
	told = ask("pod-a", "k");
	assert_int_equal(told.state, FETCH_HIT);
	assert_in_range(told.again_s, 35, 45); /* when the refresh will have ended */
	assert_in_range(told.good_s, 1790, 1800); /* 15 seconds are kept back */

	pass(20);
	assert_int_equal(world.n_started, 2);
	told = ask("pod-a", "k");
	assert_int_equal(told.state, FETCH_REFRESH);
	assert_string_equal(told.key_id, "AKIA1");

	land(1, "AKIA2", 3600);
	told = ask("pod-a", "k");
	assert_int_equal(told.state, FETCH_HIT);
	assert_string_equal(told.key_id, "AKIA2");
}

static void test_jitter(void **state)
{
	(void)state;
	world.random = 0;
	get("pod-a", "early", "AKIA1", 3600);
	assert_in_range(wake_in_s(), 1615, 1625);
	fetch_cache_gone(world.cache, "pod-a");
	fetch_cache_turn(world.cache);
	world.random = UINT32_MAX;
	get("pod-b", "late", "AKIA2", 3600);
	assert_in_range(wake_in_s(), 1975, 1985);
}

/* What nobody asks for is not renewed, and is gone at its end. */
static void test_unused(void **state)
{
	struct told told;

	(void)state;
	get("pod-a", "k", "AKIA1", 3600);
	pass(1900);
	land(1, "AKIA2", 3600);
	pass(1900);
	assert_int_equal(world.n_started, 2);
	assert_int_equal(fetch_cache_counts(world.cache).entries, 1);
	told = ask("pod-a", "k"); /* which makes it used again */
	assert_string_equal(told.key_id, "AKIA2");
	assert_int_equal(told.state, FETCH_REFRESH);
	assert_int_equal(world.n_started, 3);
	land(2, "AKIA3", 3600);
	pass(3600);
	pass(301);
	assert_int_equal(world.n_started, 3);
	assert_int_equal(fetch_cache_counts(world.cache).entries, 0);
	assert_int_equal(fetch_cache_counts(world.cache).pods, 0);
}

static void test_old_value_outlives_failures(void **state)
{
	struct told told;

	(void)state;
	get("pod-a", "k", "AKIA1", 3600);
	pass(1900);
	crash(1, FETCH_UNAVAILABLE, 0);
	told = ask("pod-a", "k");
	assert_int_equal(told.class, FETCH_GRANTED);
	assert_int_equal(told.state, FETCH_STALE);
	assert_string_equal(told.key_id, "AKIA1");

	pass(2); /* the first wait is one second at most */
	assert_int_equal(world.n_started, 3);
	crash(2, FETCH_DENIED, 0);
	pass(31);
	assert_int_equal(world.n_started, 4);
	crash(3, FETCH_THROTTLED, 3600); /* longer than it lives */
	pass(1660);
	told = ask("pod-a", "k");
	assert_int_equal(told.class, FETCH_THROTTLED);
	assert_string_equal(told.key_id, "");
	assert_int_equal(world.n_started, 4);
}

/* An association that was taken away takes its credentials with it. */
static void test_absent_drops(void **state)
{
	struct told told;

	(void)state;
	get("pod-a", "k", "AKIA1", 3600);
	pass(1900);
	crash(1, FETCH_ABSENT, 0);
	told = ask("pod-a", "k");
	assert_int_equal(told.class, FETCH_ABSENT);
	assert_string_equal(told.why, "no luck");
}

static void expect_wait(enum fetch_class class, unsigned failures, uint64_t low, uint64_t high)
{
	char key[32];
	struct told told = {};

	snprintf(key, sizeof(key), "class-%d", class);
	for (unsigned i = 0; i < failures; i++) {
		ask_with(&told, "pod-a", key, key);
		assert_int_equal(told.times, 0);
		crash(world.n_started - 1, class, 0);
		world.now += told.again_s * CLOCK_S + CLOCK_S;
	}
	assert_in_range(told.again_s, low, high);
}

static void test_backoff_by_class(void **state)
{
	(void)state;
	world.random = UINT32_MAX;
	expect_wait(FETCH_ABSENT, 1, 9, 10);
	expect_wait(FETCH_ABSENT, 4, 9, 10);
	expect_wait(FETCH_DENIED, 1, 4, 5);
	expect_wait(FETCH_DENIED, 6, 29, 30);
	expect_wait(FETCH_UNAVAILABLE, 1, 0, 1);
	expect_wait(FETCH_UNAVAILABLE, 9, 29, 30);
	expect_wait(FETCH_THROTTLED, 2, 3, 4);
	world.random = 0; /* at least half */
	expect_wait(FETCH_THROTTLED, 9, 29, 30);
}

static void test_failure_is_kept(void **state)
{
	struct told told, other;

	(void)state;
	ask_with(&told, "pod-a", "k", "k");
	crash(0, FETCH_DENIED, 0);
	assert_int_equal(told.class, FETCH_DENIED);
	assert_string_equal(told.why, "no luck");
	other = ask("pod-b", "k");
	assert_int_equal(other.class, FETCH_DENIED);
	assert_int_equal(other.state, FETCH_HIT);
	assert_int_equal(world.n_started, 1);

	pass(6);
	assert_int_equal(world.n_started, 1); /* nobody asked: nothing to try again for */
	ask_with(&other, "pod-b", "k", "k");
	assert_int_equal(other.times, 0);
	assert_int_equal(world.n_started, 2);
	land(1, "AKIA1", 900);
	assert_int_equal(other.class, FETCH_GRANTED);
}

static void test_retry_after(void **state)
{
	struct told told;

	(void)state;
	ask_with(&told, "pod-a", "k", "k");
	crash(0, FETCH_THROTTLED, 120);
	assert_in_range(told.again_s, 119, 120);
	pass(100);
	told = ask("pod-a", "k");
	assert_int_equal(told.class, FETCH_THROTTLED);
	assert_in_range(told.again_s, 19, 20);
}

static void test_gone(void **state)
{
	(void)state;
	get("pod-a", "k", "AKIA1", 3600);
	assert_string_equal(ask("pod-b", "k").key_id, "AKIA1");
	fetch_cache_gone(world.cache, "pod-a");
	assert_string_equal(ask("pod-b", "k").key_id, "AKIA1");
	fetch_cache_gone(world.cache, "pod-b");
	fetch_cache_gone(world.cache, "pod-b");
	assert_int_equal(fetch_cache_counts(world.cache).entries, 0);
	pass(3600);
	assert_int_equal(world.n_started, 1);
}

/* A pod whose association changes has another key: the old one is not its any more. */
static void test_pod_moves(void **state)
{
	(void)state;
	get("pod-a", "k1", "AKIA1", 3600);
	get("pod-a", "k2", "AKIA2", 3600);
	assert_int_equal(fetch_cache_counts(world.cache).entries, 1);
	fetch_cache_gone(world.cache, "pod-a");
	assert_int_equal(fetch_cache_counts(world.cache).entries, 0);
}

static void test_gone_cancels(void **state)
{
	struct told told;

	(void)state;
	get("pod-a", "k", "AKIA1", 3600);
	pass(1900);
	assert_int_equal(world.n_started, 2);
	fetch_cache_gone(world.cache, "pod-a");
	assert_true(world.cancelled[1]);

	/* who waits has its answer, then it is forgotten */
	ask_with(&told, "pod-b", "k", "k");
	fetch_cache_gone(world.cache, "pod-b");
	assert_false(world.cancelled[2]);
	land(2, "AKIA3", 3600);
	assert_string_equal(told.key_id, "AKIA3");
	assert_int_equal(fetch_cache_counts(world.cache).entries, 0);
}

static void test_cancelled_wait(void **state)
{
	struct told told, other;

	(void)state;
	ask_with(&told, "pod-a", "k", "k");
	ask_with(&other, "pod-b", "k", "k");
	assert_int_equal(fetch_cache_counts(world.cache).waits, 2);
	fetch_wait_cancel(told.wait);
	land(0, "AKIA1", 3600);
	assert_int_equal(told.times, 0);
	assert_int_equal(other.times, 1);
	assert_int_equal(fetch_cache_counts(world.cache).waits, 0);
}

static void test_limits(void **state)
{
	struct told told[10];
	char pod[32], key[32];

	(void)state;
	for (int i = 0; i < 4; i++) {
		snprintf(pod, sizeof(pod), "pod-%d", i);
		ask_with(&told[i], pod, "k", "k");
	}
	assert_int_equal(told[2].times, 0);
	assert_int_equal(told[3].class, FETCH_UNAVAILABLE);
	land(0, "AKIA1", 3600);

	for (int i = 0; i < 10; i++) {
		snprintf(pod, sizeof(pod), "other-%d", i);
		snprintf(key, sizeof(key), "k%d", i);
		ask_with(&told[i], pod, key, key);
	}
	assert_int_equal(fetch_cache_counts(world.cache).pods, 8);
	assert_int_equal(fetch_cache_counts(world.cache).flights, MAX_FLIGHTS);
	assert_null(strstr(world.started[world.n_started - 1], "k9"));
}

static void test_queue(void **state)
{
	struct told told[6];
	char pod[32], key[32];

	(void)state;
	get("pod-a", "old", "AKIA0", 3600);
	for (int i = 0; i < 4; i++) {
		snprintf(pod, sizeof(pod), "pod-%d", i);
		snprintf(key, sizeof(key), "k%d", i);
		ask_with(&told[i], pod, key, key);
	}
	pass(1900); /* "old" is due, but nobody waits for it */
	ask_with(&told[4], "pod-4", "k4", "k4");
	assert_int_equal(fetch_cache_counts(world.cache).queued, 2);
	land(1, "AKIA1", 3600);
	assert_string_equal(world.started[5], "k4");
	fetch_cache_gone(world.cache, "pod-1"); /* waits for its answer */
	land(2, "AKIA2", 3600);
	assert_string_equal(world.started[6], "old");
	assert_int_equal(fetch_cache_counts(world.cache).queued, 0);
}

/* What is started next knows the newest request: a token, for instance. */
static void test_newest_request(void **state)
{
	struct told told;

	(void)state;
	ask_with(&told, "pod-a", "k", "token 1");
	ask_with(&told, "pod-a", "k", "token 2");
	land(0, "AKIA1", 3600);
	pass(1900);
	assert_string_equal(world.started[1], "token 2");
	ask_with(&told, "pod-a", "k", "token 3");
	crash(1, FETCH_TOKEN, 0);
	pass(3);
	assert_string_equal(world.started[2], "token 3");
}

static void test_start_fails(void **state)
{
	struct told told;

	(void)state;
	world.start_fails = -ENOMEM;
	told = ask("pod-a", "k");
	assert_int_equal(told.class, FETCH_BROKEN);
	assert_string_equal(told.why, "it cannot be started");
	assert_int_equal(fetch_cache_counts(world.cache).waits, 0);
	world.start_fails = 0;
	pass(6);
	get("pod-a", "k", "AKIA1", 3600);
}

static void test_reject(void **state)
{
	struct told told;

	(void)state;
	get("node", "k", "AKIA1", 3600);
	fetch_cache_reject(world.cache, "k", "AKIA0"); /* refused long ago */
	assert_string_equal(ask("node", "k").key_id, "AKIA1");
	fetch_cache_reject(world.cache, "k", "AKIA1");
	ask_with(&told, "node", "k", "k");
	assert_int_equal(told.times, 0);
	land(1, "AKIA2", 3600);
	assert_string_equal(told.key_id, "AKIA2");
}

static void test_renew(void **state)
{
	struct told told;

	(void)state;
	get("node", "k", "AKIA1", 0);
	fetch_cache_renew(world.cache, "k");
	fetch_cache_renew(world.cache, "another");
	told = ask("node", "k");
	assert_string_equal(told.key_id, "AKIA1");
	assert_int_equal(told.state, FETCH_REFRESH);
	land(1, "AKIA2", 0);
	assert_string_equal(ask("node", "k").key_id, "AKIA2");

	/* a failure does not keep it from being tried at once */
	ask_with(&told, "node", "l", "l");
	crash(2, FETCH_NODE, 30);
	fetch_cache_renew(world.cache, "l");
	get("node", "l", "AKIA3", 0);
}

/* Keys without an end are looked at again now and then, and live until the pod is gone. */
static void test_endless(void **state)
{
	struct told told;

	(void)state;
	get("pod-a", "k", "AKIA1", 0);
	assert_in_range(wake_in_s(), 1795, 1805);
	pass(1900);
	crash(1, FETCH_UNAVAILABLE, 0);
	pass(1000000);
	told = ask("pod-a", "k");
	assert_string_equal(told.key_id, "AKIA1");
	assert_int_equal(told.good_s, 0);
}

static void ask_more(void *arg, const struct fetch_answer *answer)
{
	note(arg, answer);
	fetch_cache_gone(world.cache, "pod-a");
	fetch_cache_gone(world.cache, "pod-b");
	assert_string_equal(answer->value->access_key_id, "AKIA1");
}

static void test_answer_drops_all(void **state)
{
	struct told told = {};
	struct fetch_answer answer;
	struct fetch_question q = {.pod = "pod-a", .key = "k", .done = ask_more, .arg = &told};

	(void)state;
	for (int i = 0; i < 2; i++) {
		q.pod = i ? "pod-b" : "pod-a";
		q.request = strdup("k");
		world.n_requests++;
		assert_false(fetch_cache_ask(world.cache, &q, &answer, NULL));
	}
	land(0, "AKIA1", 3600);
	assert_int_equal(told.times, 2);
	assert_int_equal(fetch_cache_counts(world.cache).entries, 0);
}

static void test_short_lives(void **state)
{
	struct told told;

	(void)state;
	get("pod-a", "k", "AKIA1", 8);
	assert_in_range(wake_in_s(), 3, 4);
	told = ask("pod-a", "k");
	assert_in_range(told.good_s, 7, 8);
	pass(5);
	assert_int_equal(world.n_started, 2);
	pass(3); /* it has ended while it was being refreshed */
	ask_with(&told, "pod-b", "k", "k");
	assert_int_equal(told.times, 0);
	land(1, "AKIA2", 8);
	assert_string_equal(told.key_id, "AKIA2");
}

/* A clock that is wrong makes them end before they are there. */
static void test_no_life(void **state)
{
	const struct fetch_result ended = {.class = FETCH_GRANTED,
					   .access_key_id = "AKIA1",
					   .secret_access_key = "secret",
					   .good_ns = 1};
	struct told told;

	(void)state;
	ask_with(&told, "pod-a", "k", "k");
	fetch_flight_end(world.flights[0], &ended);
	assert_int_equal(told.class, FETCH_UNAVAILABLE);
	assert_string_equal(told.key_id, "");
	assert_non_null(strstr(told.why, "clock"));
	pass(2);
	get("pod-a", "k", "AKIA2", 3600);
}

static void test_long_names(void **state)
{
	char key[FETCH_KEY_MAX + 2];

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	assert_int_equal(ask("pod-a", key).class, FETCH_BROKEN);
	assert_int_equal(fetch_cache_counts(world.cache).pods, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_flight_for_all),
		TEST(test_keys_are_apart),
		TEST(test_refresh_ahead),
		TEST(test_jitter),
		TEST(test_unused),
		TEST(test_old_value_outlives_failures),
		TEST(test_absent_drops),
		TEST(test_backoff_by_class),
		TEST(test_failure_is_kept),
		TEST(test_retry_after),
		TEST(test_gone),
		TEST(test_pod_moves),
		TEST(test_gone_cancels),
		TEST(test_cancelled_wait),
		TEST(test_limits),
		TEST(test_queue),
		TEST(test_newest_request),
		TEST(test_start_fails),
		TEST(test_reject),
		TEST(test_renew),
		TEST(test_endless),
		TEST(test_answer_drops_all),
		TEST(test_short_lives),
		TEST(test_no_life),
		TEST(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
