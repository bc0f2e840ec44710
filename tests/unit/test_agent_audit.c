// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent */
/* How many lines a pod may cause, and that none is lost without being counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <podcred/podcred.h>

#include "agent/audit_limit.h"

static const struct podcred_peer one = {.pod_cgroup_id = 7}, two = {.pod_cgroup_id = 8};
static unsigned reports, reported;
static uint64_t reported_pod;

static void report(const struct podcred_peer *peer, unsigned suppressed)
{
	reports++;
	reported += suppressed;
	reported_pod = peer ? peer->pod_cgroup_id : 0;
}

static unsigned summaries, repeats;
static char repeated_role[16];

static void report_repeats(const struct podcred_peer *peer, const char *role, unsigned count)
{
	assert_int_equal(peer->pod_cgroup_id, one.pod_cgroup_id);
	snprintf(repeated_role, sizeof(repeated_role), "%s", role);
	summaries++;
	repeats += count;
}

static int setup(void **state)
{
	static struct audit_limit l;

	reports = reported = 0;
	reported_pod = 99;
	agent_audit_limit_init(&l, report, report_repeats);
	summaries = repeats = 0;
	*state = &l;
	return 0;
}

static unsigned flood(struct audit_limit *l, const struct podcred_peer *peer, int n, int64_t now)
{
	unsigned lines = 0;

	for (int i = 0; i < n; i++)
		lines += agent_audit_limit_take(l, peer, now);
	return lines;
}

static void test_burst(void **state)
{
	struct audit_limit *l = *state;

	assert_int_equal(flood(l, &one, 100, 5000), 20);
	assert_int_equal(flood(l, &two, 30, 5000), 20);
	assert_int_equal(flood(l, NULL, 30, 5000), 20);
	assert_int_equal(reports, 0);
	agent_audit_limit_done(l);
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
	agent_audit_limit_done(l);
}

/* A flood that has ended is reported by the clock, and then forgotten. */
static void test_end(void **state)
{
	struct audit_limit *l = *state;

	flood(l, NULL, 50, 0);
	flood(l, &one, 1, 0);
	agent_audit_limit_check(l, 999);
	assert_int_equal(reports, 0);
	agent_audit_limit_check(l, 1000);
	assert_int_equal(reports, 1);
	assert_int_equal(reported, 30);
	assert_int_equal(reported_pod, 0);
	agent_audit_limit_check(l, 19999);
	assert_non_null(l->buckets);
	agent_audit_limit_check(l, 20000);
	assert_null(l->buckets);
	agent_audit_limit_done(l);
	assert_int_equal(reports, 1);
}

static unsigned grant(struct audit_limit *l, const struct podcred_peer *peer, const char *role,
		      const char *key_id, int n, int64_t now)
{
	unsigned lines = 0;

	for (int i = 0; i < n; i++)
		lines += agent_audit_limit_take_grant(l, peer, role, key_id, now);
	return lines;
}

/* One line for what is the same, and a count each minute. */
static void test_repeats(void **state)
{
	struct audit_limit *l = *state;

	assert_int_equal(grant(l, &one, "role", "KEY", 10, 1000), 1);
	assert_int_equal(grant(l, &two, "role", "KEY", 1, 1000), 1);
	agent_audit_limit_check(l, 60999);
	assert_int_equal(summaries, 0);
	agent_audit_limit_check(l, 61000);
	assert_int_equal(summaries, 1);
	assert_int_equal(repeats, 9);
	assert_int_equal(grant(l, &one, "role", "KEY", 5, 120999), 0);
	agent_audit_limit_check(l, 121000);
	assert_int_equal(repeats, 14);
	agent_audit_limit_check(l, 181000); /* quiet for a minute */
	assert_null(l->buckets);
	assert_int_equal(grant(l, &one, "role", "KEY", 2, 181001), 1);
	agent_audit_limit_done(l);
	assert_int_equal(summaries, 3);
	assert_int_equal(repeats, 15);
}

/* What changes is told at once, behind the count of what it was. */
static void test_changes(void **state)
{
	struct podcred_peer renamed = one, elsewhere = one;
	struct audit_limit *l = *state;

	strcpy(renamed.service_account, "other");
	elsewhere.port = 81;
	assert_int_equal(grant(l, &one, "role", "KEY", 3, 0), 1);
	assert_int_equal(grant(l, &one, "role", "NEXT", 1, 0), 1);
	assert_int_equal(summaries, 1);
	assert_int_equal(repeats, 2);
	assert_int_equal(grant(l, &one, "another", "NEXT", 2, 0), 1);
	assert_int_equal(grant(l, &renamed, "another", "NEXT", 2, 0), 1);
	assert_string_equal(repeated_role, "another");
	assert_int_equal(summaries, 2);
	for (int i = 0; i < 5; i++) /* two clients of a pod, in turns */
		assert_int_equal(grant(l, &elsewhere, "another", "NEXT", 1, 0) +
					 grant(l, &renamed, "another", "NEXT", 1, 0),
				 i == 0);
	assert_int_equal(summaries, 2);
	assert_int_equal(flood(l, &one, 30, 0), 20);
	assert_int_equal(summaries, 4); /* a refusal that was logged */
	assert_int_equal(grant(l, &renamed, "another", "NEXT", 2, 0), 1);
	assert_int_equal(flood(l, &one, 30, 0), 0);
	assert_int_equal(grant(l, &renamed, "another", "NEXT", 2, 0), 0);
	agent_audit_limit_done(l);
	assert_int_equal(repeats, 2 + 1 + 1 + 5 + 4 + 3);
}

/* However many destinations: so many are told apart, and each grant is a line or in a count. */
static void test_many_destinations(void **state)
{
	struct audit_limit *l = *state;
	struct podcred_peer peer = one;
	unsigned lines = 0;

	for (int i = 0; i < 100; i++)
		for (peer.port = 1; peer.port <= 2 * AUDIT_GRANTS_MAX; peer.port++)
			lines += grant(l, &peer, "role", "KEY", 3, i);
	agent_audit_limit_done(l);
	assert_int_equal(lines + repeats, 100 * 2 * AUDIT_GRANTS_MAX * 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_burst, setup),
		cmocka_unit_test_setup(test_refill, setup),
		cmocka_unit_test_setup(test_end, setup),
		cmocka_unit_test_setup(test_repeats, setup),
		cmocka_unit_test_setup(test_changes, setup),
		cmocka_unit_test_setup(test_many_destinations, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
