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
#include "credentials/choose.h"

#define BASE "arn:aws:iam::111122223333:role/"

static const struct cred_association file = {.origin = CRED_ORIGIN_FILE,
					     .source = CRED_SOURCE_STATIC,
					     .namespace = "shop",
					     .service_account = "web",
					     .role = "file",
					     .line = 3};
static const struct cred_association object = {.origin = CRED_ORIGIN_OBJECT,
					       .namespace = "shop",
					       .service_account = "web",
					       .role = "object",
					       .role_arn = BASE "object"};
static const struct cred_rules all = {.objects = true,
				      .irsa = true,
				      .kube2iam = true,
				      .kiam = true,
				      .base_role_arn = BASE},
			       none = {.default_source = CRED_SOURCE_STS},
			       kube2iam = {.kube2iam = true, .base_role_arn = BASE},
			       kiam = {.kiam = true, .base_role_arn = BASE}, irsa = {.irsa = true};

static struct cred_facts facts(const struct cred_annotations *annotations)
{
	return (struct cred_facts){
		.namespace = "shop",
		.service_account = "web",
		.object_known = CRED_KNOWN,
		.object_right = CRED_RIGHT_ALLOWED,
		.right_why = "allowed by p",
		.annotations_known = annotations ? CRED_KNOWN : CRED_NOT_KNOWN,
		.annotations = annotations ? *annotations : (struct cred_annotations){},
	};
}

static int choose(const struct cred_rules *rules, const struct cred_facts *f,
		  struct cred_choice *ret)
{
	int r = cred_choose(rules, f, ret);

	for (int i = 0; i < CRED_ORIGINS; i++)
		if (!ret->steps[i].why[0] || strchr(ret->steps[i].why, '\n'))
			fail_msg("%s: \"%s\"", cred_origin_name((enum cred_origin)i),
				 ret->steps[i].why);
	return r;
}

/* The role that annotations give, or why there is none. */
static const char *outcome(const struct cred_rules *rules, const struct cred_annotations *values)
{
	static char text[CRED_WHY_SIZE];
	struct cred_facts f = facts(values);
	struct cred_choice choice;

	assert_int_equal(choose(rules, &f, &choice), 0);
	snprintf(text, sizeof(text), "%s",
		 choice.association ? choice.association->role_arn : choice.why);
	assert_int_equal(!choice.association, choice.why[0] != '\0');
	cred_choice_done(&choice);
	return text;
}

static void test_order(void **state)
{
	const struct cred_annotations values = {
		.irsa_role = BASE "irsa", .role = "kube", .allowed_roles = "[\"*\"]"};
	struct cred_facts f = facts(&values);
	struct cred_choice choice;

	(void)state;
	f.file = &file;
	f.object = &object;
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_ptr_equal(choice.association, &file);
	assert_null(choice.table);
	assert_int_equal(choice.steps[CRED_ORIGIN_FILE].verdict, CRED_CHOSEN);
	assert_int_equal(choice.steps[CRED_ORIGIN_OBJECT].verdict, CRED_SHADOWED);
	assert_non_null(strstr(choice.steps[CRED_ORIGIN_IRSA].why, "the associations file"));
	assert_int_equal(choice.steps[CRED_ORIGIN_KUBE2IAM].verdict, CRED_SHADOWED);
	assert_int_equal(choice.steps[CRED_ORIGIN_EKS].verdict, CRED_OFF);
	f.file = NULL;
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_ptr_equal(choice.association, &object);
	f.object = NULL;
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_string_equal(choice.association->role, "irsa");
	assert_string_equal(choice.association->account_id, "111122223333");
	assert_int_equal(choice.association->origin, CRED_ORIGIN_IRSA);
	assert_int_equal(choice.association->source, CRED_SOURCE_WEB_IDENTITY);
	assert_string_equal(choice.association->namespace, "shop");
	assert_non_null(choice.table);
	cred_choice_done(&choice);
	f.annotations.irsa_role = NULL;
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_string_equal(choice.association->role, "kube");
	assert_int_equal(choice.association->source, CRED_SOURCE_STS);
	assert_true(choice.association->disable_session_tags);
	cred_choice_done(&choice);
}

/* Nothing is asked of the API server unless the answer depends on it. */
static void test_unknown(void **state)
{
	struct cred_facts f = facts(NULL);
	struct cred_choice choice;

	(void)state;
	f.object_known = CRED_NOT_KNOWN;
	assert_int_equal(choose(&all, &f, &choice), -EAGAIN);
	assert_int_equal(choice.origin, CRED_ORIGIN_OBJECT);
	assert_int_equal(choose(&none, &f, &choice), 0);
	assert_null(choice.association);
	assert_false(choice.refused);
	assert_non_null(strstr(choice.why, "shop/web"));
	f.file = &file;
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_ptr_equal(choice.association, &file);
	assert_int_equal(choice.steps[CRED_ORIGIN_KIAM].verdict, CRED_UNKNOWN);
	f.file = NULL;
	f.object_known = CRED_KNOWN;
	f.object = &object;
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_ptr_equal(choice.association, &object);
	f.object = NULL;
	assert_int_equal(choose(&all, &f, &choice), -EAGAIN);
	assert_int_equal(choice.origin, CRED_ORIGIN_IRSA);
	assert_null(choice.association);
}

/* An object that is wrong does not let something else through. */
static void test_invalid_object(void **state)
{
	const struct cred_annotations values = {.irsa_role = BASE "irsa"};
	struct cred_facts f = facts(&values);
	struct cred_choice choice;

	(void)state;
	f.object_known = CRED_INVALID;
	f.object_why = "bad\nrole";
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_null(choice.association);
	assert_true(choice.refused);
	assert_int_equal(choice.origin, CRED_ORIGIN_OBJECT);
	assert_non_null(strstr(choice.why, "bad?role"));
	assert_int_equal(choice.steps[CRED_ORIGIN_IRSA].verdict, CRED_SHADOWED);
	f.file = &file;
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_ptr_equal(choice.association, &file);
}

/* Nor does one whose role its namespace may not have, or nobody has said whether it may. */
static void test_right(void **state)
{
	const struct cred_annotations values = {.irsa_role = BASE "irsa"};
	struct cred_facts f = facts(&values);
	struct cred_choice choice;

	(void)state;
	f.object = &object;
	f.right_why = NULL;
	assert_int_equal(choose(&all, &f, &choice), -EAGAIN);
	assert_int_equal(choice.origin, CRED_ORIGIN_OBJECT);
	f.right_why = "labels are not known";
	f.object_right = CRED_RIGHT_UNKNOWN;
	assert_int_equal(choose(&all, &f, &choice), -EAGAIN);
	assert_int_equal(choice.steps[CRED_ORIGIN_OBJECT].verdict, CRED_UNKNOWN);
	assert_non_null(strstr(choice.steps[CRED_ORIGIN_OBJECT].why, "labels are not known"));
	assert_null(choice.association);
	f.object_right = CRED_RIGHT_REFUSED;
	f.right_why = "no policy";
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_null(choice.association);
	assert_true(choice.refused);
	assert_true(choice.not_allowed);
	assert_int_equal(choice.origin, CRED_ORIGIN_OBJECT);
	assert_string_equal(choice.why, "PodIdentityAssociation shop/web: no policy");
	assert_int_equal(choice.steps[CRED_ORIGIN_IRSA].verdict, CRED_SHADOWED);
	f.object_right = CRED_RIGHT_ALLOWED;
	f.right_why = "allowed by p";
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_ptr_equal(choice.association, &object);
	assert_false(choice.not_allowed);
	assert_non_null(strstr(choice.steps[CRED_ORIGIN_OBJECT].why, "allowed by p"));
	/* the file is the machine owner's own word */
	f.object_right = CRED_RIGHT_REFUSED;
	f.file = &file;
	assert_int_equal(choose(&all, &f, &choice), 0);
	assert_ptr_equal(choice.association, &file);
}

static void test_eks(void **state)
{
	const struct cred_rules rules = {.default_source = CRED_SOURCE_EKS_AUTH};
	struct cred_facts f = facts(NULL);
	struct cred_choice choice;

	(void)state;
	assert_int_equal(choose(&rules, &f, &choice), 0);
	assert_int_equal(choice.association->origin, CRED_ORIGIN_EKS);
	assert_int_equal(choice.association->source, CRED_SOURCE_EKS_AUTH);
	assert_null(choice.association->role);
	cred_choice_done(&choice);
}

/* A node that follows objects, and asks the broker, which has the last word. */
static void test_broker(void **state)
{
	const struct cred_rules rules = {.default_source = CRED_SOURCE_BROKER, .objects = true},
				alone = {.default_source = CRED_SOURCE_BROKER};
	struct cred_facts f = facts(NULL);
	struct cred_choice choice;

	(void)state;
	/* what is gone is not asked for */
	assert_int_equal(choose(&rules, &f, &choice), 0);
	assert_null(choice.association);
	assert_non_null(strstr(choice.why, "no role is associated"));
	f.object = &object;
	assert_int_equal(choose(&rules, &f, &choice), 0);
	assert_ptr_equal(choice.association, &object);
	f.object_right = CRED_RIGHT_REFUSED;
	assert_int_equal(choose(&rules, &f, &choice), 0);
	assert_true(choice.not_allowed);
	/* what is not known here the broker may know */
	f.object_right = CRED_RIGHT_UNKNOWN;
	assert_int_equal(choose(&rules, &f, &choice), 0);
	assert_ptr_equal(choice.association, &object);
	f.object = NULL;
	f.object_known = CRED_NOT_KNOWN;
	assert_int_equal(choose(&rules, &f, &choice), 0);
	assert_int_equal(choice.association->source, CRED_SOURCE_BROKER);
	cred_choice_done(&choice);
	/* without objects it always is */
	f.object_known = CRED_KNOWN;
	assert_int_equal(choose(&alone, &f, &choice), 0);
	assert_int_equal(choice.association->source, CRED_SOURCE_BROKER);
	cred_choice_done(&choice);
}

#define EXPECT(rules, text, ...)                                                                   \
	do {                                                                                       \
		const struct cred_annotations v = {__VA_ARGS__};                                   \
		const char *got = outcome(rules, &v);                                              \
		if (!strstr(got, text))                                                            \
			fail_msg("\"%s\", not \"%s\"", got, text);                                 \
	} while (0)

static void test_irsa(void **state)
{
	(void)state;
	EXPECT(&irsa, BASE "a/app", .irsa_role = BASE "a/app", .irsa_audience = "mine");
	EXPECT(&irsa, "no role is associated", .role = BASE "app");
	EXPECT(&irsa, "no ARN of a role", .irsa_role = "app");
	EXPECT(&irsa, "no ARN of a role", .irsa_role = "arn:aws:iam::1:role/app");
	EXPECT(&irsa, "no audience", .irsa_role = BASE "app", .irsa_audience = "a b");
	EXPECT(&none, "no role is associated", .irsa_role = BASE "app");
}

static void test_kube2iam(void **state)
{
	struct cred_rules rules = kube2iam;

	(void)state;
	EXPECT(&rules, BASE "app", .role = "app", .allowed_roles = "[\"app\"]");
	EXPECT(&rules, BASE "a/app", .role = "/a/app", .allowed_roles = "[\"a/*\"]");
	EXPECT(&rules, BASE "app", .role = BASE "app", .allowed_roles = "[\"x\", \"" BASE "a*\"]");
	EXPECT(&rules, "not in iam.amazonaws.com/allowed-roles", .role = "app2",
	       .allowed_roles = "[\"app\"]");
	EXPECT(&rules, "not in iam.amazonaws.com/allowed-roles", .role = "app",
	       .allowed_roles = "[]");
	EXPECT(&rules, "not in iam.amazonaws.com/allowed-roles", .role = "app",
	       .allowed_roles = "[1, null, [\"app\"]]");
	/* another account is not what stands behind the base ARN */
	EXPECT(&rules, "not in", .role = "arn:aws:iam::444455556666:role/app",
	       .allowed_roles = "[\"*\"]");
	EXPECT(&rules, "no annotation iam.amazonaws.com/allowed-roles", .role = "app");
	EXPECT(&rules, "no annotation iam.amazonaws.com/allowed-roles", .role = "app",
	       .permitted = ".*");
	EXPECT(&rules, "no JSON list", .role = "app", .allowed_roles = "app");
	EXPECT(&rules, "no ARN of a role", .role = "", .allowed_roles = "[\"*\"]");
	EXPECT(&rules, "no ARN of a role", .role = "a b", .allowed_roles = "[\"*\"]");
	EXPECT(&rules, "no external id", .role = "app", .external_id = "a b",
	       .allowed_roles = "[\"*\"]");
	EXPECT(&rules, "no role is associated", .allowed_roles = "[\"*\"]");
	rules.allowed_roles_regexp = true;
	EXPECT(&rules, BASE "app-1", .role = "app-1", .allowed_roles = "[\"web|app-\\\\d\"]");
	EXPECT(&rules, "not in", .role = "my-app-1", .allowed_roles = "[\"web|app-\\\\d\"]");
	EXPECT(&rules, "not in", .role = "app-12", .allowed_roles = "[\"web|app-\\\\d\"]");
	EXPECT(&rules, "not in", .role = "app", .allowed_roles = "[\"(\"]");
	rules.base_role_arn = NULL;
	EXPECT(&rules, "no baseRoleArn", .role = "app", .allowed_roles = "[\"app\"]");
}

/* The default role is for pods that ask for none, and not for those that ask for one they may not have. */
static void test_default_role(void **state)
{
	struct cred_rules rules = kube2iam;

	(void)state;
	rules.default_role = "usual";
	EXPECT(&rules, BASE "usual", .irsa_role = BASE "irsa");
	EXPECT(&rules, "no annotation iam.amazonaws.com/allowed-roles", .role = "app");
	rules.kiam = true;
	EXPECT(&rules, BASE "usual", .permitted = ".*");
}

static void test_kiam(void **state)
{
	const struct cred_annotations values = {
		.role = "app", .permitted = ".*/app", .session_name = "a b", .external_id = "x/y"};
	struct cred_facts f = facts(&values);
	struct cred_choice choice;

	(void)state;
	assert_int_equal(choose(&kiam, &f, &choice), 0);
	assert_string_equal(choice.association->session_text, "kiam-a b");
	assert_string_equal(choice.association->external_id, "x/y");
	assert_int_equal(choice.association->origin, CRED_ORIGIN_KIAM);
	cred_choice_done(&choice);
	EXPECT(&kiam, BASE "app", .role = "app", .permitted = "arn:aws:iam::\\d+:role/app");
	EXPECT(&kiam, "does not match", .role = "app2", .permitted = ".*/app");
	EXPECT(&kiam, "does not match", .role = "app", .permitted = "app");
	EXPECT(&kiam, "no annotation iam.amazonaws.com/permitted", .role = "app");
	EXPECT(&kiam, "no annotation iam.amazonaws.com/permitted", .role = "app", .permitted = "");
	EXPECT(&kiam, "no annotation iam.amazonaws.com/permitted", .role = "app",
	       .allowed_roles = "[\"*\"]");
	EXPECT(&kiam, "regular expression", .role = "app", .permitted = "(");
	/* work without end is none */
	EXPECT(&kiam, "regular expression", .role = "aaaaaaaaaaaaaaaaaaaa",
	       .permitted = ".*/((a+)+)+[bc]");
	EXPECT(&kiam, "no role is associated", .permitted = ".*");
}

/* Both read the same annotation of the pod; that of the namespace says whose it is. */
static void test_both(void **state)
{
	const struct cred_rules rules = {.kube2iam = true, .kiam = true, .base_role_arn = BASE};

	(void)state;
	EXPECT(&rules, BASE "app", .role = "app", .permitted = ".*");
	EXPECT(&rules, BASE "app", .role = "app", .allowed_roles = "[\"app\"]");
	EXPECT(&rules, "not in", .role = "app", .allowed_roles = "[\"web\"]", .permitted = ".*");
	EXPECT(&rules, "no annotation iam.amazonaws.com/permitted", .role = "app");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_invalid_object),
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_eks),
		cmocka_unit_test(test_broker),
		cmocka_unit_test(test_irsa),
		cmocka_unit_test(test_kube2iam),
		cmocka_unit_test(test_default_role),
		cmocka_unit_test(test_kiam),
		cmocka_unit_test(test_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
