// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "credentials/session.h"

#define ARN	"arn:aws:iam::111122223333:role/team/app"
#define TARGET	"arn:aws:iam::444455556666:role/there"
#define UID	"5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define CLUSTER "arn:aws:eks:eu-west-1:111122223333:cluster/demo"

static const struct cred_pod web_0 = {"shop", "web-0", UID, "web"};
static const struct cred_pod web_1 = {"shop", "web-1", "6f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11",
				      "web"};
static const struct cred_cluster demo = {"demo", CLUSTER}, unknown;

/* A table with one association of shop/web; keys: as the file has them. */
static struct cred_table *table(const char *keys)
{
	char text[4096];
	struct cred_table *t = NULL;
	struct pc_err err = {};

	snprintf(text, sizeof(text), "associations: [{namespace: shop, serviceAccount: web, %s}]",
		 keys);
	if (cred_table_parse("a", text, strlen(text), &t, &err) < 0)
		fail_msg("%s\n%s", err.msg, text);
	return t;
}

static void plan(const struct cred_table *t, const struct cred_pod *pod,
		 const struct cred_cluster *cluster, struct cred_session *ret)
{
	struct pc_err err = {};

	if (cred_session_plan(cred_table_at(t, 0), CRED_SOURCE_STS, pod, cluster, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_sts(void **state)
{
	static const char *const values[] = {CLUSTER, "demo", "shop", "web", "web-0", UID, "shop"};
	struct cred_table *t = table("roleArn: '" ARN "', tags: {team: shop}");
	struct cred_session s;

	(void)state;
	plan(t, &web_0, &demo, &s);
	assert_int_equal(s.source, CRED_SOURCE_STS);
	assert_string_equal(s.name, "shop.web.web-0");
	assert_int_equal(s.n_hops, 1);
	assert_string_equal(s.hops[0].role_arn, ARN);
	assert_null(s.hops[0].external_id);
	assert_null(s.hops[0].policy);
	assert_int_equal(s.hops[0].duration, 3600);
	assert_true(s.hops[0].tagged);
	assert_int_equal(s.n_tags, ARRAY_SIZE(values));
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		assert_string_equal(s.tags[i].key, i < 6 ? cred_eks_tags[i] : "team");
		assert_string_equal(s.tags[i].value, values[i]);
	}
	assert_int_equal(strlen(s.key), 64);
	plan(t, &web_0, &unknown, &s);
	assert_int_equal(s.n_tags, 5);
	assert_string_equal(s.tags[0].key, "kubernetes-namespace");
	cred_table_unref(t);
}

/* The first call gets the tags, the second what limits the pod; the first need not last. */
static void test_target(void **state)
{
	struct cred_table *t = table("roleArn: '" ARN "', targetRoleArn: '" TARGET "'"
				     ", durationSeconds: 1800");
	struct cred_session s;

	(void)state;
	assert_string_equal(cred_table_at(t, 0)->role, "there");
	assert_string_equal(cred_table_at(t, 0)->account_id, "444455556666");
	plan(t, &web_0, &demo, &s);
	assert_int_equal(s.n_hops, 2);
	assert_string_equal(s.hops[0].role_arn, ARN);
	assert_string_equal(s.hops[1].role_arn, TARGET);
	assert_true(s.hops[0].tagged);
	assert_false(s.hops[1].tagged);
	assert_null(s.hops[0].external_id);
	assert_string_equal(s.hops[1].external_id, "eu-west-1/111122223333/demo/shop/web");
	assert_int_equal(s.hops[0].duration, 900);
	assert_int_equal(s.hops[1].duration, 1800);
	plan(t, &web_0, &unknown, &s);
	assert_null(s.hops[1].external_id);
	cred_table_unref(t);
	t = table("roleArn: '" ARN "', targetRoleArn: '" TARGET "', externalId: mine"
		  ", disableSessionTags: true, policy: '{}'");
	plan(t, &web_0, &demo, &s);
	assert_string_equal(s.hops[1].external_id, "mine");
	assert_string_equal(s.hops[1].policy, "{}");
	assert_null(s.hops[0].policy);
	assert_null(s.hops[0].external_id);
	assert_false(s.hops[0].tagged);
	cred_table_unref(t);
}

/* A web identity takes no tags and no external id; a role behind it does. */
static void test_web_identity(void **state)
{
	struct cred_table *t = table("roleArn: '" ARN "', webIdentity: {audience: aud}");
	struct cred_session s;

	(void)state;
	plan(t, &web_0, &demo, &s);
	assert_int_equal(s.source, CRED_SOURCE_WEB_IDENTITY);
	assert_int_equal(s.n_tags, 0);
	assert_false(s.hops[0].tagged);
	cred_table_unref(t);
	t = table("roleArn: '" ARN "', targetRoleArn: '" TARGET "', tags: {a: b}, webIdentity: {}");
	plan(t, &web_0, &demo, &s);
	assert_int_equal(s.n_tags, 7);
	assert_false(s.hops[0].tagged);
	assert_true(s.hops[1].tagged);
	assert_string_equal(s.hops[1].external_id, "eu-west-1/111122223333/demo/shop/web");
	cred_table_unref(t);
}

/* A token of the issuer has the tags in it, so a target role inherits them. */
static void test_issuer(void **state)
{
	struct cred_table *t =
		table("roleArn: '" ARN "', targetRoleArn: '" TARGET "', tags: {a: b}");
	struct cred_session s;
	struct pc_err err = {};

	(void)state;
	assert_int_equal(
		cred_session_plan(cred_table_at(t, 0), CRED_SOURCE_ISSUER, &web_0, &demo, &s, &err),
		0);
	assert_int_equal(s.source, CRED_SOURCE_ISSUER);
	assert_string_equal(s.name, "shop.web.web-0");
	assert_int_equal(s.n_tags, 7);
	assert_int_equal(s.n_hops, 2);
	assert_true(s.hops[0].tagged);
	assert_false(s.hops[1].tagged);
	assert_null(s.hops[0].external_id);
	assert_string_equal(s.hops[1].external_id, "eu-west-1/111122223333/demo/shop/web");
	cred_table_unref(t);
}

static void name_of(const char *keys, const struct cred_pod *pod,
		    const struct cred_cluster *cluster, char ret[CRED_SESSION_NAME_SIZE])
{
	char all[512];
	struct cred_session s;
	struct cred_table *t;

	snprintf(all, sizeof(all), "roleArn: '" ARN "'%s", keys);
	t = table(all);
	plan(t, pod, cluster, &s);
	strcpy(ret, s.name);
	cred_table_unref(t);
}

static void test_names(void **state)
{
	struct cred_pod pod = web_0;
	char name[CRED_SESSION_NAME_SIZE], other[CRED_SESSION_NAME_SIZE];

	(void)state;
	name_of(", sessionName: serviceAccount", &web_0, &demo, name);
	assert_string_equal(name, "shop.web");
	name_of(", sessionName: eks", &web_0, &demo, name);
	assert_string_equal(name, "eks-demo-web-0-" UID);
	name_of(", sessionName: eks", &web_0, &unknown, name);
	assert_string_equal(name, "eks-web-0-" UID);
	/* 64 fit */
	pod.name = "p0123456789012345678901234567890123456789012345678901"
		   "23";
	name_of("", &pod, &demo, name);
	assert_int_equal(strlen(name), 64);
	assert_string_equal(name + 9, pod.name);
	/* 65 do not; what is cut off still tells two apart, and the same one stays the same */
	pod.name = "p012345678901234567890123456789012345678901234567890123a";
	name_of("", &pod, &demo, name);
	assert_int_equal(strlen(name), 64);
	assert_memory_equal(name, "shop.web.p0123456789012345678901234567890123456789012-", 54 - 1);
	pod.name = "p012345678901234567890123456789012345678901234567890123b";
	name_of("", &pod, &demo, other);
	assert_string_not_equal(name, other);
	name_of("", &pod, &demo, name);
	assert_string_equal(name, other);
	/* the uid is never cut */
	name_of(", sessionName: eks", &pod, &demo, name);
	assert_string_equal(name, "eks-demo-p01234567890123456-" UID);
}

/* kiam's annotation may hold anything. */
static void test_given_name(void **state)
{
	struct cred_association a = {.origin = CRED_ORIGIN_KIAM,
				     .source = CRED_SOURCE_STS,
				     .namespace = "shop",
				     .service_account = "web",
				     .role_arn = ARN,
				     .duration = 3600,
				     .session_text = "kiam-mine"};
	struct cred_session s;
	char first[CRED_SESSION_NAME_SIZE];

	(void)state;
	assert_int_equal(cred_session_plan(&a, CRED_SOURCE_STS, &web_0, &demo, &s, NULL), 0);
	assert_string_equal(s.name, "kiam-mine");
	a.session_text = "kiam-a b/\303\244";
	assert_int_equal(cred_session_plan(&a, CRED_SOURCE_STS, &web_0, &demo, &s, NULL), 0);
	assert_memory_equal(s.name, "kiam-a-b----", 12);
	strcpy(first, s.name);
	a.session_text = "kiam-a_b/\303\244";
	assert_int_equal(cred_session_plan(&a, CRED_SOURCE_STS, &web_0, &demo, &s, NULL), 0);
	assert_string_not_equal(first, s.name);
}

/* Everything that changes the answer changes the key ... */
static const char *const different[] = {
	"roleArn: '" ARN "'",
	"roleArn: '" ARN "2'",
	"roleArn: '" ARN "', durationSeconds: 900",
	"roleArn: '" ARN "', externalId: one",
	"roleArn: '" ARN "', externalId: two",
	"roleArn: '" ARN "', tags: {a: bc}",
	"roleArn: '" ARN "', tags: {ab: c}",
	"roleArn: '" ARN "', tags: {ab: ''}",
	"roleArn: '" ARN "', disableSessionTags: true",
	"roleArn: '" ARN "', disableSessionTags: true, policy: '{}'",
	"roleArn: '" ARN "', disableSessionTags: true, policy: '{ }'",
	"roleArn: '" ARN "', sessionName: serviceAccount",
	"roleArn: '" ARN "', sessionName: eks",
	"roleArn: '" ARN "', targetRoleArn: '" TARGET "'",
	"roleArn: '" ARN "', targetRoleArn: '" TARGET "', externalId: one",
	"roleArn: '" ARN "', webIdentity: {}",
	"roleArn: '" ARN "', webIdentity: {audience: a}",
	"roleArn: '" ARN "', webIdentity: {audience: b}",
	"eksAuth: {}",
	"role: r, exec: {command: [/a, b]}",
	"role: r, exec: {command: [/a, b, '']}",
	"role: r, exec: {command: [/a], environment: {b: c}}",
};

static void test_keys(void **state)
{
	char keys[2 * ARRAY_SIZE(different)][CRED_SESSION_KEY_SIZE];
	struct cred_session s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(different); i++) {
		struct cred_table *t = table(different[i]);

		plan(t, &web_0, &demo, &s);
		strcpy(keys[i], s.key);
		plan(t, &web_0, &demo, &s);
		assert_string_equal(keys[i], s.key);
		cred_table_unref(t);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(keys[i], keys[j]))
				fail_msg("the same key:\n%s\n%s", different[i], different[j]);
	}
}

static bool is_shared(const char *keys, const struct cred_pod *a, const struct cred_pod *b)
{
	struct cred_table *t = table(keys);
	struct cred_session first, second;

	plan(t, a, &demo, &first);
	plan(t, b, &demo, &second);
	cred_table_unref(t);
	return !strcmp(first.key, second.key);
}

/* ... and nothing else does. */
static void test_shared(void **state)
{
	const struct cred_pod other = {"bank", "web-0", UID, "web"};

	(void)state;
	assert_false(is_shared("roleArn: '" ARN "'", &web_0, &web_1));
	assert_false(is_shared("roleArn: '" ARN "', sessionName: serviceAccount", &web_0, &web_1));
	assert_false(is_shared("roleArn: '" ARN "', disableSessionTags: true", &web_0, &web_1));
	assert_true(is_shared("roleArn: '" ARN "', disableSessionTags: true"
			      ", sessionName: serviceAccount",
			      &web_0, &web_1));
	assert_true(is_shared("roleArn: '" ARN "', sessionName: serviceAccount, webIdentity: {}",
			      &web_0, &web_1));
	assert_false(is_shared("roleArn: '" ARN "', sessionName: serviceAccount, webIdentity: {}",
			       &web_0, &other));
	assert_false(
		is_shared("roleArn: '" ARN "', sessionName: eks, webIdentity: {}", &web_0, &other));
	assert_true(is_shared("role: r, exec: {command: [/a]}", &web_0, &web_1));
	assert_false(is_shared("eksAuth: {}", &web_0, &web_1));
}

static void test_conflicts(void **state)
{
	static const struct {
		const char *keys;
		enum cred_source source;
		const char *what;
	} rows[] = {
		{"roleArn: '" ARN "'", CRED_SOURCE_EKS_AUTH, "roleArn"},
		{"roleArn: '" ARN "', externalId: xy", CRED_SOURCE_WEB_IDENTITY, "externalId"},
		{"roleArn: '" ARN "', tags: {a: b}", CRED_SOURCE_WEB_IDENTITY, "tags"},
		{"roleArn: '" ARN "', externalId: xy", CRED_SOURCE_ISSUER, "externalId"},
		{"eksAuth: {}", CRED_SOURCE_STS, "cluster's name"},
	};
	struct cred_session s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cred_table *t = table(rows[i].keys);
		struct pc_err err = {};

		assert_int_equal(cred_session_plan(cred_table_at(t, 0), rows[i].source, &web_0,
						   &unknown, &s, &err),
				 -EINVAL);
		if (!strstr(err.msg, rows[i].what) || !strchr(err.msg, ';'))
			fail_msg("%s", err.msg);
		cred_table_unref(t);
	}
}

static void plan_object(const char *spec, struct cred_session *ret)
{
	struct cred_table *t;
	struct pc_err err = {};

	assert_int_equal(cred_table_parse_spec("o", CRED_ORIGIN_OBJECT, "shop", "web", spec,
					       strlen(spec), &t, &err),
			 0);
	assert_int_equal(cred_session_plan(cred_table_at(t, 0), CRED_SOURCE_BROKER, &web_0, &demo,
					   ret, &err),
			 0);
	cred_table_unref(t);
}

/* The broker makes the session. An object that changed is another question to it, and nothing but that. */
static void test_object_of_broker(void **state)
{
	static const char *const specs[] = {
		"{roleArn: '" ARN "'}",
		"{roleArn: '" ARN "2'}",
		"{roleArn: '" ARN "', targetRoleArn: '" ARN "2'}",
		"{roleArn: '" ARN "', tags: {a: b}}",
		"{roleArn: '" ARN "', durationSeconds: 900}",
		"{roleArn: '" ARN "', disableSessionTags: true}",
		"{roleArn: '" ARN "', disableSessionTags: true, policy: '{}'}",
	};
	struct cred_session s[ARRAY_SIZE(specs)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		plan_object(specs[i], &s[i]);
		assert_int_equal(s[i].source, CRED_SOURCE_BROKER);
		assert_int_equal(s[i].n_hops + s[i].n_tags, 0);
		assert_string_equal(s[i].name, "");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(s[i].key, s[j].key);
	}
	plan_object(specs[0], &s[1]);
	assert_string_equal(s[0].key, s[1].key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sts),	     cmocka_unit_test(test_target),
		cmocka_unit_test(test_web_identity), cmocka_unit_test(test_issuer),
		cmocka_unit_test(test_names),	     cmocka_unit_test(test_given_name),
		cmocka_unit_test(test_keys),	     cmocka_unit_test(test_shared),
		cmocka_unit_test(test_conflicts),    cmocka_unit_test(test_object_of_broker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
