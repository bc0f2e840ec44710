// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
/* Changes to the text of an associations file. */
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
#include "credentials/edit.h"

#define ARN   "arn:aws:iam::111122223333:role/"
#define ENTRY "namespace: shop\nserviceAccount: web\nroleArn: " ARN "new\n"
#define HEAD  "# who gets what\nassociations: # all\n"
#define API   "  # the API\n  - {namespace: shop, serviceAccount: api, roleArn: \"" ARN "api\"} # x\n"
#define WEB   "  - namespace: shop\n    serviceAccount: web\n    roleArn: " ARN "web\n"
#define NEW   "  - namespace: shop\n    serviceAccount: web\n    roleArn: " ARN "new\n"
#define DB    "\n  # the database\n  - namespace: db\n    serviceAccount: db\n    roleArn: " ARN "db\n"

static const char *edit(const char *text, const char *entry, bool discard, int want)
{
	static char result[4096];
	_cleanup_(text_done) struct text t = {};
	const struct cred_edit e = {.name = "a.yaml",
				    .text = text,
				    .len = text ? strlen(text) : 0,
				    .name_space = "shop",
				    .service_account = "web",
				    .entry = entry,
				    .discard_comments = discard};
	struct pc_err err = {};
	int r = cred_edit(&e, &t, &err);

	if (r != want)
		fail_msg("%d: %s\n%s", r, err.msg, text ?: "");
	if (r == 0)
		snprintf(result, sizeof(result), "%.*s", (int)t.len, t.data);
	else
		snprintf(result, sizeof(result), "%s", err.msg);
	assert_int_equal(r < 0 && strchr(result, '\n'), 0);
	return result;
}

static void an_entry_is_put_behind_the_last_one(void **state)
{
	(void)state;
	assert_string_equal(edit(NULL, ENTRY, false, 0), "associations:\n" NEW);
	assert_string_equal(edit("associations: []\n", ENTRY, false, 0), "associations:\n" NEW);
	assert_string_equal(edit("# a\nassociations:  [] # none\n# b\n", ENTRY, false, 0),
			    "# a\nassociations: # none\n" NEW "# b\n");
	assert_string_equal(edit(HEAD API, ENTRY, false, 0), HEAD API NEW);
	assert_string_equal(edit(HEAD API DB "# the end\n", ENTRY, false, 0),
			    HEAD API DB NEW "# the end\n");
	/* as the others are indented, and behind a last line without its end */
	assert_string_equal(
		edit("associations:\n- {namespace: a, serviceAccount: b, roleArn: '" ARN "c'}",
		     ENTRY, false, 0),
		"associations:\n- {namespace: a, serviceAccount: b, roleArn: '" ARN
		"c'}\n- namespace: shop\n  serviceAccount: web\n  roleArn: " ARN "new\n");
}

static void an_entry_is_replaced_in_its_place(void **state)
{
	(void)state;
	assert_string_equal(edit(HEAD WEB, ENTRY, false, 0), HEAD NEW);
	assert_string_equal(edit(HEAD API WEB DB, ENTRY, false, 0), HEAD API NEW DB);
	assert_string_equal(edit(HEAD WEB DB "# the end\n", ENTRY, false, 0),
			    HEAD NEW DB "# the end\n");
}

static void an_entry_is_taken_out(void **state)
{
	(void)state;
	assert_string_equal(edit(HEAD API WEB DB, NULL, false, 0), HEAD API DB);
	assert_string_equal(edit(HEAD WEB DB, NULL, false, 0), HEAD DB);
	assert_string_equal(edit(HEAD API WEB, NULL, false, 0), HEAD API);
	assert_string_equal(edit(HEAD WEB "# the end\n", NULL, false, 0),
			    "# who gets what\nassociations: [] # all\n# the end\n");
	assert_string_equal(edit("# associations: []\n" HEAD WEB, NULL, false, 0),
			    "# associations: []\n# who gets what\nassociations: [] # all\n");
	assert_non_null(strstr(edit(HEAD API, NULL, false, -ENOENT), "no association of shop/web"));
}

static void comments_are_not_lost_unasked(void **state)
{
	static const char text[] = HEAD "  - namespace: shop\n    # why\n    serviceAccount: web\n"
					"    roleArn: " ARN "web # old\n" DB;

	(void)state;
	assert_non_null(strstr(edit(text, ENTRY, false, -EEXIST),
			       "a.yaml:3: the entry of shop/web has comments"));
	edit(text, NULL, false, -EEXIST);
	assert_string_equal(edit(text, ENTRY, true, 0), HEAD NEW DB);
	assert_string_equal(edit(text, NULL, true, 0), HEAD DB);
}

static void what_cannot_be_told_apart_is_left_alone(void **state)
{
	static const char *const texts[] = {
		"associations: [{namespace: shop, serviceAccount: web, roleArn: '" ARN "a'}]\n",
		"{associations: [{namespace: shop, serviceAccount: api, roleArn: '" ARN "a'}]}\n",
		"associations:\n  -\n    namespace: shop\n    serviceAccount: web\n    "
		"roleArn: " ARN "a\n",
		"associations: [\n]\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!strstr(edit(texts[i], ENTRY, true, -EINVAL), "by hand"))
			fail_msg("%s", texts[i]);
}

static void nothing_invalid_goes_in_or_out(void **state)
{
	(void)state;
	edit("associations: {}\n", ENTRY, true, -EINVAL);
	edit(HEAD WEB WEB, ENTRY, true, -EEXIST);
	edit("", ENTRY, true, -EINVAL);
	edit(HEAD API, "namespace: shop\nserviceAccount: web\nroleArn: x\n", true, -EINVAL);
	edit(HEAD API, "namespace: shop\nserviceAccount: other\nroleArn: " ARN "a\n", true,
	     -EINVAL);
	edit(HEAD WEB, "namespace: shop\nserviceAccount: web\nroleArn: " ARN "a\nx: y\n", true,
	     -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_put_behind_the_last_one),
		cmocka_unit_test(an_entry_is_replaced_in_its_place),
		cmocka_unit_test(an_entry_is_taken_out),
		cmocka_unit_test(comments_are_not_lost_unasked),
		cmocka_unit_test(what_cannot_be_told_apart_is_left_alone),
		cmocka_unit_test(nothing_invalid_goes_in_or_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
