// SPDX-License-Identifier: Apache-2.0
/* MODULES: broker credentials crypto yaml base */
/* LIBS: -lyaml -lcrypto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "broker/request.h"
#include "credentials/association_id.h"

#define UID "01234567-89ab-cdef-0123-456789abcdef"

static void test_route(void **state)
{
	static const struct {
		const char *method, *target, *cluster;
		enum broker_operation want;
	} rows[] = {
		{"POST", "/clusters/demo/assume-role-for-pod", "demo", BROKER_ASSUME_FOR_POD},
		{"POST", "/clusters/a-B_9/assume-role-for-pod-identity", "a-B_9",
		 BROKER_ASSUME_FOR_TOKEN},
		{"POST", "/clusters/demo/assumable", "demo", BROKER_ASSUMABLE},
		{"POST", "/", "", BROKER_STS},
		{"GET", "/healthz", "", BROKER_HEALTHZ},
		{"GET", "/clusters/demo/assumable", NULL, BROKER_NOTHING},
		{"GET", "/clusters/demo/assume-role-for-pod", NULL, BROKER_NOTHING},
		{"POST", "/clusters/demo/assume-role-for-pod/", NULL, BROKER_NOTHING},
		{"POST", "/clusters/demo/assume-role-for-pod?x=1", NULL, BROKER_NOTHING},
		{"POST", "/clusters/de%6do/assume-role-for-pod", NULL, BROKER_NOTHING},
		{"POST", "/clusters//assume-role-for-pod", NULL, BROKER_NOTHING},
		{"POST", "//clusters/demo/assume-role-for-pod", NULL, BROKER_NOTHING},
		{"POST", "/clusters/demo/../demo/assume-role-for-pod", NULL, BROKER_NOTHING},
		{"GET", "/", NULL, BROKER_NOTHING},
		{"POST", "", NULL, BROKER_NOTHING},
		{"POST", "*", NULL, BROKER_NOTHING},
	};
	char cluster[BROKER_CLUSTER_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (broker_request_route(rows[i].method, rows[i].target, cluster) != rows[i].want)
			fail_msg("%s %s", rows[i].method, rows[i].target);
		if (rows[i].cluster)
			assert_string_equal(cluster, rows[i].cluster);
	}
}

static void test_long_cluster(void **state)
{
	char target[256], cluster[BROKER_CLUSTER_SIZE];

	(void)state;
	snprintf(target, sizeof(target), "/clusters/%0100d/assumable", 0);
	assert_int_equal(broker_request_route("POST", target, cluster), BROKER_ASSUMABLE);
	snprintf(target, sizeof(target), "/clusters/%0101d/assumable", 0);
	assert_int_equal(broker_request_route("POST", target, cluster), BROKER_NOTHING);
}

static int body(enum broker_operation operation, const char *text, struct broker_body *ret)
{
	return broker_request_body(operation, text, strlen(text), ret);
}

static void test_bodies(void **state)
{
	struct broker_body b = {};

	(void)state;
	assert_int_equal(body(BROKER_ASSUME_FOR_POD, "{\"podUid\":\"" UID "\"}", &b), 0);
	assert_string_equal(b.pod_uid, UID);
	assert_string_equal(b.token, "");
	assert_int_equal(body(BROKER_ASSUME_FOR_POD,
			      " {\"podUid\": \"" UID "\", \"token\": \"a.b-_.c\"}\n", &b),
			 0);
	assert_string_equal(b.token, "a.b-_.c");
	assert_int_equal(body(BROKER_ASSUME_FOR_TOKEN,
			      "{\"token\":\"a.b.c\",\"eksNodeName\":\"n1\",\"instanceId\":\"i-1\","
			      "\"zone\":\"z\"}",
			      &b),
			 0);
	assert_string_equal(b.token, "a.b.c");
	assert_string_equal(b.pod_uid, "");
	assert_int_equal(body(BROKER_ASSUMABLE,
			      "{\"namespace\":\"shop\",\"serviceAccount\":\"web.v1\"}", &b),
			 0);
	assert_string_equal(b.name_space, "shop");
	assert_string_equal(b.service_account, "web.v1");
}

static void test_bad_bodies(void **state)
{
	static const struct {
		enum broker_operation operation;
		const char *text;
	} rows[] = {
		{BROKER_ASSUMABLE, "{\"namespace\":\"shop\"}"},
		{BROKER_ASSUMABLE, "{\"namespace\":\"shop\",\"serviceAccount\":\"a/b\"}"},
		{BROKER_ASSUMABLE, "{\"namespace\":\"a.b\",\"serviceAccount\":\"web\"}"},
		{BROKER_ASSUME_FOR_POD, ""},
		{BROKER_ASSUME_FOR_POD, "{}"},
		{BROKER_ASSUME_FOR_POD, "null"},
		{BROKER_ASSUME_FOR_POD, "[]"},
		{BROKER_ASSUME_FOR_POD, "podUid: " UID},
		{BROKER_ASSUME_FOR_POD, "--- {podUid: " UID "}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":\"\"}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":null}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":\"01234567-89AB-cdef-0123-456789abcdef\"}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":\"" UID "0\"}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":\"" UID "\",\"podUid\":\"" UID "\"}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":\"" UID "\",\"roleArn\":\"x\"}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":\"" UID "\",\"token\":\"a b\"}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":\"" UID "\"}{}"},
		{BROKER_ASSUME_FOR_POD, "{\"podUid\":{\"a\":\"" UID "\"}}"},
		{BROKER_ASSUME_FOR_TOKEN, "{\"podUid\":\"" UID "\"}"},
		{BROKER_ASSUME_FOR_TOKEN, "{\"token\":\"\"}"},
		{BROKER_ASSUME_FOR_TOKEN, "{\"token\":\"a.b.c\",\"eksNodeName\":\"a\\u0007\"}"},
		{BROKER_ASSUME_FOR_TOKEN, "{\"eksNodeName\":\"n1\"}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct broker_body b = {.pod_uid = "untouched"};

		if (body(rows[i].operation, rows[i].text, &b) != -EINVAL)
			fail_msg("accepted: %s", rows[i].text);
		assert_string_equal(b.pod_uid, "untouched");
	}
	assert_int_equal(
		broker_request_body(BROKER_ASSUME_FOR_POD, NULL, 0, &(struct broker_body){}),
		-EINVAL);
}

static void test_bearer(void **state)
{
	char token[BROKER_TOKEN_SIZE], large[BROKER_TOKEN_SIZE + 16] = "Bearer ";

	(void)state;
	assert_int_equal(broker_request_bearer("Bearer a.b.c", token), 0);
	assert_string_equal(token, "a.b.c");
	assert_int_equal(broker_request_bearer("bearer a.b.c", token), 0);
	assert_int_equal(broker_request_bearer("Bearer", token), -EINVAL);
	assert_int_equal(broker_request_bearer("Bearer ", token), -EINVAL);
	assert_int_equal(broker_request_bearer("Bearer a b", token), -EINVAL);
	assert_int_equal(broker_request_bearer("Basic a.b.c", token), -EINVAL);
	assert_int_equal(broker_request_bearer("Bearer a\"", token), -EINVAL);
	memset(large + 7, 'a', BROKER_TOKEN_SIZE - 1);
	assert_int_equal(broker_request_bearer(large, token), 0);
	large[7 + BROKER_TOKEN_SIZE - 1] = 'a';
	assert_int_equal(broker_request_bearer(large, token), -EINVAL);
}

static int sts(const char *form, char token[BROKER_TOKEN_SIZE])
{
	return broker_request_sts(form, strlen(form), token);
}

#define ACTION "Action=AssumeRoleWithWebIdentity"

static void test_sts(void **state)
{
	static const char *const bad[] = {
		"",
		ACTION,
		"WebIdentityToken=a.b.c",
		"Action=AssumeRole&WebIdentityToken=a.b.c",
		ACTION "&WebIdentityToken=",
		ACTION "&WebIdentityToken=a.b.c&WebIdentityToken=a.b.c",
		ACTION "&WebIdentityToken=a%2eb.c",
		ACTION "&Version=2010-01-01&WebIdentityToken=a.b.c",
		ACTION "&Action=GetCallerIdentity&WebIdentityToken=a.b.c",
	};
	char token[BROKER_TOKEN_SIZE] = "untouched";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (sts(bad[i], token) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(token, "untouched");
	}
	assert_int_equal(sts(ACTION
			     "&RoleArn=arn%3Aaws%3Aiam&Version=2011-06-15&WebIdentityToken=a.b-_.c"
			     "&RoleSessionName=x",
			     token),
			 0);
	assert_string_equal(token, "a.b-_.c");
}

static void test_identifiers(void **state)
{
	char a[CRED_ASSOCIATION_ID_SIZE], b[CRED_ASSOCIATION_ID_SIZE], arn[256];

	(void)state;
	(void)cred_association_id(UID, a);
	assert_int_equal(strlen(a), 19);
	assert_int_equal(strncmp(a, "a-", 2), 0);
	assert_int_equal(strspn(a + 2, "0123456789abcdefghijklmnopqrstuvwxyz"), 17);
	(void)cred_association_id("another", b);
	assert_string_not_equal(a, b);
	(void)cred_association_id("", b);
	assert_string_equal(b, "a-00000000000000000");
	cred_association_arn("arn:aws:eks:eu-west-1:111122223333:cluster/demo", a, arn,
			     sizeof(arn));
	assert_int_equal(
		strncmp(arn, "arn:aws:eks:eu-west-1:111122223333:podidentityassociation/demo/a-",
			64),
		0);
	cred_association_arn("", a, arn, sizeof(arn));
	assert_string_equal(arn, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_route),  cmocka_unit_test(test_long_cluster),
		cmocka_unit_test(test_bodies), cmocka_unit_test(test_bad_bodies),
		cmocka_unit_test(test_bearer), cmocka_unit_test(test_identifiers),
		cmocka_unit_test(test_sts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
