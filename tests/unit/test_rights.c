// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* Role policies: what they allow, and which of them cannot be used. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "credentials/rights.h"

#define ARN   "arn:aws:iam::111122223333:role/"
#define OTHER "arn:aws:iam::444455556666:role/"

static struct cred_rights *rights;

static int setup(void **state)
{
	(void)state;
	return cred_rights_new(&rights);
}

static int teardown(void **state)
{
	(void)state;
	rights = cred_rights_free(rights);
	return 0;
}

static void put(const char *name, const char *spec)
{
	struct cred_role_policy *policy;
	struct pc_err err = {};

	if (cred_role_policy_parse(name, spec, strlen(spec), &policy, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(cred_rights_put(rights, policy, "u"), 0);
}

static struct cred_rights_answer answer;

/* "a=b,c=" stands for labels; NULL: they are not known, "-": there is no such namespace. */
static enum cred_right ask(const char *name_space, const char *labels, const char *role,
			   const char *target)
{
	struct cred_rights_question q = {
		.name_space = name_space, .role_arn = role, .target_role_arn = target};
	struct cred_pair pairs[8];
	char text[256] = "", *at = text;

	if (labels)
		q.labels_known = strcmp(labels, "-") ? CRED_LABELS_KNOWN : CRED_LABELS_NONE;
	if (q.labels_known == CRED_LABELS_KNOWN)
		snprintf(text, sizeof(text), "%s", labels);
	while (*text && at) {
		char *value = strsep(&at, ","), *key = strsep(&value, "=");

		pairs[q.n_labels++] = (struct cred_pair){key, value};
	}
	q.labels = pairs;
	cred_rights_ask(rights, &q, &answer);
	assert_string_not_equal(answer.why, "");
	assert_int_equal(!answer.policy, answer.right != CRED_RIGHT_ALLOWED);
	return answer.right;
}

/* ---- roles ---- */

static void what_no_policy_allows_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ask("shop", "", ARN "app", NULL), CRED_RIGHT_REFUSED);
	assert_non_null(strstr(answer.why, "there is no PodIdentityRolePolicy"));
	put("shop", "{namespaces: [shop], roleArns: ['" ARN "app']}");
	assert_int_equal(ask("shop", "", ARN "app", NULL), CRED_RIGHT_ALLOWED);
	assert_string_equal(answer.policy, "shop");
	assert_int_equal(ask("shop", "", ARN "app2", NULL), CRED_RIGHT_REFUSED);
	assert_non_null(strstr(answer.why, ARN "app2 is not in roleArns"));
	assert_int_equal(ask("shop2", "", ARN "app", NULL), CRED_RIGHT_REFUSED);
	assert_non_null(strstr(answer.why, "no PodIdentityRolePolicy is for namespace shop2"));
	cred_rights_remove(rights, "none", "u");
	cred_rights_remove(rights, "shop", "before");
	assert_int_equal(ask("shop", "", ARN "app", NULL), CRED_RIGHT_ALLOWED);
	cred_rights_remove(rights, "shop", "u");
	assert_int_equal(ask("shop", "", ARN "app", NULL), CRED_RIGHT_REFUSED);
}

static void asterisks_stay_within_a_field(void **state)
{
	static const struct {
		const char *pattern, *role;
		enum cred_right want;
	} rows[] = {
		{ARN "app", ARN "app", CRED_RIGHT_ALLOWED},
		{ARN "app", ARN "App", CRED_RIGHT_REFUSED},
		{ARN "*", ARN "app", CRED_RIGHT_ALLOWED},
		{ARN "*", ARN "a/b/app", CRED_RIGHT_ALLOWED},
		{ARN "*", OTHER "app", CRED_RIGHT_REFUSED},
		{ARN "pod/*", ARN "pod/app", CRED_RIGHT_ALLOWED},
		{ARN "pod/*", ARN "pods/app", CRED_RIGHT_REFUSED},
		{ARN "pod/*", ARN "pod", CRED_RIGHT_REFUSED},
		{ARN "app", ARN "pod/app", CRED_RIGHT_REFUSED},
		{ARN "*-ro", ARN "shop-ro", CRED_RIGHT_ALLOWED},
		{ARN "*-ro", ARN "shop-ro-x", CRED_RIGHT_REFUSED},
		{"arn:aws:iam::*:role/app", OTHER "app", CRED_RIGHT_ALLOWED},
		{"arn:aws:iam::1111*:role/app", OTHER "app", CRED_RIGHT_REFUSED},
		{"arn:aws:iam::1111*:role/app", ARN "app", CRED_RIGHT_ALLOWED},
		{"arn:aws:iam::*:role/app", "arn:aws-cn:iam::111122223333:role/app",
		 CRED_RIGHT_REFUSED},
		{"arn:aws*:iam::*:role/app", "arn:aws-cn:iam::111122223333:role/app",
		 CRED_RIGHT_ALLOWED},
		/* a path may have colons, and looks like another field then */
		{"arn:aws:iam::*:role/app", ARN "x:role/app", CRED_RIGHT_REFUSED},
		/* and a pattern is no regular expression */
		{ARN "a.p", ARN "app", CRED_RIGHT_REFUSED},
		/* what is no role's ARN is nobody's */
		{ARN "*", "arn:aws:iam::111122223333:user/app", CRED_RIGHT_REFUSED},
		{ARN "*", "app", CRED_RIGHT_REFUSED},
		{ARN "*", ARN, CRED_RIGHT_REFUSED},
	};
	char spec[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(spec, sizeof(spec), "{namespaces: [shop], roleArns: ['%s']}",
			 rows[i].pattern);
		put("p", spec);
		if (ask("shop", "", rows[i].role, NULL) != rows[i].want)
			fail_msg("%s, %s: %s", rows[i].pattern, rows[i].role, answer.why);
	}
	assert_int_equal(cred_rights_count(rights), 1);
}

static void one_policy_has_to_allow_role_and_target(void **state)
{
	(void)state;
	put("a", "{namespaces: [shop], roleArns: ['" ARN "app']}");
	/* without targetRoleArns the role's own rights decide */
	assert_int_equal(ask("shop", "", ARN "app", OTHER "data"), CRED_RIGHT_ALLOWED);
	put("a", "{namespaces: [shop], roleArns: ['" ARN "app'], targetRoleArns: []}");
	assert_int_equal(ask("shop", "", ARN "app", NULL), CRED_RIGHT_ALLOWED);
	assert_int_equal(ask("shop", "", ARN "app", OTHER "data"), CRED_RIGHT_REFUSED);
	assert_non_null(strstr(answer.why, "target role " OTHER "data is not in targetRoleArns"));
	put("b", "{namespaces: [shop], roleArns: ['" ARN "b'], targetRoleArns: ['" OTHER "*']}");
	assert_int_equal(ask("shop", "", ARN "app", OTHER "data"), CRED_RIGHT_REFUSED);
	assert_int_equal(ask("shop", "", ARN "b", OTHER "data"), CRED_RIGHT_ALLOWED);
	assert_int_equal(ask("shop", "", ARN "b", "data"), CRED_RIGHT_REFUSED);
	/* the first by name is told */
	put("c", "{namespaceSelector: {}, roleArns: ['" ARN "*']}");
	assert_int_equal(ask("shop", "", ARN "b", NULL), CRED_RIGHT_ALLOWED);
	assert_string_equal(answer.policy, "b");
}

/* ---- namespaces ---- */

static void selectors_are_those_of_kubernetes(void **state)
{
	static const struct {
		const char *selector, *labels;
		enum cred_right want;
	} rows[] = {
		{"{}", "", CRED_RIGHT_ALLOWED},
		{"{}", "-", CRED_RIGHT_REFUSED},
		{"{}", NULL, CRED_RIGHT_UNKNOWN},
		{"{matchLabels: {team: web}}", "team=web", CRED_RIGHT_ALLOWED},
		{"{matchLabels: {team: web}}", "team=Web", CRED_RIGHT_REFUSED},
		{"{matchLabels: {team: web}}", "x=y", CRED_RIGHT_REFUSED},
		{"{matchLabels: {team: web, tier: a}}", "team=web,tier=a", CRED_RIGHT_ALLOWED},
		{"{matchLabels: {team: web, tier: a}}", "team=web", CRED_RIGHT_REFUSED},
		{"{matchLabels: {team: ''}}", "team=", CRED_RIGHT_ALLOWED},
		{"{matchLabels: {team: ''}}", "x=y", CRED_RIGHT_REFUSED},
		{"{matchExpressions: [{key: t, operator: In, values: [a, b]}]}", "t=b",
		 CRED_RIGHT_ALLOWED},
		{"{matchExpressions: [{key: t, operator: In, values: [a, b]}]}", "t=c",
		 CRED_RIGHT_REFUSED},
		{"{matchExpressions: [{key: t, operator: NotIn, values: [a]}]}", "t=b",
		 CRED_RIGHT_ALLOWED},
		{"{matchExpressions: [{key: t, operator: NotIn, values: [a]}]}", "x=y",
		 CRED_RIGHT_ALLOWED},
		{"{matchExpressions: [{key: t, operator: NotIn, values: [a]}]}", "t=a",
		 CRED_RIGHT_REFUSED},
		{"{matchExpressions: [{key: t, operator: NotIn, values: [a]}]}", "-",
		 CRED_RIGHT_REFUSED},
		{"{matchExpressions: [{key: t, operator: NotIn, values: [a]}]}", NULL,
		 CRED_RIGHT_UNKNOWN},
		{"{matchExpressions: [{key: t, operator: Exists}]}", "t=", CRED_RIGHT_ALLOWED},
		{"{matchExpressions: [{key: t, operator: Exists}]}", "x=y", CRED_RIGHT_REFUSED},
		{"{matchExpressions: [{key: t, operator: DoesNotExist}]}", "x=y",
		 CRED_RIGHT_ALLOWED},
		{"{matchExpressions: [{key: t, operator: DoesNotExist}]}", "t=y",
		 CRED_RIGHT_REFUSED},
		{"{matchLabels: {a: b}, matchExpressions: [{key: t, operator: Exists}]}", "t=y,a=c",
		 CRED_RIGHT_REFUSED},
		{"{matchLabels: {a: b}, matchExpressions: [{key: t, operator: Exists}]}", "t=y,a=b",
		 CRED_RIGHT_ALLOWED},
	};
	char spec[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(spec, sizeof(spec), "{namespaceSelector: %s, roleArns: ['" ARN "*']}",
			 rows[i].selector);
		put("p", spec);
		if (ask("shop", rows[i].labels, ARN "app", NULL) != rows[i].want)
			fail_msg("%s, %s: %s", rows[i].selector, rows[i].labels ?: "?", answer.why);
	}
	assert_int_equal(cred_rights_selecting(rights), 1);
}

/* A name, or another policy, may be enough. */
static void labels_are_waited_for_only_if_they_decide(void **state)
{
	(void)state;
	put("a", "{namespaceSelector: {}, roleArns: ['" ARN "app']}");
	put("b", "{namespaces: [shop], roleArns: ['" ARN "app']}");
	put("c", "{namespaces: [bar], namespaceSelector: {}, roleArns: ['" ARN "app']}");
	assert_int_equal(ask("shop", NULL, ARN "app", NULL), CRED_RIGHT_ALLOWED);
	assert_string_equal(answer.policy, "b");
	assert_int_equal(ask("bar", NULL, ARN "app", NULL), CRED_RIGHT_ALLOWED);
	assert_int_equal(ask("shop", NULL, ARN "else", NULL), CRED_RIGHT_REFUSED);
	assert_int_equal(ask("baz", NULL, ARN "app", NULL), CRED_RIGHT_UNKNOWN);
	assert_non_null(strstr(answer.why, "labels of namespace baz"));
}

/* ---- what cannot be used ---- */

static void what_cannot_be_used_is_said(void **state)
{
	static const struct {
		const char *spec, *why;
	} rows[] = {
		{"", "spec is empty"},
		{"[]", ""},
		{"{roleArns: ['" ARN "a']}", "it is for no namespace"},
		{"{namespaces: [], roleArns: ['" ARN "a']}", "it is for no namespace"},
		{"{namespaces: [shop]}", "missing key 'roleArns'"},
		{"{namespaces: shop, roleArns: []}", "'namespaces' is no list"},
		{"{namespaces: ['*'], roleArns: []}", "bad entry of 'namespaces'"},
		{"{namespaces: [a/b], roleArns: []}", "bad entry of 'namespaces'"},
		{"{namespaces: [{}], roleArns: []}", "bad entry of 'namespaces'"},
		{"{namespaces: [a], roleArns: {}}", "roleArns"},
		{"{namespaces: [a], roleArns: ['*']}", "bad pattern"},
		{"{namespaces: [a], roleArns: ['arn:aws:iam::*']}", "bad pattern"},
		{"{namespaces: [a], roleArns: ['arn:*']}", "bad pattern"},
		{"{namespaces: [a], roleArns: ['arn:aws:*::1:role/a']}", "bad pattern"},
		{"{namespaces: [a], roleArns: ['arn:aws:iam:*:111122223333:role/a']}",
		 "bad pattern"},
		{"{namespaces: [a], roleArns: ['arn:aws:iam::1111:role/a']}", "bad pattern"},
		{"{namespaces: [a], roleArns: ['arn:aws:iam::111122223333:*']}", "bad pattern"},
		{"{namespaces: [a], roleArns: ['arn:aws:iam::111122223333:user/a']}",
		 "bad pattern"},
		{"{namespaces: [a], roleArns: ['" ARN "']}", "bad pattern"},
		{"{namespaces: [a], roleArns: ['" ARN "a b']}", "bad pattern"},
		{"{namespaces: [a], roleArns: [[]]}", "bad pattern"},
		{"{namespaces: [a], roleArns: [], deny: []}", "deny"},
		{"{namespaceSelector: [], roleArns: []}", ""},
		{"{namespaceSelector: {matchNames: []}, roleArns: []}", "matchNames"},
		{"{namespaceSelector: {matchLabels: []}, roleArns: []}", "'matchLabels' is no"},
		{"{namespaceSelector: {matchLabels: {a b: c}}, roleArns: []}", "bad label"},
		{"{namespaceSelector: {matchLabels: {a: [c]}}, roleArns: []}", "bad label"},
		{"{namespaceSelector: {matchExpressions: [{key: t}]}, roleArns: []}",
		 "missing key 'operator'"},
		{"{namespaceSelector: {matchExpressions: [{operator: Exists}]}, roleArns: []}",
		 "missing key 'key'"},
		{"{namespaceSelector: {matchExpressions: [{key: t, operator: in, values: [a]}]},"
		 " roleArns: []}",
		 "operator"},
		{"{namespaceSelector: {matchExpressions: [{key: t, operator: In}]}, roleArns: []}",
		 "'values' go with"},
		{"{namespaceSelector: {matchExpressions: [{key: t, operator: Exists, values: "
		 "[a]}]}, roleArns: []}",
		 "'values' go with"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cred_role_policy *policy = NULL;
		struct pc_err err = {};
		int r = cred_role_policy_parse("p1", rows[i].spec, strlen(rows[i].spec), &policy,
					       &err);

		if (r != -EINVAL || policy || strncmp(err.msg, "p1: ", 4) != 0 ||
		    !strstr(err.msg, rows[i].why) || strchr(err.msg, '\n'))
			fail_msg("%s: %d %s", rows[i].spec, r, err.msg);
	}
}

static void sizes_have_bounds(void **state)
{
	static char spec[200000];
	struct cred_role_policy *policy = NULL;
	struct pc_err err = {};
	size_t len;

	(void)state;
	len = (size_t)snprintf(spec, sizeof(spec),
			       "{roleArns: [], namespaceSelector: {matchLabels: {");
	for (int i = 0; i < 65; i++)
		len += (size_t)snprintf(spec + len, sizeof(spec) - len, "a%d: b,", i);
	len += (size_t)snprintf(spec + len, sizeof(spec) - len, "}}}");
	assert_int_equal(cred_role_policy_parse("p", spec, len, &policy, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "more than 64 conditions"));
	len = (size_t)snprintf(spec, sizeof(spec), "{namespaces: [a], roleArns: [");
	for (int i = 0; i < 1001; i++)
		len += (size_t)snprintf(spec + len, sizeof(spec) - len, "'" ARN "a%d',", i);
	len += (size_t)snprintf(spec + len, sizeof(spec) - len, "]}");
	assert_int_equal(cred_role_policy_parse("p", spec, len, &policy, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "more than 1000 entries"));
	assert_null(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_no_policy_allows_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(asterisks_stay_within_a_field, setup, teardown),
		cmocka_unit_test_setup_teardown(one_policy_has_to_allow_role_and_target, setup,
						teardown),
		cmocka_unit_test_setup_teardown(selectors_are_those_of_kubernetes, setup, teardown),
		cmocka_unit_test_setup_teardown(labels_are_waited_for_only_if_they_decide, setup,
						teardown),
		cmocka_unit_test(what_cannot_be_used_is_said),
		cmocka_unit_test(sizes_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
