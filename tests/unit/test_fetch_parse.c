// SPDX-License-Identifier: Apache-2.0
/* MODULES: fetch config yaml base */
/* LIBS: -lyaml */
/* What fetch reads of files and programs, and which paths of IMDS are for pods. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "config/credentials.h"
#include "fetch/metadata.h"
#include "fetch/process.h"
#include "fetch/profile.h"
#include "yaml/tree.h"

/* ---- profiles ---- */

static struct fetch_profile profile;

static int forget(void **state)
{
	(void)state;
	fetch_profile_done(&profile);
	return 0;
}

static void read_profile(const char *text, const char *name, bool is_config)
{
	_cleanup_free_ char *copy = strdup(text);

	assert_int_equal(fetch_profile_read(copy, name, is_config, &profile), 0);
}

#define FILE_TEXT                                                                                  \
	"# a comment\n"                                                                            \
	"[default]\n"                                                                              \
	"aws_access_key_id = AKIADEFAULT\n"                                                        \
	"aws_secret_access_key=secret/with=equals+\n"                                              \
	"\n"                                                                                       \
	"[ spaced ]\r\n"                                                                           \
	"AWS_ACCESS_KEY_ID\t=\tAKIASPACED  \r\n"                                                   \
	"aws_secret_access_key = secret\r\n"                                                       \
	"aws_session_token = token\r\n"                                                            \
	"s3 =\n"                                                                                   \
	"  region = nested\n"                                                                      \
	"[no end\n"                                                                                \
	"aws_access_key_id = AKIANOBODY\n"

static void test_profile(void **state)
{
	(void)state;
	read_profile(FILE_TEXT, "default", false);
	assert_true(profile.found);
	assert_string_equal(profile.access_key_id, "AKIADEFAULT");
	assert_string_equal(profile.secret_access_key, "secret/with=equals+");
	assert_null(profile.session_token);
}

static void test_profile_spaces(void **state)
{
	(void)state;
	read_profile(FILE_TEXT, "spaced", false);
	assert_string_equal(profile.access_key_id, "AKIASPACED");
	assert_string_equal(profile.session_token, "token");
	assert_null(profile.region);
}

static void test_profile_missing(void **state)
{
	(void)state;
	read_profile(FILE_TEXT, "other", false);
	assert_false(profile.found);
	assert_null(profile.access_key_id);
	read_profile("", "default", false);
	read_profile("[default]", "default", false);
	assert_true(profile.found);
	assert_null(profile.access_key_id);
}

static void test_profile_config(void **state)
{
	static const char text[] = "[profile dev]\nregion = eu-west-1\n"
				   "credential_process = /opt/tool --role x\nsso_session = s\n"
				   "[dev]\nregion = wrong\n[default]\nregion = us-east-1\n";

	(void)state;
	read_profile(text, "dev", true);
	assert_string_equal(profile.region, "eu-west-1");
	assert_string_equal(profile.credential_process, "/opt/tool --role x");
	assert_true(profile.other);
	fetch_profile_done(&profile);
	read_profile(text, "default", true);
	assert_string_equal(profile.region, "us-east-1");
	assert_false(profile.other);
}

/* The credentials file is read after the config file, and says the last word. */
static void test_profile_both(void **state)
{
	(void)state;
	read_profile("[default]\naws_access_key_id = AKIACONFIG\nregion = eu-west-1\n", "default",
		     true);
	read_profile("[default]\naws_access_key_id = AKIAFILE\naws_session_token =\n", "default",
		     false);
	assert_string_equal(profile.access_key_id, "AKIAFILE");
	assert_string_equal(profile.region, "eu-west-1");
}

/* ---- command lines ---- */

static void expect_words(const char *text, const char *joined)
{
	_cleanup_free_ char *line = strdup(text);
	const char *words[FETCH_WORDS_MAX + 1];
	char seen[256] = "";

	assert_int_equal(fetch_split_command(line, words), 0);
	for (size_t i = 0; words[i]; i++) {
		strcat(seen, words[i]);
		strcat(seen, "|");
	}
	assert_string_equal(seen, joined);
}

static void test_words(void **state)
{
	char many[3 * FETCH_WORDS_MAX + 4] = "";
	const char *words[FETCH_WORDS_MAX + 1];
	char bad[][16] = {"", "  \t", "a 'b", "\"", "'\\'' "};

	(void)state;
	expect_words("/bin/tool", "/bin/tool|");
	expect_words("  /bin/tool\t-a  b ", "/bin/tool|-a|b|");
	expect_words("'a b' \"c d\" e\\ f", "a b|c d|e f|");
	expect_words("\"a\\\"b\\\\c\\d\" 'e\\f'", "a\"b\\c\\d|e\\f|");
	expect_words("a'b'\"c\" '' x", "abc||x|");
	expect_words("$HOME ; `id` > x", "$HOME|;|`id`|>|x|");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(fetch_split_command(bad[i], words), -EINVAL);
	for (int i = 0; i <= FETCH_WORDS_MAX; i++)
		strcat(many, "ab ");
	assert_int_equal(fetch_split_command(many, words), -EINVAL);
}

/* ---- credential_process ---- */

#define NOW 1767323045 /* 2026-01-02T03:04:05Z */

static int parse(const char *text, bool needs_token, struct fetch_result *ret, struct pc_err *err)
{
	static struct yml_tree *tree;
	int r;

	yml_tree_free(tree);
	tree = NULL;
	r = fetch_process_parse(text, strlen(text), NOW, needs_token, &tree, ret, err);
	return r;
}

static void test_process(void **state)
{
	struct fetch_result result;
	struct pc_err err = {};

	(void)state;
	assert_int_equal(parse("{\"Version\": 1, \"AccessKeyId\": \"AKIA1\", \"SecretAccessKey\": "
			       "\"s/+=\", \"SessionToken\": \"t\", \"Expiration\": "
			       "\"2026-01-02T04:04:05+00:00\", \"AccountId\": \"111122223333\", "
			       "\"More\": {\"a\": [1]}}",
			       true, &result, &err),
			 0);
	assert_string_equal(result.access_key_id, "AKIA1");
	assert_string_equal(result.secret_access_key, "s/+=");
	assert_string_equal(result.session_token, "t");
	assert_string_equal(result.account_id, "111122223333");
	assert_int_equal(result.expiration, NOW + 3600);
	assert_int_equal(result.good_ns / CLOCK_S, 3600);

	assert_int_equal(parse("{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\","
			       "\"SessionToken\":null}\n",
			       false, &result, &err),
			 0);
	assert_null(result.session_token);
	assert_int_equal(result.good_ns, 0);
	parse("{}", false, &result, &err);
}

static void test_process_bad(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "JSON object"},
		{"[]", "JSON object"},
		{"no json at all: [", "its output"},
		{"{}", "\"Version\": 1"},
		{"{\"Version\": 2}", "\"Version\": 1"},
		{"{\"Version\": 1}", "AccessKeyId"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A B\"}", "AccessKeyId"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\"}", "SecretAccessKey"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"a\\nb\"}",
		 "SecretAccessKey"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\"}",
		 "SessionToken"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", "
		 "\"SessionToken\": \"t t\"}",
		 "SessionToken"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", "
		 "\"SessionToken\": \"t\", \"AccountId\": \"12\"}",
		 "AccountId"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", "
		 "\"SessionToken\": \"t\", \"Expiration\": 1767326645}",
		 "Expiration"},
		{"{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"s\", "
		 "\"SessionToken\": \"t\", \"Expiration\": \"2026-01-02T03:04:05Z\"}",
		 "expired already"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fetch_result result = {};
		struct pc_err err = {};

		assert_int_equal(parse(bad[i].text, true, &result, &err), -EINVAL);
		if (!strstr(err.msg, bad[i].why))
			fail_msg("%s: %s", bad[i].text, err.msg);
	}
}

/* ---- which paths of IMDS are for pods ---- */

static bool may(const char *path, const char *allowed)
{
	struct config_credentials config = {.n_imds = 1};

	snprintf(config.imds[0], sizeof(config.imds[0]), "%s", allowed);
	return fetch_metadata_may(&config, path);
}

static void test_metadata(void **state)
{
	(void)state;
	assert_true(may("/latest/meta-data/placement/region", "meta-data/placement/region"));
	assert_true(may("/latest/meta-data/placement/region/", "meta-data/placement/region"));
	assert_true(may("/latest/meta-data/placement/region", "meta-data/placement/"));
	assert_true(may("/latest/dynamic/instance-identity/document",
			"dynamic/instance-identity/document"));

	assert_false(may("/latest/meta-data/placement/regions", "meta-data/placement/region"));
	assert_false(may("/latest/meta-data/placement", "meta-data/placement/"));
	assert_false(may("/latest/meta-data/placement//region", "meta-data/placement/"));
	assert_false(may("/latest/meta-data/placement/../iam/info", "meta-data/placement/"));
	assert_false(may("/latest/meta-data/placement/./region", "meta-data/placement/"));
	assert_false(may("/latest/meta-data/placement/%69am", "meta-data/placement/"));
	assert_false(may("/latest/meta-data/placement/region?x", "meta-data/placement/"));
	assert_false(may("/latest/meta-data/placement/re gion", "meta-data/placement/"));
	assert_false(may("/1.0/meta-data/placement/region", "meta-data/placement/"));
	assert_false(may("latest/meta-data/placement/region", "meta-data/placement/"));
	assert_false(may("/latest/meta-data/placement/region", "meta-data/instance-id"));
}

/* Not even when somebody has allowed everything. */
static void test_metadata_never(void **state)
{
	static const char *const never[] = {
		"/latest/meta-data/iam/security-credentials/",
		"/latest/meta-data/iam/security-credentials-extended/x",
		"/latest/meta-data/iam-eks-0/security-credentials/uid",
		"/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
		"/latest/meta-data/managed-ssh-keys/signer-cert",
		"/latest/user-data",
		"/latest/api/token",
		"/latest/meta-data/placement/..",
		"/latest/",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		assert_false(may(never[i], "meta-data/"));
		assert_false(may(never[i], "user-data"));
		assert_false(may(never[i], "api/"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_profile, forget),
		cmocka_unit_test_teardown(test_profile_spaces, forget),
		cmocka_unit_test_teardown(test_profile_missing, forget),
		cmocka_unit_test_teardown(test_profile_config, forget),
		cmocka_unit_test_teardown(test_profile_both, forget),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_process_bad),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_metadata_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
