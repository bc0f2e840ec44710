// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube identity credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* PodIdentityRolePolicy objects and namespaces, with watches that bring what the test says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "kube/role_policies.h"

#define ARN "arn:aws:iam::111122223333:role/"

/* ---- the watches ---- */

struct kube_watch {
	struct kube_watch_events events;
	const struct project_shape *shape;
	void *arg;
	struct kube_watch_state state;
};

static struct kube_watch policies_watch, namespaces_watch;

int kube_watch_new(struct loop *loop, struct kube_client *client,
		   const struct kube_watch_options *options, const struct kube_watch_events *e,
		   void *arg, struct kube_watch **ret)
{
	struct kube_watch *watch = strcmp(options->path, KUBE_ROLE_POLICIES_PATH)
					   ? &namespaces_watch
					   : &policies_watch;

	(void)loop;
	(void)client;
	assert_string_equal(options->path, watch == &policies_watch ? KUBE_ROLE_POLICIES_PATH
								    : "/api/v1/namespaces");
	assert_null(watch->arg);
	*watch = (struct kube_watch){.events = *e, .shape = options->shape, .arg = arg};
	*ret = watch;
	return 0;
}

struct kube_watch *kube_watch_free(struct kube_watch *watch)
{
	if (watch)
		*watch = (struct kube_watch){};
	return NULL;
}

const struct kube_watch_state *kube_watch_state(struct kube_watch *watch)
{
	return &watch->state;
}

static int put(struct kube_watch *watch, const char *uid, const char *name, const char *member,
	       const char *value, struct pc_err *err)
{
	const struct kube_object_id id = {uid, "", name};
	static char text[65536];
	json_t *json;
	int r;

	snprintf(text, sizeof(text), "{\"metadata\":{\"uid\":\"%s\"%s%s},\"x\":{}%s%s}", uid,
		 strcmp(member, "labels") ? "" : ",\"labels\":",
		 strcmp(member, "labels") ? "" : value,
		 strcmp(member, "spec") ? "" : ",\"spec\":", strcmp(member, "spec") ? "" : value);
	assert_int_equal(kube_project_json(text, strlen(text), watch->shape, &json, err), 0);
	r = watch->events.put(watch->arg, &id, json, err);
	json_decref(json);
	return r;
}

static void put_policy(const char *uid, const char *name, const char *spec)
{
	struct pc_err err = {};

	if (put(&policies_watch, uid, name, "spec", spec, &err) < 0)
		fail_msg("%s", err.msg);
}

static int put_namespace(const char *uid, const char *name, const char *labels)
{
	struct pc_err err = {};

	return put(&namespaces_watch, uid, name, labels ? "labels" : "none", labels ?: "", &err);
}

static void gone(struct kube_watch *watch, const char *uid, const char *name)
{
	const struct kube_object_id id = {uid, "", name};

	watch->events.gone(watch->arg, &id);
}

static void listed(struct kube_watch *watch)
{
	watch->state.listed = true;
	watch->events.listed(watch->arg);
}

/* ---- the owner ---- */

static struct kube_role_policies *policies;
static struct cred_rights_answer answer;
static unsigned changes;

static void on_changed(void *arg)
{
	(void)arg;
	changes++;
}

static int setup(void **state)
{
	static const struct kube_role_policies_events events = {.changed = on_changed};

	(void)state;
	changes = 0;
	return kube_role_policies_new(NULL, NULL, NULL, &events, NULL, &policies);
}

static int teardown(void **state)
{
	(void)state;
	policies = kube_role_policies_free(policies);
	return 0;
}

static enum cred_right ask(const char *name_space, const char *role)
{
	char arn[128];

	snprintf(arn, sizeof(arn), ARN "%s", role);
	kube_role_policies_ask(policies, name_space, arn, NULL, &answer);
	assert_string_not_equal(answer.why, "");
	return answer.right;
}

/* How often it was said that something has changed, since the last time. */
static unsigned changed(void)
{
	unsigned n = changes;

	changes = 0;
	return n;
}

/* ---- tests ---- */

static void nothing_is_refused_before_it_is_known(void **state)
{
	(void)state;
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_UNKNOWN);
	assert_non_null(strstr(answer.why, "PodIdentityRolePolicy objects: still being listed"));
	strcpy(policies_watch.state.why, "the API server refuses: 403");
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_UNKNOWN);
	assert_non_null(strstr(answer.why, "403"));
	put_policy("a", "p", "{\"namespaces\":[\"shop\"],\"roleArns\":[\"" ARN "app\"]}");
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_ALLOWED);
	assert_int_equal(ask("shop", "b"), CRED_RIGHT_UNKNOWN);
	listed(&policies_watch);
	assert_int_equal(ask("shop", "b"), CRED_RIGHT_REFUSED);
	assert_null(kube_role_policies_namespaces(policies));
}

static void changes_are_told_once(void **state)
{
	(void)state;
	put_policy("a", "p", "{\"namespaces\":[\"shop\"],\"roleArns\":[\"" ARN "app\"]}");
	listed(&policies_watch);
	assert_int_equal(changed(), 2);
	/* the same again, as each list has it */
	put_policy("a", "p", "{\"roleArns\":[\"" ARN "app\"],\"namespaces\":[\"shop\"]}");
	listed(&policies_watch);
	assert_int_equal(changed(), 0);
	put_policy("a", "p", "{\"namespaces\":[\"shop\"],\"roleArns\":[]}");
	assert_int_equal(changed(), 1);
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_REFUSED);
	gone(&policies_watch, "a", "p");
	assert_int_equal(changed(), 1);
}

/* A list brings the new object of a name before the old one is found to be gone. */
static void a_new_object_of_a_name_stays(void **state)
{
	(void)state;
	listed(&policies_watch);
	put_policy("a", "p", "{\"namespaces\":[\"shop\"],\"roleArns\":[\"" ARN "app\"]}");
	put_policy("b", "p", "{\"namespaces\":[\"shop\"],\"roleArns\":[\"" ARN "app\"]}");
	gone(&policies_watch, "a", "p");
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_ALLOWED);
	gone(&policies_watch, "b", "p");
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_REFUSED);
}

static void namespaces_are_followed_once_a_policy_selects(void **state)
{
	(void)state;
	listed(&policies_watch);
	assert_null(namespaces_watch.arg);
	put_policy(
		"a", "p",
		"{\"namespaceSelector\":{\"matchLabels\":{\"team\":\"web\"}},\"roleArns\":[\"" ARN
		"app\"]}");
	assert_non_null(namespaces_watch.arg);
	assert_ptr_equal(kube_role_policies_namespaces(policies), &namespaces_watch.state);
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_UNKNOWN);
	assert_non_null(strstr(answer.why, "labels of namespaces: still being listed"));
	assert_int_equal(put_namespace("n", "shop", "{\"team\":\"web\"}"), 0);
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_ALLOWED);
	assert_int_equal(ask("bare", "app"), CRED_RIGHT_UNKNOWN);
	assert_int_equal(put_namespace("m", "bare", NULL), 0);
	assert_int_equal(ask("bare", "app"), CRED_RIGHT_REFUSED);
	assert_int_equal(ask("none", "app"), CRED_RIGHT_UNKNOWN);
	listed(&namespaces_watch);
	assert_int_equal(ask("none", "app"), CRED_RIGHT_REFUSED);
	/* labels change */
	changed();
	assert_int_equal(put_namespace("n", "shop", "{\"team\":\"web\"}"), 0);
	assert_int_equal(changed(), 0);
	assert_int_equal(put_namespace("n", "shop", "{\"team\":\"db\"}"), 0);
	assert_int_equal(changed(), 1);
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_REFUSED);
	assert_int_equal(put_namespace("n2", "shop", "{\"team\":\"web\"}"), 0);
	gone(&namespaces_watch, "n", "shop");
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_ALLOWED);
	gone(&namespaces_watch, "n2", "shop");
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_REFUSED);
}

/* Labels that cannot be read are not as if there were none, which "DoesNotExist" would be content with. */
static void labels_that_cannot_be_read_match_nothing(void **state)
{
	static char labels[8192];

	(void)state;
	listed(&policies_watch);
	put_policy("a", "p",
		   "{\"namespaceSelector\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":"
		   "\"DoesNotExist\"}]},\"roleArns\":[\"" ARN "app\"]}");
	snprintf(labels, sizeof(labels), "{\"x\":\"%0*d\"}", 5000, 0);
	assert_int_equal(put_namespace("n", "shop", labels), -EINVAL);
	listed(&namespaces_watch);
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_REFUSED);
	assert_int_equal(put_namespace("n", "shop", "{\"x\":\"y\"}"), 0);
	assert_int_equal(ask("shop", "app"), CRED_RIGHT_ALLOWED);
}

static void a_policy_that_cannot_be_used_is_refused(void **state)
{
	static const struct {
		const char *spec, *why;
	} rows[] = {
		{"[]", "spec is missing"},
		{"{\"roleArns\":[]}", "p: it is for no namespace"},
		{"{\"namespaces\":[\"shop\"],\"roleArns\":[\"*\"]}", "p: bad pattern"},
		{"{\"namespaces\":[\"shop\"],\"roleArns\":[],\"unless\":1}", "\"unless\" is not"},
		{"{\"namespaceSelector\":{\"matchFields\":[]},\"roleArns\":[]}",
		 "\"matchFields\" is not"},
		{"{\"namespaces\":[\"shop\"],\"namespaces\":[\"b\"],\"roleArns\":[]}",
		 "'namespaces' is no list"},
		{"{\"namespaceSelector\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":"
		 "\"Near\"}]},\"roleArns\":[]}",
		 "operator"},
		{"{\"namespaces\":[{\"a\":1}],\"roleArns\":[]}", "bad entry of 'namespaces'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pc_err err = {};

		if (put(&policies_watch, "a", "p", "spec", rows[i].spec, &err) != -EINVAL ||
		    !strstr(err.msg, rows[i].why))
			fail_msg("%s: %s", rows[i].spec, err.msg);
	}
	assert_int_equal(changed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_refused_before_it_is_known, setup,
						teardown),
		cmocka_unit_test_setup_teardown(changes_are_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_object_of_a_name_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(namespaces_are_followed_once_a_policy_selects,
						setup, teardown),
		cmocka_unit_test_setup_teardown(labels_that_cannot_be_read_match_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_policy_that_cannot_be_used_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
