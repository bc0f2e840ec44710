// SPDX-License-Identifier: Apache-2.0
/* MODULES: config yaml base */
/* LIBS: -lyaml */
/* The policy of the configuration: what a rule selects, which rule decides, what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/config.h"

#define REDIRECT CONFIG_POLICY_REDIRECT
#define EXEMPT	 CONFIG_POLICY_EXEMPT
#define DENY	 CONFIG_POLICY_DENY

static struct config config;

static int load(const char *text, struct pc_err *err)
{
	char path[] = "/tmp/podcred-policy-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	r = config_load(path, &config, err);
	unlink(path);
	return r;
}

static void must_load(const char *text)
{
	struct pc_err err = {};

	if (load(text, &err) < 0)
		fail_msg("refused: %s", err.msg);
}

static void refused(const char *text, const char *want)
{
	struct pc_err err = {};

	config.n_policy = 47;
	assert_int_equal(load(text, &err), -EINVAL);
	if (!strstr(err.msg, want))
		fail_msg("\"%s\" lacks \"%s\"", err.msg, want);
	assert_null(strchr(err.msg, '\n'));
	assert_int_equal(config.n_policy, 47); /* untouched */
}

static void no_policy(void **state)
{
	(void)state;
	must_load("");
	assert_int_equal(config_policy_for(&config, "kube-system", "aws-node"), REDIRECT);
	must_load("policy: []\n");
	assert_int_equal(config.n_policy, 0);
	assert_int_equal(config_policy_for(&config, "kube-system", "aws-node"), REDIRECT);
}

static void selects(void **state)
{
	(void)state;
	must_load("policy:\n"
		  "- {namespace: kube-system, serviceAccount: aws-node, action: exempt}\n"
		  "- {namespace: storage, action: exempt}\n"
		  "- {serviceAccount: untrusted, action: deny}\n");
	assert_int_equal(config.n_policy, 3);
	assert_int_equal(config_policy_for(&config, "kube-system", "aws-node"), EXEMPT);
	assert_int_equal(config_policy_for(&config, "kube-system", "aws-nod"), REDIRECT);
	assert_int_equal(config_policy_for(&config, "kube-system", "aws-node2"), REDIRECT);
	assert_int_equal(config_policy_for(&config, "kube-system2", "aws-node"), REDIRECT);
	assert_int_equal(config_policy_for(&config, "kube", "aws-node"), REDIRECT);
	assert_int_equal(config_policy_for(&config, "storage", "anything"), EXEMPT);
	assert_int_equal(config_policy_for(&config, "storage", "untrusted"), EXEMPT);
	assert_int_equal(config_policy_for(&config, "shop", "untrusted"), DENY);
	assert_int_equal(config_policy_for(&config, "shop", "cart"), REDIRECT);
}

/* Static pods have no service account; pods that nobody has named have no namespace either. */
static void unnamed(void **state)
{
	(void)state;
	must_load("policy:\n"
		  "- {namespace: kube-system, serviceAccount: default, action: deny}\n"
		  "- {namespace: kube-system, action: exempt}\n"
		  "- {action: deny}\n");
	assert_int_equal(config_policy_for(&config, "kube-system", ""), EXEMPT);
	assert_int_equal(config_policy_for(&config, "shop", ""), DENY);
	assert_int_equal(config_policy_for(&config, "", ""), REDIRECT);
	assert_int_equal(config_policy_for(&config, "", "default"), REDIRECT);
}

static void first_decides(void **state)
{
	(void)state;
	must_load("policy:\n"
		  "- {namespace: shop, serviceAccount: cart, action: redirect}\n"
		  "- {serviceAccount: cart, action: deny}\n"
		  "- {namespace: shop, action: exempt}\n"
		  "- {action: deny}\n");
	assert_int_equal(config_policy_for(&config, "shop", "cart"), REDIRECT);
	assert_int_equal(config_policy_for(&config, "market", "cart"), DENY);
	assert_int_equal(config_policy_for(&config, "shop", "till"), EXEMPT);
	assert_int_equal(config_policy_for(&config, "market", "till"), DENY);
}

static char *rule_text(const char *name_space, const char *service_account)
{
	char *text;

	assert_true(asprintf(&text,
			     "policy:\n- {namespace: \"%s\", serviceAccount: \"%s\", "
			     "action: exempt}\n",
			     name_space, service_account) > 0);
	return text;
}

static void good_names(void **state)
{
	static const char *const spaces[] = {"a", "0", "a-b", "a--b", "1-2"};
	static const char *const accounts[] = {"a", "a.b", "a-b.c-d.0", "9"};
	char longest[254];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		_cleanup_free_ char *text = rule_text(spaces[i], "x");

		must_load(text);
		assert_int_equal(config_policy_for(&config, spaces[i], "x"), EXEMPT);
	}
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++) {
		_cleanup_free_ char *text = rule_text("x", accounts[i]);

		must_load(text);
		assert_int_equal(config_policy_for(&config, "x", accounts[i]), EXEMPT);
	}
	memset(longest, 'a', sizeof(longest));
	longest[253] = '\0';
	_cleanup_free_ char *text = rule_text(longest + 253 - 63, longest);

	must_load(text);
	assert_int_equal(config_policy_for(&config, longest + 253 - 63, longest), EXEMPT);
	assert_int_equal(config_policy_for(&config, longest + 253 - 63, longest + 1), REDIRECT);
}

static void bad_names(void **state)
{
	static const char *const spaces[] = {
		"", "-a", "a-", "Shop", "a.b", "*", "a b", "a_b", "a/b", "\\0", "a\\0", "ä", "a\\n",
	};
	static const char *const accounts[] = {
		"",  "-a",   "a-",   "A",    ".a", "a.",
		".", "a..b", "a.-b", "a-.b", "*",  "system:serviceaccount:shop:cart",
	};
	char longer[255];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		_cleanup_free_ char *text = rule_text(spaces[i], "x");

		refused(text, "is not the name of one (1 to 63 of a-z 0-9 -); correct it, or leave "
			      "the key out for any namespace");
	}
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++) {
		_cleanup_free_ char *text = rule_text("x", accounts[i]);

		refused(text, "is not the name of one (1 to 253 of a-z 0-9 - .); correct it, or "
			      "leave the key out for any");
	}
	memset(longer, 'a', sizeof(longer));
	longer[254] = '\0';
	_cleanup_free_ char *account = rule_text("x", longer);
	_cleanup_free_ char *space = rule_text(longer + 254 - 64, "x");

	refused(account, ":2: serviceAccount \"aaaa");
	refused(space, ":2: namespace \"aaaa");
}

static void refusals(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"policy: all\n", ":1: expected a list"},
		{"policy:\n", ":1: expected a list"},
		{"policy: {namespace: a, action: deny}\n", ":1: expected a list"},
		{"policy:\n- deny\n",
		 ":2: expected a mapping with namespace, serviceAccount, action"},
		{"policy:\n- {action: deny, labels: x}\n",
		 ":2: unknown key \"labels\"; known are namespace, serviceAccount, action"},
		{"policy:\n- {action: deny, action: deny}\n",
		 ":2: key \"action\" is there twice; remove one"},
		{"policy: []\npolicy: []\n", ":2: key \"policy\" is there twice; remove one"},
		{"policy:\n- namespace: shop\n", ":2: a policy rule needs \"action\""},
		{"policy:\n- {}\n", ":2: a policy rule needs \"action\""},
		{"policy:\n- namespace: shop\n  action: allow\n",
		 ":3: policy action \"allow\" is not redirect, exempt or deny"},
		{"policy:\n- {namespace: shop, action: }\n",
		 ":2: policy action \"\" is not redirect, exempt or deny"},
		{"policy:\n- namespace:\n  action: deny\n", ":2: namespace \"\" is not the name"},
		{"policy:\n- namespace: [shop]\n  action: deny\n",
		 ":2: namespace \"\" is not the name"},
		{"policy:\n- serviceAccount: ~\n  action: deny\n",
		 ":2: serviceAccount \"~\" is not the name"},
		{"policy:\n- action: exempt\n",
		 ":2: this rule would exempt every pod; give \"namespace\""},
		{"policy:\n- {serviceAccount: aws-node, action: exempt}\n",
		 ":2: serviceAccount \"aws-node\" without a namespace would be exempt, and any "
		 "namespace could make such a service account; give \"namespace\" too"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, cases[i].want);
}

static void unreachable(void **state)
{
	static const char *const pairs[][2] = {
		{"namespace: a, action: deny", "namespace: a, serviceAccount: b, action: exempt"},
		{"serviceAccount: b, action: deny",
		 "namespace: a, serviceAccount: b, action: exempt"},
		{"action: deny", "namespace: a, action: exempt"},
		{"action: redirect", "serviceAccount: b, action: deny"},
		{"action: deny", "namespace: a, serviceAccount: b, action: deny"},
	};
	static const char *const twins[] = {"action", "namespace: a, action",
					    "serviceAccount: b, action",
					    "namespace: a, serviceAccount: b, action"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "policy:\n- {namespace: x, action: deny}\n- {%s}\n- {%s}\n", pairs[i][0],
			 pairs[i][1]);
		refused(text, ":4: this rule is never reached: the one in line 3 selects all of "
			      "its pods; put it above that one, or remove it");
		/* the other way round the narrow one comes first, and both have work */
		snprintf(text, sizeof(text),
			 "policy:\n- {namespace: x, action: deny}\n- {%s}\n- {%s}\n", pairs[i][1],
			 pairs[i][0]);
		must_load(text);
		assert_int_equal(config.n_policy, 3);
	}
	for (size_t i = 0; i < ARRAY_SIZE(twins); i++) {
		char text[256];

		snprintf(text, sizeof(text), "policy:\n- {%s: deny}\n\n- {%s: redirect}\n",
			 twins[i], twins[i]);
		refused(text, ":4: this rule selects the same pods as the one in line 2; remove "
			      "one");
	}
}

/* A policy of n rules. */
static char *many(unsigned n)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	fprintf(f, "policy:\n");
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "- {namespace: n%u, action: exempt}\n", i);
	fclose(f);
	return text;
}

static void limit(void **state)
{
	_cleanup_free_ char *most = many(128), *more = many(129);

	(void)state;
	must_load(most);
	assert_int_equal(config.n_policy, 128);
	assert_int_equal(config_policy_for(&config, "n127", "x"), EXEMPT);
	assert_int_equal(config_policy_for(&config, "n128", "x"), REDIRECT);
	refused(more, ":130: more than 128 policy rules");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_policy),  cmocka_unit_test(selects),
		cmocka_unit_test(unnamed),    cmocka_unit_test(first_decides),
		cmocka_unit_test(good_names), cmocka_unit_test(bad_names),
		cmocka_unit_test(refusals),   cmocka_unit_test(unreachable),
		cmocka_unit_test(limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
