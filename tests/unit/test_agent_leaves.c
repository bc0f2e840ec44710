// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent upstream base */
/* LIBS: -ljansson -Wl,--wrap=clock_gettime */
/*
 * What is kept of the answers of podcred fetch, which the test plays. Questions go out and answers come in on a real
 * loop; the clocks are the test's.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <podcred/podcred.h>

#include "agent/leaves.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"

#define NOW	1767323045
#define THREADS 4
#define GRANTS	2000

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

static _Atomic uint64_t now_ns;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = clock_timespec(atomic_load(&now_ns));
	return 0;
}

static struct loop *loop;
static struct agent_leaves *leaves;
static int ask_result;
static unsigned asked, woken;
static uint64_t woken_key;
static struct {
	uint64_t id;
	char pod[64], uid[64], token[64];
} last;

static int on_ask(void *arg, const struct upstream_message *m)
{
	(void)arg;
	if (ask_result < 0)
		return ask_result;
	assert_int_equal(m->type, UPSTREAM_CREDENTIALS);
	asked++;
	last.id = m->credentials.id;
	snprintf(last.pod, sizeof(last.pod), "%s", m->credentials.pod.name);
	snprintf(last.uid, sizeof(last.uid), "%s", m->credentials.pod.uid);
	snprintf(last.token, sizeof(last.token), "%s", m->credentials.token ?: "none");
	return 0;
}

static void on_wake(void *arg, uint64_t key)
{
	(void)arg;
	woken++;
	woken_key = key;
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop, 0);
}

/* What was posted so far is done. */
static void turn(void)
{
	assert_int_equal(loop_post(loop, stop, NULL), 0);
	assert_int_equal(loop_run(loop), 0);
}

static void start(size_t max)
{
	struct agent_leaves_options options = {.ask = on_ask, .wake = on_wake, .max = max};

	assert_int_equal(loop_new(&loop), 0);
	options.loop = loop;
	assert_int_equal(agent_leaves_new(&options, &leaves), 0);
	agent_leaves_connected(leaves, true);
}

static int set_up(void **state)
{
	(void)state;
	atomic_store(&now_ns, 1000 * CLOCK_S);
	asked = woken = 0;
	ask_result = 0;
	start(0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	agent_leaves_free(leaves);
	loop = loop_free(loop);
	return 0;
}

static void pass(uint64_t ms)
{
	atomic_fetch_add(&now_ns, ms * CLOCK_MS);
}

static struct podcred_peer pod(unsigned n)
{
	struct podcred_peer peer = {.flags = PODCRED_PEER_NAMED, .pod_cgroup_id = 100 + n};

	snprintf(peer.pod_uid, sizeof(peer.pod_uid), "uid-%u", n);
	strcpy(peer.pod_namespace, "shop");
	snprintf(peer.pod_name, sizeof(peer.pod_name), "pod-%u", n);
	strcpy(peer.service_account, "web");
	return peer;
}

static int get_at(unsigned n, const char *token, time_t now, struct agent_told **ret)
{
	struct podcred_peer peer = pod(n);
	int r = agent_leaves_get(leaves, &peer, token, token ? strlen(token) : 0, now, ret);

	turn();
	return r;
}

/* The key of the credentials, the reason of a refusal, or "wait"; valid until the next call. */
static const char *get(unsigned n)
{
	static char text[64];
	struct agent_told *told = NULL;
	int r = get_at(n, NULL, NOW, &told);

	if (r == -EINPROGRESS)
		return "wait";
	assert_int_equal(r, 0);
	snprintf(text, sizeof(text), "%s",
		 told->granted ? told->access_key_id : upstream_reason_name(told->reason));
	agent_told_unref(told);
	return text;
}

static void grant_to(uint64_t id, const char *key, uint64_t refresh_ms, time_t expiration)
{
	const struct upstream_message m = {.type = UPSTREAM_GRANT,
					   .grant = {.id = id,
						     .access_key_id = key,
						     .secret_access_key = "secret",
						     .session_token = "token",
						     .expiration = expiration,
						     .refresh_ms = refresh_ms,
						     .role = "role",
						     .source = "sts"}};

	agent_leaves_told(leaves, &m, NOW);
}

static void grant(const char *key)
{
	grant_to(last.id, key, 60000, NOW + 3600);
}

static void refuse(enum upstream_reason reason, uint64_t retry_ms)
{
	const struct upstream_message m = {
		.type = UPSTREAM_REFUSAL,
		.refusal = {.id = last.id, .reason = reason, .message = "m", .retry_ms = retry_ms}};

	agent_leaves_told(leaves, &m, NOW);
}

static struct agent_leaves_counts count(void)
{
	struct agent_leaves_counts counts;

	agent_leaves_count(leaves, &counts);
	return counts;
}

/* ---- one pod ---- */

static void test_asked_once(void **state)
{
	struct podcred_peer peer = pod(1);

	(void)state;
	assert_string_equal(get(1), "wait");
	assert_string_equal(get(1), "wait");
	assert_int_equal(asked, 1);
	assert_string_equal(last.pod, "pod-1");
	assert_string_equal(last.uid, "uid-1");
	assert_string_equal(last.token, "none");
	assert_int_equal(count().in_flight, 1);
	grant("A1");
	assert_int_equal(woken, 1);
	assert_int_equal(woken_key, agent_leaves_key(&peer));
	assert_true(agent_leaves_is_key(woken_key) && !agent_leaves_is_key(peer.pod_cgroup_id));
	assert_string_equal(get(1), "A1");
	assert_int_equal(asked, 1);
	assert_int_equal(count().in_flight, 0);
	assert_int_equal(count().granted, 1);
}

static void test_refresh(void **state)
{
	(void)state;
	get(1);
	grant("A1");
	pass(59999);
	assert_string_equal(get(1), "A1");
	assert_int_equal(asked, 1);
	pass(1);
	assert_string_equal(get(1), "A1"); /* nobody waits for what is newer */
	assert_string_equal(get(1), "A1");
	assert_int_equal(asked, 2);
	refuse(UPSTREAM_UNAVAILABLE, 5000);
	assert_string_equal(get(1), "A1"); /* the old one lives */
	pass(4999);
	get(1);
	assert_int_equal(asked, 2);
	pass(1);
	get(1);
	assert_int_equal(asked, 3);
	grant("A2");
	assert_string_equal(get(1), "A2");
}

/* An SDK that asks for newer credentials in time is to get some, if there are any. */
static void test_nearly_spent(void **state)
{
	(void)state;
	get(1);
	grant_to(last.id, "A1", 60000, NOW + LEAVES_SPENT_S - 1);
	assert_string_equal(get(1), "A1"); /* no newer ones are due */
	pass(60000);
	assert_string_equal(get(1), "wait");
	grant_to(last.id, "A2", 60000, NOW + LEAVES_SPENT_S - 1);
	assert_int_equal(woken, 2);
	assert_string_equal(get(1), "A2");

	/* they do not come at once: the old ones do */
	pass(60000);
	assert_string_equal(get(1), "wait");
	pass(LEAVES_MOMENT_MS);
	assert_string_equal(get(1), "A2");
	assert_int_equal(asked, 3);

	/* nobody is there who could have some */
	grant_to(last.id, "A3", 60000, NOW + LEAVES_SPENT_S - 1);
	agent_leaves_connected(leaves, false);
	pass(60000);
	assert_string_equal(get(1), "A3");
}

/* No refresh, however soon it is said to be due, is a flood of questions. */
static void test_refresh_at_once(void **state)
{
	(void)state;
	get(1);
	grant_to(last.id, "A1", 0, NOW + 3600);
	get(1);
	assert_int_equal(asked, 1);
	pass(LEAVES_REFRESH_MIN_MS);
	get(1);
	assert_int_equal(asked, 2);
}

static void test_expiry(void **state)
{
	struct agent_told *told;

	(void)state;
	get(1);
	grant_to(last.id, "A1", 3600000, NOW + 10);
	assert_int_equal(get_at(1, NULL, NOW + 9, &told), 0);
	agent_told_unref(told);
	assert_int_equal(get_at(1, NULL, NOW + 10, &told), -EINPROGRESS);
	assert_int_equal(asked, 2);
	agent_leaves_sweep(leaves, NOW + 10);
	assert_int_equal(count().granted, 0);
	assert_int_equal(count().leaves, 1); /* the question */
}

static void test_refusal(void **state)
{
	(void)state;
	get(1);
	refuse(UPSTREAM_DENIED, 30000);
	assert_string_equal(get(1), "denied");
	pass(29999);
	assert_string_equal(get(1), "denied");
	assert_int_equal(asked, 1);
	pass(1);
	assert_string_equal(get(1), "wait");
	assert_int_equal(asked, 2);
	refuse(UPSTREAM_BUSY, 0);
	assert_string_equal(get(1), "busy"); /* whoever waits sees it */
	assert_int_equal(asked, 2);
	assert_int_equal(count().refusals[UPSTREAM_DENIED], 1);
}

/* Somebody took the association away: nothing is given out any more. */
static void test_no_association_any_more(void **state)
{
	(void)state;
	get(1);
	grant("A1");
	pass(60000);
	get(1);
	refuse(UPSTREAM_NO_ASSOCIATION, 10000);
	assert_string_equal(get(1), "no_association");
	assert_int_equal(count().granted, 0);
}

/* A refusal of one token says nothing about another, nor about none. */
static void test_tokens(void **state)
{
	struct agent_told *told;

	(void)state;
	assert_int_equal(get_at(1, "a.b.c", NOW, &told), -EINPROGRESS);
	assert_string_equal(last.token, "a.b.c");
	refuse(UPSTREAM_TOKEN_INVALID, 60000);
	assert_int_equal(get_at(1, "a.b.c", NOW, &told), 0);
	agent_told_unref(told);
	assert_int_equal(asked, 1);
	assert_int_equal(get_at(1, "d.e.f", NOW, &told), -EINPROGRESS);
	assert_int_equal(asked, 2);
	refuse(UPSTREAM_TOKEN_EXPIRED, 60000);
	assert_int_equal(get_at(1, NULL, NOW, &told), -EINPROGRESS);
	assert_int_equal(asked, 3);
	refuse(UPSTREAM_DENIED, 60000);
	assert_int_equal(get_at(1, "d.e.f", NOW, &told), 0);
	agent_told_unref(told);
}

/* What no message can hold is answered here. */
static void test_token_that_is_none(void **state)
{
	struct agent_told *told;

	(void)state;
	ask_result = -EINVAL;
	assert_int_equal(get_at(1, "a\nb", NOW, &told), -EINPROGRESS);
	assert_int_equal(woken, 1);
	assert_int_equal(get_at(1, "a\nb", NOW, &told), 0);
	assert_int_equal(told->reason, UPSTREAM_TOKEN_INVALID);
	agent_told_unref(told);
}

/* The same cgroup for another uid does not happen; it would not be answered as the one before. */
static void test_another_pod(void **state)
{
	struct podcred_peer peer = pod(1);
	struct agent_told *told;

	(void)state;
	get(1);
	grant("A1");
	strcpy(peer.pod_uid, "another");
	assert_int_equal(agent_leaves_get(leaves, &peer, NULL, 0, NOW, &told), -EINPROGRESS);
	assert_string_equal(get(1), "wait");
}

/* ---- fetch comes, goes, and says more than it was asked ---- */

static void test_asked_again_of_the_next(void **state)
{
	uint64_t first;

	(void)state;
	get(1);
	first = last.id;
	agent_leaves_connected(leaves, false);
	ask_result = -ENOTCONN;
	assert_string_equal(get(2), "wait");
	ask_result = 0;
	agent_leaves_connected(leaves, true);
	assert_int_equal(asked, 3);
	grant_to(first, "OLD", 60000, NOW + 3600); /* nobody asked the new one for that */
	assert_string_equal(get(1), "wait");
	assert_int_equal(woken, 0);
}

static void test_lost(void **state)
{
	(void)state;
	get(1);
	pass(LEAVES_LOST_S * 1000 - 1);
	agent_leaves_sweep(leaves, NOW);
	assert_int_equal(count().in_flight, 1);
	pass(1);
	agent_leaves_sweep(leaves, NOW);
	assert_int_equal(count().leaves, 0);
	assert_int_equal(count().lost, 1);
	assert_string_equal(get(1), "wait");
	assert_int_equal(asked, 2);
}

static void test_queue_is_full(void **state)
{
	(void)state;
	ask_result = -ENOBUFS;
	assert_string_equal(get(1), "wait");
	ask_result = 0;
	agent_leaves_sweep(leaves, NOW);
	assert_int_equal(asked, 1);
}

static void flush(const char *uid)
{
	const struct upstream_message m = {.type = UPSTREAM_FLUSH, .flush = {uid}};

	agent_leaves_told(leaves, &m, NOW);
}

static void test_flush(void **state)
{
	uint64_t first;

	(void)state;
	for (unsigned n = 1; n <= 2; n++) {
		get(n);
		grant(n == 1 ? "A1" : "A2");
	}
	flush("uid-1");
	assert_string_equal(get(1), "wait");
	assert_string_equal(get(2), "A2");
	first = last.id;
	flush(NULL); /* what is on its way is too old as well */
	assert_int_equal(asked, 4);
	grant_to(first, "OLD", 60000, NOW + 3600);
	assert_string_equal(get(1), "wait");
	grant("NEW");
	assert_string_equal(get(1), "NEW");
	assert_string_equal(get(2), "wait");
}

static void test_gone(void **state)
{
	const struct upstream_message gone = {.type = UPSTREAM_GONE, .gone = {"uid-1"}};

	(void)state;
	get(1);
	grant("A1");
	get(2);
	agent_leaves_told(leaves, &gone, NOW);
	assert_int_equal(count().leaves, 1);
	assert_int_equal(count().granted, 0);
	grant("A2");
	assert_string_equal(get(2), "A2");
}

/* Whoever has an answer in hand keeps it. */
static void test_answers_outlive_their_leaf(void **state)
{
	struct agent_told *told;

	(void)state;
	get(1);
	grant("A1");
	assert_int_equal(get_at(1, NULL, NOW, &told), 0);
	flush(NULL);
	assert_string_equal(told->secret_access_key, "secret");
	agent_told_unref(told);
}

/* ---- bounds ---- */

static void test_the_least_recently_used_goes(void **state)
{
	char key[16];

	(void)state;
	tear_down(NULL);
	start(3);
	for (unsigned n = 1; n <= 3; n++) {
		get(n);
		snprintf(key, sizeof(key), "A%u", n);
		grant(key);
	}
	assert_string_equal(get(1), "A1");
	get(4);
	assert_int_equal(count().leaves, 3);
	assert_int_equal(count().evicted, 1);
	assert_string_equal(get(1), "A1");
	assert_string_equal(get(3), "A3");
	assert_string_equal(get(2), "wait");
}

static void test_many_come_and_go(void **state)
{
	(void)state;
	tear_down(NULL);
	start(64);
	for (unsigned n = 0; n < 1000; n++) {
		assert_string_equal(get(n), "wait");
		if (n % 3)
			grant("A");
		assert_true(count().leaves <= 64);
	}
	pass(LEAVES_LOST_S * 1000);
	agent_leaves_sweep(leaves, NOW + 3600);
	assert_int_equal(count().leaves, 0);
	assert_int_equal(count().granted, 0);
	assert_int_equal(count().in_flight, 0);
}

/* ---- threads ---- */

static atomic_uint ended;
static atomic_bool wrong;

static struct {
	uint64_t id;
	char pod[64];
} queue[4096];
static size_t head, tail;

static void answer_next(void *arg)
{
	(void)arg;
	while (head != tail) {
		grant_to(queue[head % 4096].id, queue[head % 4096].pod, head % 5 ? 60000 : 0,
			 NOW + 3600);
		head++;
	}
}

static int enqueue(void *arg, const struct upstream_message *m)
{
	(void)arg;
	queue[tail % 4096].id = m->credentials.id;
	snprintf(queue[tail % 4096].pod, sizeof(queue[0].pod), "%s", m->credentials.pod.name);
	if (tail++ == head)
		return loop_post(loop, answer_next, NULL);
	return 0;
}

static void disturb(void *arg)
{
	(void)arg;
	pass(500);
	flush(NULL);
	agent_leaves_sweep(leaves, NOW);
}

/* Each pod gets its own key, however the others come and go. */
static void *ask_for_all(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg, granted = 0;

	while (granted < GRANTS) {
		struct podcred_peer peer = pod((unsigned)rand_r(&seed) % 100);
		struct agent_told *told;

		if (agent_leaves_get(leaves, &peer, NULL, 0, NOW, &told) < 0) {
			sched_yield();
			continue;
		}
		if (strcmp(told->access_key_id, peer.pod_name) != 0)
			atomic_store(&wrong, true);
		agent_told_unref(told);
		if (++granted % 100 == 0)
			loop_post(loop, disturb, NULL);
	}
	if (atomic_fetch_add(&ended, 1) == THREADS - 1)
		loop_post(loop, stop, NULL);
	return NULL;
}

static void test_threads(void **state)
{
	struct agent_leaves_options options = {.ask = enqueue, .wake = on_wake, .max = 60};
	pthread_t threads[THREADS];

	(void)state;
	agent_leaves_free(leaves);
	options.loop = loop;
	assert_int_equal(agent_leaves_new(&options, &leaves), 0);
	agent_leaves_connected(leaves, true);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_for_all, (void *)i), 0);
	assert_int_equal(loop_run(loop), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&wrong));
	assert_true(count().grants[UPSTREAM_CACHE_MISS] > THREADS * GRANTS / 100);
	assert_true(count().kept >= THREADS * GRANTS);
	assert_true(count().leaves <= 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_asked_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refresh, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nearly_spent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refresh_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expiry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_association_any_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tokens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_token_that_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_pod, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asked_again_of_the_next, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_queue_is_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flush, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers_outlive_their_leaf, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_least_recently_used_goes, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_many_come_and_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
