// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube identity credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* PodIdentityAssociation objects, with a watch that brings what the test says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/loop.h"
#include "kube/associations.h"

#define ARN "arn:aws:iam::111122223333:role/"

/* ---- the watch ---- */

static struct kube_watch_events events;
static const struct project_shape *shape;
static void *watch_arg;
static struct kube_watch_state watch_state;

int kube_watch_new(struct loop *loop, struct kube_client *client,
		   const struct kube_watch_options *options, const struct kube_watch_events *e,
		   void *arg, struct kube_watch **ret)
{
	(void)loop;
	(void)client;
	assert_string_equal(options->path, "/apis/podcred.io/v1alpha1/podidentityassociations");
	events = *e;
	shape = options->shape;
	watch_arg = arg;
	watch_state = (struct kube_watch_state){};
	*ret = (struct kube_watch *)&watch_state;
	return 0;
}

struct kube_watch *kube_watch_free(struct kube_watch *watch)
{
	(void)watch;
	return NULL;
}

const struct kube_watch_state *kube_watch_state(struct kube_watch *watch)
{
	(void)watch;
	return &watch_state;
}

/* ---- the owner ---- */

static struct loop *loop;
static struct kube_associations *associations;
static char said[1024];
static unsigned states;

static void on_changed(void *arg, const char *name_space, const char *service_account)
{
	size_t len = strlen(said);

	(void)arg;
	snprintf(said + len, sizeof(said) - len, "%s/%s;", name_space, service_account);
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	(void)arg;
	assert_ptr_equal(state, kube_associations_state(associations));
	states++;
	loop_stop(loop, 0);
}

static int start(enum cred_source source)
{
	static const struct kube_associations_events mine = {.changed = on_changed,
							     .state = on_state};

	said[0] = '\0';
	states = 0;
	assert_int_equal(loop_new(&loop), 0);
	return kube_associations_new(loop, NULL, source, NULL, &mine, NULL, &associations);
}

static int setup(void **state)
{
	(void)state;
	return start(CRED_SOURCE_STS);
}

static int teardown(void **state)
{
	(void)state;
	associations = kube_associations_free(associations);
	loop = loop_free(loop);
	return 0;
}

static int put(const char *uid, const char *name, const char *spec)
{
	const struct kube_object_id id = {uid, "shop", name};
	struct pc_err err = {};
	char text[8192];
	json_t *json;
	int r;

	snprintf(text, sizeof(text), "{\"metadata\":{\"uid\":\"%s\",\"x\":{}},\"status\":{}%s%s}",
		 uid, spec ? ",\"spec\":" : "", spec ?: "");
	assert_int_equal(kube_project_json(text, strlen(text), shape, &json, &err), 0);
	r = events.put(watch_arg, &id, json, &err);
	json_decref(json);
	return r;
}

static void gone(const char *uid, const char *name)
{
	const struct kube_object_id id = {uid, "shop", name};

	events.gone(watch_arg, &id);
}

/* What is said of shop/NAME: its role, or why there is none. */
static const char *find(const char *name, enum cred_known want)
{
	static char text[CRED_WHY_SIZE];
	struct cred_table *table = NULL;
	struct cred_facts facts = {};

	kube_associations_find(associations, "shop", name, &facts, &table);
	assert_int_equal(facts.object_known, want);
	assert_int_equal(!facts.object, !table);
	snprintf(text, sizeof(text), "%s",
		 facts.object ? facts.object->role : facts.object_why ?: "none");
	cred_table_unref(table);
	return text;
}

static void said_is(const char *want)
{
	assert_string_equal(said, want);
	said[0] = '\0';
}

/* ---- tests ---- */

static void test_known(void **state)
{
	(void)state;
	assert_string_equal(find("web", CRED_NOT_KNOWN), "none");
	assert_int_equal(put("a", "web", "{\"roleArn\":\"" ARN "app\",\"tags\":{\"b\":\"c\"}}"), 0);
	said_is("shop/web;");
	assert_string_equal(find("web", CRED_KNOWN), "app");
	assert_string_equal(find("api", CRED_NOT_KNOWN), "none");
	watch_state.listed = true;
	assert_string_equal(find("api", CRED_KNOWN), "none");
	/* the same again, as each list has it, is no change */
	assert_int_equal(put("a", "web", "{\"tags\":{\"b\":\"c\"},\"roleArn\":\"" ARN "app\"}"), 0);
	said_is("");
	assert_int_equal(put("a", "web", "{\"roleArn\":\"" ARN "two\"}"), 0);
	said_is("shop/web;");
	assert_string_equal(find("web", CRED_KNOWN), "two");
	gone("a", "web");
	said_is("shop/web;");
	assert_string_equal(find("web", CRED_KNOWN), "none");
	assert_int_equal(states, 0);
}

/* A table that somebody has taken outlives its object. */
static void test_taken(void **state)
{
	struct cred_table *table = NULL;
	struct cred_facts facts = {};

	(void)state;
	put("a", "web", "{\"roleArn\":\"" ARN "app\"}");
	kube_associations_find(associations, "shop", "web", &facts, &table);
	gone("a", "web");
	assert_string_equal(facts.object->role, "app");
	cred_table_unref(table);
}

/* A list brings the new object of a name before the old one is found to be gone. */
static void test_new_uid(void **state)
{
	(void)state;
	put("a", "web", "{\"roleArn\":\"" ARN "app\"}");
	put("b", "web", "{\"roleArn\":\"" ARN "two\"}");
	gone("a", "web");
	assert_string_equal(find("web", CRED_KNOWN), "two");
	gone("b", "web");
	assert_string_equal(find("web", CRED_NOT_KNOWN), "none");
}

static void test_invalid(void **state)
{
	static const struct {
		const char *spec, *why;
	} rows[] = {
		{NULL, "spec is missing"},
		{"[]", "spec is missing"},
		{"{}", "missing key 'roleArn'"},
		{"{\"roleArn\":\"app\"}", "bad value of 'roleArn'"},
		{"{\"roleArn\":\"a\",\"roleArn\":\"" ARN "app\"}", "bad value of 'roleArn'"},
		{"{\"roleArn\":{\"a\":1}}", "bad value of 'roleArn'"},
		{"{\"roleArn\":\"" ARN "app\\u0000\"}", "bad value of 'roleArn'"},
		/* what narrows rights must not be passed over */
		{"{\"roleArn\":\"" ARN "app\",\"conditions\":{}}", "\"conditions\" is not known"},
		{"{\"roleArn\":\"" ARN "app\",\"exec\":{\"command\":[\"/bin/sh\"]}}",
		 "\"exec\" is not known"},
		{"{\"roleArn\":\"" ARN "app\",\"a\\nb\":1}", "is not known"},
		{"{\"roleArn\":\"" ARN "app\",\"policy\":\"{}\"}", "disableSessionTags: true"},
		{"{\"roleArn\":\"" ARN "app\",\"tags\":{\"a\":{}}}", "bad value in 'tags'"},
		{"{\"roleArn\":\"" ARN "app\",\"tags\":{\"kubernetes-namespace\":\"x\"}}",
		 "podcred sets itself"},
	};

	(void)state;
	put("z", "other", "{\"roleArn\":\"" ARN "other\"}");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why;

		assert_int_equal(put("a", "web", rows[i].spec), 0);
		why = find("web", CRED_INVALID);
		if (strncmp(why, "shop/web: ", 10) != 0 || !strstr(why, rows[i].why) ||
		    strchr(why, '\n'))
			fail_msg("\"%s\", not \"%s\"", why, rows[i].why);
		assert_string_equal(find("other", CRED_KNOWN), "other");
	}
}

static void test_counts(void **state)
{
	const struct kube_watch_state *now;

	(void)state;
	watch_state.objects = 3; /* as the watch counts them */
	put("a", "web", "{\"roleArn\":\"" ARN "app\"}");
	put("b", "bad", "{}");
	put("c", "worse", "{\"roleArn\":\"x\"}");
	now = kube_associations_state(associations);
	assert_int_equal(now->objects, 1);
	assert_int_equal(now->unusable, 2);
	assert_non_null(strstr(now->unusable_why, "shop/worse: bad value of 'roleArn'"));
	/* it is told of later, as the watch has not counted yet what it is at */
	assert_int_equal(states, 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(states, 1);
	put("c", "worse", "{\"roleArn\":\"" ARN "app\"}");
	now = kube_associations_state(associations);
	assert_int_equal(now->unusable, 1);
	assert_non_null(strstr(now->unusable_why, "shop/bad: "));
	gone("b", "bad");
	assert_int_equal(kube_associations_state(associations)->unusable, 0);
	assert_string_equal(kube_associations_state(associations)->unusable_why, "");
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(states, 2);
}

/* What the default source cannot do is not done by another. */
static void test_source(void **state)
{
	(void)state;
	teardown(NULL);
	assert_int_equal(start(CRED_SOURCE_EKS_AUTH), 0);
	put("a", "web", "{\"roleArn\":\"" ARN "app\"}");
	assert_non_null(strstr(find("web", CRED_INVALID), "eksAuth"));
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(put("a", "Web", "{\"roleArn\":\"" ARN "app\"}"), -EINVAL);
	assert_int_equal(put("a", "a/b", "{\"roleArn\":\"" ARN "app\"}"), -EINVAL);
	said_is("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_uid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_invalid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_source, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
