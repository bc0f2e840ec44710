// SPDX-License-Identifier: Apache-2.0
/* MODULES: broker base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/bind.h"
#include "kube/cluster_pods.h"

#define NODE  "11111111-0000-0000-0000-000000000001"
#define OTHER "11111111-0000-0000-0000-000000000002"

static const struct kube_cluster_pod agent = {.uid = "a",
					      .name_space = "podcred",
					      .name = "agent-x",
					      .service_account = "podcred",
					      .node = "n1"};
static const struct kube_cluster_pod web = {
	.uid = "w", .name_space = "shop", .name = "web-1", .service_account = "web", .node = "n1"};
static const struct broker_token agent_token = {"podcred", "podcred", "agent-x", "a", "n1", NODE};
static const struct broker_token web_token = {"shop", "web", "web-1", "w", "n1", NODE};
static const struct broker_node n1 = {"n1", NODE};

static void assert_reason(enum broker_reason want, enum broker_reason got)
{
	assert_string_equal(broker_reason_name(want), broker_reason_name(got));
}

static enum broker_reason caller(const struct broker_token *token,
				 const struct kube_cluster_pod *pod, const char *uid)
{
	struct broker_node node = {"untouched", ""};
	enum broker_reason reason = broker_bind_caller(token, pod, uid, &node);

	if (reason != BROKER_GRANTED)
		assert_string_equal(node.name, "untouched");
	else
		assert_string_equal(node.name, "n1");
	return reason;
}

static void test_caller(void **state)
{
	struct broker_token token = agent_token;
	struct kube_cluster_pod pod = agent;

	(void)state;
	assert_reason(BROKER_GRANTED, caller(&token, &pod, NODE));
	assert_reason(BROKER_CALLER_GONE, caller(&token, NULL, NODE));
	assert_reason(BROKER_NODE_REPLACED, caller(&token, &pod, OTHER));
	assert_reason(BROKER_NODE_REPLACED, caller(&token, &pod, NULL));
	token.node_name = "n2";
	assert_reason(BROKER_CALLER_GONE, caller(&token, &pod, NODE));
	token.node_name = token.node_uid = "";
	assert_reason(BROKER_GRANTED, caller(&token, &pod, NODE));
	assert_string_equal(broker_bind_node_name(&token, &pod), "n1");
	assert_string_equal(broker_bind_node_name(&token, NULL), "");
	pod.node = "";
	assert_reason(BROKER_NODE_REPLACED, caller(&token, &pod, NODE));
	token.pod_uid = "";
	assert_reason(BROKER_CALLER_NOT_OF_POD, caller(&token, &pod, NODE));
}

/* A pod of the same name and uid is not enough. */
static void test_callers_pod(void **state)
{
	struct kube_cluster_pod pod = agent;

	(void)state;
	pod.ended = true;
	assert_reason(BROKER_CALLER_GONE, caller(&agent_token, &pod, NODE));
	pod = agent;
	pod.service_account = "default";
	assert_reason(BROKER_CALLER_GONE, caller(&agent_token, &pod, NODE));
	pod = agent;
	pod.name_space = "shop";
	assert_reason(BROKER_CALLER_GONE, caller(&agent_token, &pod, NODE));
	pod = agent;
	pod.name = "agent-y";
	assert_reason(BROKER_CALLER_GONE, caller(&agent_token, &pod, NODE));
}

static void test_pod(void **state)
{
	const struct broker_node rebuilt = {"n1", OTHER}, n2 = {"n2", OTHER}, alias = {"n2", NODE};
	struct kube_cluster_pod pod = web;

	(void)state;
	assert_reason(BROKER_GRANTED, broker_bind_pod(&n1, &pod, NULL, NODE));
	assert_reason(BROKER_GRANTED, broker_bind_pod(&n1, &pod, &web_token, NODE));
	assert_reason(BROKER_POD_UNKNOWN, broker_bind_pod(&n1, NULL, NULL, NULL));
	assert_reason(BROKER_POD_UNKNOWN, broker_bind_pod(&n1, NULL, &web_token, NULL));
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&n2, &pod, NULL, NODE));
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&n2, &pod, &web_token, NODE));
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&rebuilt, &pod, NULL, NODE));
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&rebuilt, &pod, &web_token, OTHER));
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&n1, &pod, NULL, NULL));
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&alias, &pod, NULL, NODE));
	pod.ended = true;
	assert_reason(BROKER_POD_ENDED, broker_bind_pod(&n1, &pod, NULL, NODE));
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&n2, &pod, NULL, NODE));
	pod = web;
	pod.service_account = "";
	assert_reason(BROKER_NO_ACCOUNT, broker_bind_pod(&n1, &pod, NULL, NODE));
	pod.node = "";
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&n1, &pod, NULL, NULL));
}

static void test_pods_token(void **state)
{
	struct broker_token token = web_token;

	(void)state;
	token.pod_uid = "v";
	assert_reason(BROKER_OTHER_POD, broker_bind_pod(&n1, &web, &token, NODE));
	token = web_token;
	token.service_account = "till";
	assert_reason(BROKER_OTHER_POD, broker_bind_pod(&n1, &web, &token, NODE));
	token = web_token;
	token.node_uid = OTHER;
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&n1, &web, &token, NODE));
	token = web_token;
	token.node_name = "n2";
	assert_reason(BROKER_OTHER_NODE, broker_bind_pod(&n1, &web, &token, NODE));
	token.node_name = token.node_uid = "";
	assert_reason(BROKER_GRANTED, broker_bind_pod(&n1, &web, &token, NODE));
}

static void test_reasons(void **state)
{
	(void)state;
	for (int i = BROKER_GRANTED + 1; i < BROKER_REASONS; i++) {
		const struct broker_refusal *refusal = broker_reason_refusal((enum broker_reason)i);

		assert_non_null(broker_reason_name((enum broker_reason)i));
		assert_in_range(refusal->status, 400, 503);
		assert_non_null(refusal->code);
		assert_null(strchr(refusal->message, '\n'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caller),	cmocka_unit_test(test_callers_pod),
		cmocka_unit_test(test_pod),	cmocka_unit_test(test_pods_token),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
