// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/kernel/reasons.c */
/* MODULES: doctor base */
/*
 * The same cases, with the same answers, as tests/bpf/test_logic.c has them of the BPF functions;
 * those that only a hook can reach are compared by tests/e2e/25-explain.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "doctor/explain.h"

#define NONE	  EXPLAIN_NONE
#define POD_A	  1001
#define REASON(r) PODCRED_REASON_##r

static struct podcred_config config;
static struct explain_verdict verdict;

/* A guarded node at its best. */
static struct explain_facts facts(const char *to, uint8_t protocol, int guard, int target)
{
	struct explain_facts f = {
		.config = &config,
		.guard = guard,
		.target = target,
		.pod = POD_A,
		.pod_flags = PODCRED_POD_NAMED,
		.set_retval = true,
		.connect = true,
		.sendmsg = true,
		.announce = true,
		.claim = true,
		.egress = true,
		.postrouting = true,
		.now_ns = 1000,
	};
	struct net_addr addr;

	assert_int_equal(net_addr_parse(to, &addr), 0);
	memcpy(f.dest.addr.ip, addr.ip, sizeof(addr.ip));
	f.dest.port = htons(addr.port);
	f.dest.protocol = protocol;
	return f;
}

static void check(const struct explain_facts *f, enum explain_outcome outcome, int reason,
		  int error)
{
	doctor_explain_decide(f, &verdict);
	assert_int_equal(verdict.outcome, outcome);
	assert_int_equal(verdict.reason, reason);
	assert_int_equal(verdict.error, error);
	assert_true(verdict.n_steps > 0);
	for (size_t i = 0; i < verdict.n_steps; i++)
		assert_true(verdict.steps[i].about && verdict.steps[i].text[0]);
}

static void check_tcp(int guard, int target, enum explain_outcome outcome, int reason, int error)
{
	struct explain_facts f = facts("169.254.169.254:80", IPPROTO_TCP, guard, target);

	check(&f, outcome, reason, error);
}

static int setup(void **state)
{
	(void)state;
	config = (struct podcred_config){.max_flows_per_pod = 3};
	memset(config.guard_filter, 0xff, sizeof(config.guard_filter));
	config.agent[0].port = htons(7777);
	config.agent[1].port = htons(7778);
	return 0;
}

static void destinations(void **state)
{
	(void)state;
	check_tcp(NONE, NONE, EXPLAIN_NOT_GUARDED, NONE, 0);
	/* a port comes before a prefix, and needs none */
	check_tcp(NONE, PODCRED_ACTION_REDIRECT, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	check_tcp(PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT, EXPLAIN_REDIRECTED,
		  REASON(redirected), 0);
	check_tcp(PODCRED_ACTION_DENY, NONE, EXPLAIN_REFUSED, REASON(denied_destination), EACCES);
	check_tcp(PODCRED_ACTION_ALLOW, PODCRED_ACTION_DENY, EXPLAIN_REFUSED,
		  REASON(denied_destination), EACCES);
	check_tcp(PODCRED_ACTION_ALLOW, NONE, EXPLAIN_PASSED, NONE, 0);
	check_tcp(PODCRED_ACTION_AUDIT, NONE, EXPLAIN_PASSED, REASON(passed_audit), 0);
}

static void agents_own(void **state)
{
	struct explain_facts f = facts("10.99.0.1:7777", IPPROTO_TCP, NONE, NONE);

	(void)state;
	memset(config.guard_filter, 0, sizeof(config.guard_filter));
	memcpy(config.agent[0].addr.ip, f.dest.addr.ip, sizeof(f.dest.addr.ip));
	check(&f, EXPLAIN_DIRECT, REASON(direct), 0);
	f.dest.protocol = IPPROTO_UDP;
	check(&f, EXPLAIN_NOT_GUARDED, NONE, 0);
	f = facts("10.99.0.1:7778", IPPROTO_TCP, NONE, NONE);
	check(&f, EXPLAIN_NOT_GUARDED, NONE, 0);
	config.agent[0].port = 0;
	check(&f, EXPLAIN_NOT_GUARDED, NONE, 0);
}

/* The filter is asked before the tables; its bit is that of the address. */
static void filter(void **state)
{
	struct explain_facts f =
		facts("169.254.169.254:80", IPPROTO_UDP, PODCRED_ACTION_DENY, NONE);
	uint32_t bit = podcred_filter_bit(&f.dest.addr);

	(void)state;
	memset(config.guard_filter, 0, sizeof(config.guard_filter));
	check(&f, EXPLAIN_NOT_GUARDED, NONE, 0);
	config.guard_filter[bit / 64] |= 1ULL << bit % 64;
	check(&f, EXPLAIN_REFUSED, REASON(denied_destination), EACCES);
}

/* index: which agent[]; -1: none */
static void agent_of(const char *to, int index)
{
	struct explain_facts f =
		facts(to, IPPROTO_TCP, PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT);

	if (index < 0) {
		check(&f, EXPLAIN_REFUSED, REASON(no_agent), EACCES);
		return;
	}
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	assert_int_equal(verdict.agent.port, htons((uint16_t)(7777 + index)));
}

static void agents(void **state)
{
	const char *const v4 = "169.254.169.254:80", *const v6 = "[fd00:ec2::254]:80";

	(void)state;
	agent_of(v4, 0);
	agent_of(v6, 1);
	config.agent[1].port = 0;
	agent_of(v4, 0);
	agent_of(v6, 0);
	config.agent[0].port = 0;
	agent_of(v4, -1);
	agent_of(v6, -1);
	config.agent[1].port = htons(7778);
	agent_of(v4, -1);
	agent_of(v6, 1);
}

static void policy(void **state)
{
	const struct {
		uint32_t flags;
		int guard, target;
		enum explain_outcome outcome;
		int reason, error;
	} cases[] = {
		{PODCRED_POD_DENIED, PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT, EXPLAIN_REFUSED,
		 REASON(denied_policy), EACCES},
		{PODCRED_POD_DENIED, PODCRED_ACTION_ALLOW, PODCRED_ACTION_STAMP, EXPLAIN_REFUSED,
		 REASON(denied_policy), EACCES},
		{PODCRED_POD_DENIED | PODCRED_POD_EXEMPT, PODCRED_ACTION_DENY, NONE,
		 EXPLAIN_REFUSED, REASON(denied_policy), EACCES},
		{PODCRED_POD_DENIED, PODCRED_ACTION_AUDIT, NONE, EXPLAIN_PASSED,
		 REASON(passed_audit), 0},
		{PODCRED_POD_EXEMPT, PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT, EXPLAIN_PASSED,
		 REASON(passed_exempt), 0},
		{PODCRED_POD_EXEMPT, PODCRED_ACTION_DENY, NONE, EXPLAIN_PASSED,
		 REASON(passed_exempt), 0},
		/* its own pod at the agent's door is stamped all the same */
		{PODCRED_POD_EXEMPT, PODCRED_ACTION_ALLOW, PODCRED_ACTION_STAMP, EXPLAIN_DIRECT,
		 REASON(direct), 0},
		{0, PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT, EXPLAIN_REDIRECTED,
		 REASON(redirected), 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct explain_facts f =
			facts("169.254.169.254:80", IPPROTO_TCP, cases[i].guard, cases[i].target);

		f.pod_flags = cases[i].flags;
		check(&f, cases[i].outcome, cases[i].reason, cases[i].error);
	}
}

static void quota(void **state)
{
	struct explain_facts f = facts("169.254.169.254:80", IPPROTO_TCP, PODCRED_ACTION_DENY,
				       PODCRED_ACTION_REDIRECT);

	(void)state;
	f.pending = 2;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	f.pending = 3;
	check(&f, EXPLAIN_REFUSED, REASON(quota), EAGAIN);
	f.pending = 0;
	f.quota_full = true;
	check(&f, EXPLAIN_REFUSED, REASON(quota_map_full), EAGAIN);
	f.set_retval = false;
	check(&f, EXPLAIN_REFUSED, REASON(quota_map_full), EPERM);
	f = facts("169.254.169.254:81", IPPROTO_TCP, PODCRED_ACTION_DENY, NONE);
	f.pending = 3; /* not asked for what is refused anyway */
	check(&f, EXPLAIN_REFUSED, REASON(denied_destination), EACCES);
}

static void pass_quota(void **state)
{
	struct explain_facts f = facts("169.254.169.254:80", IPPROTO_TCP, PODCRED_ACTION_DENY,
				       PODCRED_ACTION_REDIRECT);

	(void)state;
	f.open = PODCRED_PASSES_PER_POD;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	f.pod_flags = PODCRED_POD_EXEMPT;
	check(&f, EXPLAIN_REFUSED, REASON(pass_quota), EAGAIN);
	f.open = PODCRED_PASSES_PER_POD - 1;
	f.pending = 3; /* of the agent's, which has nothing to do with it */
	check(&f, EXPLAIN_PASSED, REASON(passed_exempt), 0);
	f.pass_quota_full = true;
	check(&f, EXPLAIN_REFUSED, REASON(quota_map_full), EAGAIN);
}

static void failure_mode(void **state)
{
	struct explain_facts f = facts("169.254.169.254:80", IPPROTO_TCP, PODCRED_ACTION_DENY,
				       PODCRED_ACTION_REDIRECT);

	(void)state;
	config.fail_open = 1;
	f.lease_ns = 1001;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	f.lease_ns = 1000;
	check(&f, EXPLAIN_PASSED, REASON(passed_open), 0);
	f.target = NONE; /* opens what is redirected, not what is denied */
	check(&f, EXPLAIN_REFUSED, REASON(denied_destination), EACCES);
}

static void datagrams(void **state)
{
	struct explain_facts f =
		facts("169.254.169.254:80", IPPROTO_UDP, PODCRED_ACTION_DENY, NONE);

	(void)state;
	check(&f, EXPLAIN_REFUSED, REASON(denied_destination), EACCES);
	f.target = PODCRED_ACTION_REDIRECT;
	check(&f, EXPLAIN_REFUSED, REASON(denied_destination), EACCES);
	f.pod_flags |= PODCRED_POD_DENIED;
	check(&f, EXPLAIN_REFUSED, REASON(denied_destination), EACCES);
	f.pod_flags = PODCRED_POD_NAMED | PODCRED_POD_EXEMPT | PODCRED_POD_HOST_NETWORK;
	check(&f, EXPLAIN_PASSED, REASON(passed_exempt), 0);
	/* the node sees a forwarded packet that nothing speaks for */
	f.pod_flags &= ~PODCRED_POD_HOST_NETWORK;
	check(&f, EXPLAIN_DROPPED, REASON(packet_forwarded), 0);
	f.postrouting = false;
	check(&f, EXPLAIN_PASSED, REASON(passed_exempt), 0);
}

static void own_agent(void **state)
{
	struct explain_facts f = facts("169.254.169.254:80", IPPROTO_TCP, PODCRED_ACTION_DENY,
				       PODCRED_ACTION_REDIRECT);

	(void)state;
	config.agent_pod_id = POD_A;
	f.pod_flags |= PODCRED_POD_HOST_NETWORK;
	check(&f, EXPLAIN_PASSED, REASON(passed_agent), 0);
	f.target = PODCRED_ACTION_STAMP;
	check(&f, EXPLAIN_DIRECT, REASON(direct), 0);
	f.target = PODCRED_ACTION_REDIRECT;
	f.pod++;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
}

/* Around connect(2), and what is left when a hook is missing. */
static void packets(void **state)
{
	struct explain_facts f = facts("169.254.169.254", IPPROTO_ICMP, PODCRED_ACTION_DENY, NONE);

	(void)state;
	check(&f, EXPLAIN_REFUSED, REASON(packet_socket), EPERM);
	f.egress = false;
	check(&f, EXPLAIN_DROPPED, REASON(packet_forwarded), 0);
	f.pod_flags |= PODCRED_POD_HOST_NETWORK;
	check(&f, EXPLAIN_DROPPED, REASON(packet_socket), 0);
	f.postrouting = false;
	check(&f, EXPLAIN_PASSED, NONE, 0);
	f = facts("169.254.169.254", IPPROTO_ICMP, PODCRED_ACTION_STAMP, NONE);
	check(&f, EXPLAIN_PASSED, NONE, 0);
	f = facts("169.254.169.254", IPPROTO_ICMP, PODCRED_ACTION_AUDIT, NONE);
	check(&f, EXPLAIN_PASSED, NONE, 0);

	f = facts("169.254.169.254:80", IPPROTO_TCP, PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT);
	f.connect = false; /* TCP tries again, and does not tell connect(2) */
	check(&f, EXPLAIN_DROPPED, REASON(packet_socket), 0);
	f.egress = f.postrouting = false;
	check(&f, EXPLAIN_PASSED, NONE, 0);
	f = facts("169.254.169.254:80", IPPROTO_TCP, PODCRED_ACTION_DENY, PODCRED_ACTION_REDIRECT);
	f.pod_flags |= PODCRED_POD_EXEMPT;
	f.announce = false; /* the connection is not noted */
	check(&f, EXPLAIN_DROPPED, REASON(packet_forwarded), 0);
}

static void mode_audit(void **state)
{
	struct explain_facts f =
		facts("169.254.169.254:81", IPPROTO_TCP, PODCRED_ACTION_DENY, NONE);

	(void)state;
	config.audit = 1;
	check(&f, EXPLAIN_PASSED, REASON(denied_destination), 0);
	assert_true(verdict.audited);
	f.target = PODCRED_ACTION_REDIRECT;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	assert_false(verdict.audited);
	f = facts("169.254.169.254", IPPROTO_ICMP, PODCRED_ACTION_DENY, NONE);
	check(&f, EXPLAIN_PASSED, REASON(packet_socket), 0);
	assert_true(verdict.audited);
}

/* The same of one pod: its own affairs alone. */
static void policy_audit(void **state)
{
	struct explain_facts f =
		facts("169.254.169.254:81", IPPROTO_TCP, PODCRED_ACTION_DENY, NONE);

	(void)state;
	f.pod_flags |= PODCRED_POD_AUDIT;
	check(&f, EXPLAIN_PASSED, REASON(denied_destination), 0);
	assert_true(verdict.audited);
	f.target = PODCRED_ACTION_REDIRECT;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	assert_false(verdict.audited);
	f.pending = 3;
	check(&f, EXPLAIN_PASSED, REASON(quota), 0);
	assert_true(verdict.audited);
	/* nobody notes it, so the node does not know its packets */
	f.open = PODCRED_PASSES_PER_POD;
	check(&f, EXPLAIN_DROPPED, REASON(packet_forwarded), 0);
	f.pod_flags |= PODCRED_POD_DENIED;
	check(&f, EXPLAIN_REFUSED, REASON(denied_policy), EACCES);
	/* other packets, of a network of its own and of the node's */
	f = facts("169.254.169.254:80", IPPROTO_UDP, PODCRED_ACTION_DENY, NONE);
	f.pod_flags |= PODCRED_POD_AUDIT;
	check(&f, EXPLAIN_DROPPED, REASON(packet_forwarded), 0);
	f.pod_flags |= PODCRED_POD_HOST_NETWORK;
	check(&f, EXPLAIN_PASSED, REASON(denied_destination), 0);
	assert_true(verdict.audited);
	f = facts("169.254.169.254", IPPROTO_ICMP, PODCRED_ACTION_DENY, NONE);
	f.pod_flags |= PODCRED_POD_AUDIT;
	check(&f, EXPLAIN_DROPPED, REASON(packet_forwarded), 0);
	f.pod_flags |= PODCRED_POD_HOST_NETWORK;
	check(&f, EXPLAIN_PASSED, REASON(packet_socket), 0);
	assert_true(verdict.audited);
}

static bool policy_says(const char *text)
{
	for (size_t i = 0; i < verdict.n_steps; i++)
		if (!strcmp(verdict.steps[i].about, "policy"))
			return !strcmp(verdict.steps[i].text, text);
	return false;
}

static void policy_why(void **state)
{
	struct explain_facts f = facts("169.254.169.254:80", IPPROTO_TCP, PODCRED_ACTION_DENY,
				       PODCRED_ACTION_REDIRECT);

	(void)state;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	assert_true(policy_says("no rule for this pod: redirect"));
	f.pod_flags |= PODCRED_POD_EXEMPT;
	f.policy_line = 7;
	check(&f, EXPLAIN_PASSED, REASON(passed_exempt), 0);
	assert_true(policy_says("exempt by line 7"));
	f.pod_flags = PODCRED_POD_NAMED | PODCRED_POD_ANNOTATED | PODCRED_POD_IMDSV2;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	assert_true(policy_says("redirect by line 7 and the pod's annotations, IMDS with a session "
				"token alone"));
	f.pod_flags = PODCRED_POD_NAMED | PODCRED_POD_NO_LABELS;
	f.policy_line = 0;
	check(&f, EXPLAIN_REDIRECTED, REASON(redirected), 0);
	assert_true(policy_says("redirect by no rule, its labels are not known"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(destinations, setup),
		cmocka_unit_test_setup(filter, setup),
		cmocka_unit_test_setup(agents_own, setup),
		cmocka_unit_test_setup(agents, setup),
		cmocka_unit_test_setup(policy, setup),
		cmocka_unit_test_setup(quota, setup),
		cmocka_unit_test_setup(pass_quota, setup),
		cmocka_unit_test_setup(failure_mode, setup),
		cmocka_unit_test_setup(datagrams, setup),
		cmocka_unit_test_setup(own_agent, setup),
		cmocka_unit_test_setup(packets, setup),
		cmocka_unit_test_setup(mode_audit, setup),
		cmocka_unit_test_setup(policy_audit, setup),
		cmocka_unit_test_setup(policy_why, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
