// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/agent/audit_limit.c */
/* How many lines a pod may cause, and that none is lost without being counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <podcred/podcred.h>

#include "audit_limit.h"

static const struct podcred_peer one = {.pod_cgroup_id = 7}, two = {.pod_cgroup_id = 8};
static unsigned reports, reported;
static uint64_t reported_pod;

static void report(const struct podcred_peer *peer, unsigned suppressed)
{
	reports++;
	reported += suppressed;
	reported_pod = peer ? peer->pod_cgroup_id : 0;
}

static int setup(void **state)
{
	static struct audit_limit l;

	reports = reported = 0;
	reported_pod = 99;
	audit_limit_init(&l, report);
	*state = &l;
	return 0;
}

static unsigned flood(struct audit_limit *l, const struct podcred_peer *peer, int n, int64_t now)
{
	unsigned lines = 0;

	for (int i = 0; i < n; i++)
		lines += audit_limit_take(l, peer, now);
	return lines;
}

static void test_burst(void **state)
{
	struct audit_limit *l = *state;

	assert_int_equal(flood(l, &one, 100, 5000), 20);
	assert_int_equal(flood(l, &two, 30, 5000), 20);
	assert_int_equal(flood(l, NULL, 30, 5000), 20);
	assert_int_equal(reports, 0);
	audit_limit_done(l);
	assert_int_equal(reports, 3);
	assert_int_equal(reported, 80 + 10 + 10);
}

static void test_refill(void **state)
{
	struct audit_limit *l = *state;

	assert_int_equal(flood(l, &one, 25, 0), 20);
	assert_int_equal(flood(l, &one, 1, 999), 0);
	assert_int_equal(reports, 0);
	assert_int_equal(flood(l, &one, 5, 1000), 1);
	assert_int_equal(reports, 1);
	assert_int_equal(reported, 6);
	assert_int_equal(reported_pod, 7);
	assert_int_equal(flood(l, &one, 100, 3500), 2);
	assert_int_equal(flood(l, &one, 100, 1000000), 20); /* no more than the burst */
	assert_int_equal(flood(l, &one, 1, 2000), 0); /* a clock that goes back */
	audit_limit_done(l);
}

/* A flood that has ended is reported by the clock, and then forgotten. */
static void test_end(void **state)
{
	struct audit_limit *l = *state;

	flood(l, NULL, 50, 0);
	flood(l, &one, 1, 0);
	audit_limit_check(l, 999);
	assert_int_equal(reports, 0);
	audit_limit_check(l, 1000);
	assert_int_equal(reports, 1);
	assert_int_equal(reported, 30);
	assert_int_equal(reported_pod, 0);
	audit_limit_check(l, 19999);
	assert_non_null(l->buckets);
	audit_limit_check(l, 20000);
	assert_null(l->buckets);
	audit_limit_done(l);
	assert_int_equal(reports, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_burst, setup),
		cmocka_unit_test_setup(test_refill, setup),
		cmocka_unit_test_setup(test_end, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
