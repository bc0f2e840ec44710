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
#define AUDIT	 CONFIG_POLICY_AUDIT

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

static enum config_policy_action action_for(const char *name_space, const char *service_account)
{
	const struct config_pod pod = {
		.name_space = name_space, .service_account = service_account, .labels = ""};

	return config_policy_for(&config, &pod).action;
}

/* labels: "KEY=VALUE ..." of a pod cart in shop; NULL: not known. */
static struct config_verdict verdict_for(const char *labels)
{
	char text[256] = "", *at = text;
	const struct config_pod pod = {
		.name_space = "shop", .service_account = "cart", .labels = labels ? text : NULL};

	assert_true(!labels || strlen(labels) + 2 < sizeof(text));
	for (; labels && *labels; labels++)
		*at++ = (char)(*labels == '=' || *labels == ' ' ? '\0' : *labels);
	return config_policy_for(&config, &pod);
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
	assert_int_equal(action_for("kube-system", "aws-node"), REDIRECT);
	must_load("policy: []\n");
	assert_int_equal(config.n_policy, 0);
	assert_int_equal(action_for("kube-system", "aws-node"), REDIRECT);
}

static void selects(void **state)
{
	(void)state;
	must_load("policy:\n"
		  "- {namespace: kube-system, serviceAccount: aws-node, action: exempt}\n"
		  "- {namespace: storage, action: exempt}\n"
		  "- {serviceAccount: untrusted, action: deny}\n");
	assert_int_equal(config.n_policy, 3);
	assert_int_equal(action_for("kube-system", "aws-node"), EXEMPT);
	assert_int_equal(action_for("kube-system", "aws-nod"), REDIRECT);
	assert_int_equal(action_for("kube-system", "aws-node2"), REDIRECT);
	assert_int_equal(action_for("kube-system2", "aws-node"), REDIRECT);
	assert_int_equal(action_for("kube", "aws-node"), REDIRECT);
	assert_int_equal(action_for("storage", "anything"), EXEMPT);
	assert_int_equal(action_for("storage", "untrusted"), EXEMPT);
	assert_int_equal(action_for("shop", "untrusted"), DENY);
	assert_int_equal(action_for("shop", "cart"), REDIRECT);
}

/* Static pods have no service account; pods that nobody has named have no namespace either. */
static void unnamed(void **state)
{
	(void)state;
	must_load("policy:\n"
		  "- {namespace: kube-system, serviceAccount: default, action: deny}\n"
		  "- {namespace: kube-system, action: exempt}\n"
		  "- {action: deny}\n");
	assert_int_equal(action_for("kube-system", ""), EXEMPT);
	assert_int_equal(action_for("shop", ""), DENY);
	assert_int_equal(action_for("", ""), REDIRECT);
	assert_int_equal(action_for("", "default"), REDIRECT);
}

static void first_decides(void **state)
{
	(void)state;
	must_load("policy:\n"
		  "- {namespace: shop, serviceAccount: cart, action: redirect}\n"
		  "- {serviceAccount: cart, action: deny}\n"
		  "- {namespace: shop, action: exempt}\n"
		  "- {action: deny}\n");
	assert_int_equal(action_for("shop", "cart"), REDIRECT);
	assert_int_equal(action_for("market", "cart"), DENY);
	assert_int_equal(action_for("shop", "till"), EXEMPT);
	assert_int_equal(action_for("market", "till"), DENY);
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
		assert_int_equal(action_for(spaces[i], "x"), EXEMPT);
	}
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++) {
		_cleanup_free_ char *text = rule_text("x", accounts[i]);

		must_load(text);
		assert_int_equal(action_for("x", accounts[i]), EXEMPT);
	}
	memset(longest, 'a', sizeof(longest));
	longest[253] = '\0';
	_cleanup_free_ char *text = rule_text(longest + 253 - 63, longest);

	must_load(text);
	assert_int_equal(action_for(longest + 253 - 63, longest), EXEMPT);
	assert_int_equal(action_for(longest + 253 - 63, longest + 1), REDIRECT);
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
		 ":2: expected a mapping with namespace, serviceAccount, podSelector, hostNetwork, "
		 "action, imdsv2, annotations"},
		{"policy:\n- {action: deny, labels: x}\n",
		 ":2: unknown key \"labels\"; known are namespace, serviceAccount, podSelector"},
		{"policy:\n- {action: deny, action: deny}\n",
		 ":2: key \"action\" is there twice; remove one"},
		{"policy: []\npolicy: []\n", ":2: key \"policy\" is there twice; remove one"},
		{"policy:\n- namespace: shop\n", ":2: a policy rule needs \"action\""},
		{"policy:\n- {}\n", ":2: a policy rule needs \"action\""},
		{"policy:\n- namespace: shop\n  action: allow\n",
		 ":3: policy action \"allow\" is not exempt, audit, redirect or deny"},
		{"policy:\n- {namespace: shop, action: }\n",
		 ":2: policy action \"\" is not exempt, audit, redirect or deny"},
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
	assert_int_equal(action_for("n127", "x"), EXEMPT);
	assert_int_equal(action_for("n128", "x"), REDIRECT);
	refused(more, ":130: more than 128 policy rules");
}

/* ---- labels ---- */

static void selects_by_labels(void **state)
{
	static const struct {
		const char *selector, *labels;
		bool want;
	} cases[] = {
		{"{}", "", true},
		{"{matchLabels: {}, matchExpressions: []}", "a=b", true},
		{"{matchLabels: {app: web}}", "app=web", true},
		{"{matchLabels: {app: web}}", "app=we", false},
		{"{matchLabels: {app: web}}", "app=webb", false},
		{"{matchLabels: {app: web}}", "ap=web", false},
		{"{matchLabels: {app: web}}", "web=app", false},
		{"{matchLabels: {app: web}}", "", false},
		{"{matchLabels: {app: \"\"}}", "app=", true},
		{"{matchLabels: {app: \"\"}}", "", false},
		{"{matchLabels: {app: web}}", "x=app a=b app=web", true},
		{"{matchLabels: {app: web, tier: \"1\"}}", "app=web tier=1", true},
		{"{matchLabels: {app: web, tier: 1}}", "app=web", false},
		{"{matchLabels: {a.b/c: D_e.f-g}}", "a.b/c=D_e.f-g", true},
		{"{matchExpressions: [{key: app, operator: In, values: [web, db]}]}", "app=db",
		 true},
		{"{matchExpressions: [{key: app, operator: In, values: [web, db]}]}", "app=x",
		 false},
		{"{matchExpressions: [{key: app, operator: In, values: [web, db]}]}", "", false},
		{"{matchExpressions: [{key: app, operator: NotIn, values: [web, db]}]}", "app=db",
		 false},
		{"{matchExpressions: [{key: app, operator: NotIn, values: [web, db]}]}", "app=x",
		 true},
		{"{matchExpressions: [{key: app, operator: NotIn, values: [web, db]}]}", "", true},
		{"{matchExpressions: [{key: app, operator: Exists}]}", "app=", true},
		{"{matchExpressions: [{key: app, operator: Exists}]}", "b=app", false},
		{"{matchExpressions: [{key: app, operator: DoesNotExist, values: []}]}", "b=c",
		 true},
		{"{matchExpressions: [{key: app, operator: DoesNotExist}]}", "app=c", false},
		{"{matchLabels: {a: b}, matchExpressions: [{key: c, operator: Exists}]}",
		 "a=b c=", true},
		{"{matchLabels: {a: b}, matchExpressions: [{key: c, operator: Exists}]}", "a=b",
		 false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[256];

		snprintf(text, sizeof(text), "policy:\n- {podSelector: %s, action: deny}\n",
			 cases[i].selector);
		must_load(text);
		if ((verdict_for(cases[i].labels).action == DENY) != cases[i].want)
			fail_msg("%s: %s", cases[i].selector, cases[i].labels);
	}
}

static void bad_selectors(void **state)
{
	static const struct {
		const char *selector, *want;
	} cases[] = {
		{"app=web", ":3: expected a mapping with matchLabels, matchExpressions"},
		{"[]", ":3: expected a mapping with matchLabels, matchExpressions"},
		{"{app: web}", ":3: unknown key \"app\"; known are matchLabels, matchExpressions"},
		{"{matchLabels: web}", ":3: matchLabels is no mapping"},
		{"{matchLabels: [app]}", ":3: matchLabels is no mapping"},
		{"{matchLabels: {a: b, c: d, a: e}}", ":3: label \"a\" is there twice; remove one"},
		{"{matchLabels: {-a: b}}", ":3: \"-a\" is not the key of a label"},
		{"{matchLabels: {a/b/c: b}}", ":3: \"a/b/c\" is not the key of a label"},
		{"{matchLabels: {A/b: b}}", "is not the key of a label"},
		{"{matchLabels: {/b: b}}", "is not the key of a label"},
		{"{matchLabels: {\"\": b}}", ":3: \"\" is not the key of a label"},
		{"{matchLabels: {\"a\\0\": b}}", ":3: \"\" is not the key of a label"},
		{"{matchLabels: {[a]: b}}", ":3: \"\" is not the key of a label"},
		{"{matchLabels: {a: \"*\"}}", ":3: \"*\" is not the value of a label"},
		{"{matchLabels: {a: [b]}}", ":3: \"\" is not the value of a label"},
		{"{matchLabels: {a: \"b\\0\"}}", ":3: \"\" is not the value of a label"},
		{"{matchExpressions: {key: a}}", ":3: expected a list for \"matchExpressions\""},
		{"{matchExpressions: [a]}", ":3: expected a mapping with key, operator, values"},
		{"{matchExpressions: [{operator: Exists}]}", ":3: missing key 'key'; add it"},
		{"{matchExpressions: [{key: a}]}", ":3: missing key 'operator'; add it"},
		{"{matchExpressions: [{key: a, operator: in}]}",
		 ":3: operator \"in\" is not In, NotIn, Exists or DoesNotExist"},
		{"{matchExpressions: [{key: a, operator: Gt, values: [1]}]}",
		 ":3: operator \"Gt\" is not In, NotIn"},
		{"{matchExpressions: [{key: a, operator: In}]}",
		 ":3: operator In needs \"values\""},
		{"{matchExpressions: [{key: a, operator: NotIn, values: []}]}",
		 ":3: operator NotIn needs \"values\""},
		{"{matchExpressions: [{key: a, operator: In, values: b}]}", "needs \"values\""},
		{"{matchExpressions: [{key: a, operator: In, values: {b: c}}]}",
		 ":3: expected a list for \"values\""},
		{"{matchExpressions: [{key: a, operator: Exists, values: [b]}]}",
		 ":3: operator Exists takes no values; remove them"},
		/* what nobody can be */
		{"{matchExpressions: [{key: a, operator: Exists}, {key: a, operator: "
		 "DoesNotExist}]}",
		 ":2: no pod can be selected by this rule: what it wants of the label \"a\" "
		 "contradicts itself; correct podSelector"},
		{"{matchLabels: {a: b}, matchExpressions: [{key: a, operator: DoesNotExist}]}",
		 "no pod can be selected"},
		{"{matchLabels: {a: b}, matchExpressions: [{key: a, operator: In, values: [c]}]}",
		 "no pod can be selected"},
		{"{matchLabels: {a: b}, matchExpressions: [{key: a, operator: NotIn, values: [c, "
		 "b]}]}",
		 "no pod can be selected"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[256];

		snprintf(text, sizeof(text), "policy:\n- action: deny\n  podSelector: %s\n",
			 cases[i].selector);
		refused(text, cases[i].want);
	}
	/* contradictory at a glance only */
	must_load("policy:\n- {action: deny, podSelector: {matchLabels: {a: b}, matchExpressions: ["
		  "{key: a, operator: In, values: [b, c]}, {key: a, operator: NotIn, values: [c]}, "
		  "{key: a, operator: Exists}, {key: b, operator: DoesNotExist}]}}\n");
	assert_int_equal(verdict_for("a=b").action, DENY);
}

#define EXPRESSION(key, rest)                                                                      \
	"podSelector: {matchExpressions: [{key: " key ", operator: " rest "}]}"

/* Never reached only where that is certain. */
static void covers_by_labels(void **state)
{
	static const struct {
		const char *above, *below;
		bool covered;
	} cases[] = {
		{"namespace: a", "namespace: a, podSelector: {matchLabels: {b: c}}", true},
		{"namespace: a, podSelector: {matchLabels: {b: c}}", "namespace: a", false},
		{"podSelector: {}", "podSelector: {matchLabels: {b: c}}", true},
		{"hostNetwork: true", "namespace: a, hostNetwork: true", true},
		{"hostNetwork: true", "namespace: a, hostNetwork: false", false},
		{"hostNetwork: true", "namespace: a", false},
		{"namespace: a", "namespace: a, hostNetwork: false", true},
		{"podSelector: {matchLabels: {b: c}}", "podSelector: {matchLabels: {b: c, d: e}}",
		 true},
		{"podSelector: {matchLabels: {b: c, d: e}}", "podSelector: {matchLabels: {b: c}}",
		 false},
		{"podSelector: {matchLabels: {b: c}}", "podSelector: {matchLabels: {d: c}}", false},
		{EXPRESSION("b", "In, values: [c, d]"), "podSelector: {matchLabels: {b: d}}", true},
		{EXPRESSION("b", "In, values: [c, d]"), EXPRESSION("b", "In, values: [d, e]"),
		 false},
		{EXPRESSION("b", "In, values: [c, d]"), EXPRESSION("b", "Exists"), false},
		{EXPRESSION("b", "Exists"), EXPRESSION("b", "In, values: [d, e]"), true},
		{EXPRESSION("b", "Exists"), EXPRESSION("b", "NotIn, values: [d]"), false},
		{EXPRESSION("b", "Exists"), EXPRESSION("b", "DoesNotExist"), false},
		{EXPRESSION("b", "NotIn, values: [c]"), EXPRESSION("b", "NotIn, values: [d, c]"),
		 true},
		{EXPRESSION("b", "NotIn, values: [c, d]"), EXPRESSION("b", "NotIn, values: [c]"),
		 false},
		{EXPRESSION("b", "NotIn, values: [c]"), EXPRESSION("b", "In, values: [d, e]"),
		 true},
		{EXPRESSION("b", "NotIn, values: [c]"), EXPRESSION("b", "In, values: [d, c]"),
		 false},
		{EXPRESSION("b", "NotIn, values: [c]"), EXPRESSION("b", "DoesNotExist"), true},
		{EXPRESSION("b", "NotIn, values: [c]"), EXPRESSION("b", "Exists"), false},
		{EXPRESSION("b", "DoesNotExist"), EXPRESSION("b", "NotIn, values: [c]"), false},
		{EXPRESSION("b", "NotIn, values: [c]"), EXPRESSION("d", "In, values: [d]"), false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pc_err err = {};
		char text[512];
		int r;

		snprintf(text, sizeof(text),
			 "policy:\n- {%s, action: deny}\n- {%s, action: redirect}\n",
			 cases[i].above, cases[i].below);
		r = load(text, &err);
		if ((r < 0) != cases[i].covered ||
		    (r < 0 &&
		     !strstr(err.msg, ":3: this rule is never reached: the one in line 2 ")))
			fail_msg("%s: %s", text, err.msg);
	}
	refused("policy:\n- {action: deny, podSelector: {matchLabels: {a: b}}}\n- {action: "
		"redirect, "
		"podSelector: {matchExpressions: [{key: a, operator: In, values: [b, b]}]}}\n",
		":3: this rule selects the same pods as the one in line 2; remove one");
}

static void host_network(void **state)
{
	struct config_pod pod = {.name_space = "kube-system", .service_account = "x", .labels = ""};

	(void)state;
	must_load("policy:\n- {namespace: kube-system, hostNetwork: true, action: exempt}\n"
		  "- {hostNetwork: false, action: deny}\n");
	assert_int_equal(config_policy_for(&config, &pod).action, DENY);
	pod.host_network = true;
	assert_int_equal(config_policy_for(&config, &pod).action, EXEMPT);
	pod.name_space = "shop";
	assert_int_equal(config_policy_for(&config, &pod).action, REDIRECT);
	refused("policy:\n- {hostNetwork: yes, action: deny}\n",
		":2: hostNetwork \"yes\" is not false or true");
}

/* Who may be exempt must not be the choice of who wants to be. */
static void unsafe(void **state)
{
	static const struct {
		const char *rule, *want;
	} cases[] = {
		{"podSelector: {matchLabels: {app: aws-node}}, action: exempt",
		 "pods of any namespace with these labels would be exempt, and whoever makes a pod "
		 "chooses its labels; give \"namespace\" too"},
		{"podSelector: {matchLabels: {app: aws-node}}, action: audit",
		 "pods of any namespace with these labels would be audited"},
		{"serviceAccount: a, podSelector: {matchLabels: {b: c}}, action: exempt",
		 "serviceAccount \"a\" without a namespace would be exempt"},
		{"podSelector: {}, action: exempt", "this rule would exempt every pod"},
		{"action: audit", "this rule would audit every pod; give \"namespace\""},
		{"hostNetwork: true, action: exempt",
		 "pods of any namespace would be exempt; give \"namespace\" too"},
		{"namespace: a, action: exempt, imdsv2: required",
		 "imdsv2: required goes with action: redirect alone"},
		{"namespace: a, action: deny, imdsv2: required",
		 "imdsv2: required goes with action: redirect alone"},
		{"namespace: a, action: audit, imdsv2: required",
		 "imdsv2: required goes with action: redirect alone"},
		{"namespace: a, action: deny, annotations: tighten",
		 "annotations: tighten has no effect where action is deny; remove it"},
		{"namespace: a, action: redirect, imdsv2: only",
		 "imdsv2 \"only\" is not optional or required"},
		{"namespace: a, action: redirect, annotations: \"true\"",
		 "annotations \"true\" is not ignore or tighten"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[256];

		snprintf(text, sizeof(text), "policy:\n- {%s}\n", cases[i].rule);
		refused(text, cases[i].want);
	}
}

/* Nobody is exempt for labels that cannot be read, and nobody escapes a rule by such. */
static void labels_unknown(void **state)
{
	static const struct {
		const char *rules;
		enum config_policy_action want;
		size_t line;
		bool imdsv2;
	} cases[] = {
		{"- {namespace: shop, podSelector: {matchLabels: {a: b}}, action: exempt}\n",
		 REDIRECT, 0, false},
		{"- {namespace: shop, podSelector: {matchLabels: {a: b}}, action: deny}\n"
		 "- {namespace: shop, action: exempt}\n",
		 DENY, 2, false},
		{"- {namespace: shop, podSelector: {matchLabels: {a: b}}, action: redirect}\n"
		 "- {namespace: shop, action: exempt}\n",
		 REDIRECT, 2, false},
		{"- {namespace: shop, podSelector: {matchLabels: {a: b}}, action: exempt}\n"
		 "- {namespace: shop, action: audit}\n",
		 AUDIT, 3, false},
		{"- {namespace: shop, podSelector: {matchLabels: {a: b}}, action: exempt}\n"
		 "- {namespace: shop, podSelector: {matchLabels: {a: c}}, action: redirect, "
		 "imdsv2: "
		 "required}\n",
		 REDIRECT, 3, true},
		{"- {namespace: other, podSelector: {matchLabels: {a: b}}, action: deny}\n"
		 "- {namespace: shop, action: exempt}\n"
		 "- {podSelector: {matchLabels: {a: b}}, action: deny}\n",
		 EXEMPT, 3, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct config_verdict verdict;
		char text[512];

		snprintf(text, sizeof(text), "policy:\n%s", cases[i].rules);
		must_load(text);
		verdict = verdict_for(NULL);
		if (verdict.action != cases[i].want || verdict.line != cases[i].line ||
		    verdict.imdsv2 != cases[i].imdsv2)
			fail_msg("%s: %d by line %zu", text, verdict.action, verdict.line);
	}
}

/* Until the labels are known again, what was said of the pod stays, where it may still be meant. */
static void labels_unknown_yet(void **state)
{
	static const struct {
		enum config_policy_action before;
		bool before_imdsv2;
		const char *rules;
		enum config_policy_action want;
		size_t line;
	} cases[] = {
		{EXEMPT, false,
		 "- {namespace: shop, podSelector: {matchLabels: {a: b}}, action: exempt}\n",
		 EXEMPT, 2},
		{REDIRECT, false,
		 "- {namespace: shop, podSelector: {matchLabels: {a: b}}, action: exempt}\n",
		 REDIRECT, 0},
		{REDIRECT, false, "- {podSelector: {matchLabels: {a: b}}, action: deny}\n",
		 REDIRECT, 0},
		{DENY, false, "- {podSelector: {matchLabels: {a: b}}, action: deny}\n", DENY, 2},
		/* no longer */
		{EXEMPT, false, "- {namespace: shop, action: redirect}\n", REDIRECT, 2},
		{EXEMPT, false, "- {podSelector: {matchLabels: {a: b}}, action: deny}\n", DENY, 2},
		{EXEMPT, false, "  []\n", REDIRECT, 0},
		{REDIRECT, true, "- {podSelector: {matchLabels: {a: b}}, action: deny}\n", DENY, 2},
		{AUDIT, false,
		 "- {namespace: shop, podSelector: {matchLabels: {a: b}}, action: exempt}\n",
		 REDIRECT, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct config_verdict before = {.action = cases[i].before,
						      .imdsv2 = cases[i].before_imdsv2};
		const struct config_pod pod = {
			.name_space = "shop", .service_account = "cart", .before = &before};
		struct config_verdict verdict;
		char text[256];

		snprintf(text, sizeof(text), "policy:\n%s", cases[i].rules);
		must_load(text);
		verdict = config_policy_for(&config, &pod);
		if (verdict.action != cases[i].want || verdict.line != cases[i].line)
			fail_msg("%zu: %s: %d by line %zu", i, text, verdict.action, verdict.line);
	}
}

/* Annotations only where a rule allows them, and only to tighten. */
static void annotations(void **state)
{
	static const struct {
		const char *rule;
		bool deny, redirect, imdsv2;
		enum config_policy_action want;
		bool want_imdsv2, annotated;
	} cases[] = {
		{"action: redirect", true, false, true, REDIRECT, false, false},
		{"action: exempt, annotations: ignore", true, false, false, EXEMPT, false, false},
		{"action: exempt, annotations: tighten", false, false, false, EXEMPT, false, false},
		{"action: exempt, annotations: tighten", true, false, false, DENY, false, true},
		{"action: exempt, annotations: tighten", false, true, false, REDIRECT, false, true},
		{"action: exempt, annotations: tighten", false, false, true, REDIRECT, true, true},
		{"action: audit, annotations: tighten", false, true, false, REDIRECT, false, true},
		{"action: audit, annotations: tighten", true, true, true, DENY, true, true},
		{"action: redirect, annotations: tighten", false, true, false, REDIRECT, false,
		 false},
		{"action: redirect, annotations: tighten", false, false, true, REDIRECT, true,
		 true},
		{"action: redirect, annotations: tighten", true, false, false, DENY, false, true},
		{"action: redirect, imdsv2: required, annotations: tighten", false, true, true,
		 REDIRECT, true, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct config_pod pod = {.name_space = "shop",
					       .service_account = "cart",
					       .labels = "",
					       .asks_deny = cases[i].deny,
					       .asks_redirect = cases[i].redirect,
					       .asks_imdsv2 = cases[i].imdsv2};
		struct config_verdict verdict;
		char text[256];

		snprintf(text, sizeof(text), "policy:\n- {namespace: shop, %s}\n", cases[i].rule);
		must_load(text);
		verdict = config_policy_for(&config, &pod);
		if (verdict.action != cases[i].want || verdict.imdsv2 != cases[i].want_imdsv2 ||
		    verdict.annotated != cases[i].annotated || verdict.line != 2)
			fail_msg("%zu: %s: %d", i, text, verdict.action);
	}
	must_load("policy: []\n");
	assert_int_equal(config_policy_for(&config, &(struct config_pod){.name_space = "a",
									 .service_account = "b",
									 .asks_deny = true})
				 .action,
			 REDIRECT);
}

static char *many_labels(unsigned n, unsigned len)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	fprintf(f, "policy:\n- action: deny\n  podSelector:\n    matchLabels:\n");
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "      k%u: v%0*u\n", i, (int)len, i);
	fclose(f);
	return text;
}

static void limit_of_labels(void **state)
{
	_cleanup_free_ char *most = many_labels(512, 1), *more = many_labels(513, 1);
	_cleanup_free_ char *long_ones = many_labels(512, 60);

	(void)state;
	must_load(most);
	assert_int_equal(config.n_requirements, 512);
	refused(more, ":517: more than 512 labels in the policy");
	refused(long_ones, ": more than 32768 bytes of labels in the policy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_policy),	  cmocka_unit_test(selects),
		cmocka_unit_test(unnamed),	  cmocka_unit_test(first_decides),
		cmocka_unit_test(good_names),	  cmocka_unit_test(bad_names),
		cmocka_unit_test(refusals),	  cmocka_unit_test(unreachable),
		cmocka_unit_test(limit),	  cmocka_unit_test(selects_by_labels),
		cmocka_unit_test(bad_selectors),  cmocka_unit_test(covers_by_labels),
		cmocka_unit_test(host_network),	  cmocka_unit_test(unsafe),
		cmocka_unit_test(labels_unknown), cmocka_unit_test(labels_unknown_yet),
		cmocka_unit_test(annotations),	  cmocka_unit_test(limit_of_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
