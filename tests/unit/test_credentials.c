// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials yaml crypto base */
/* LIBS: -ljansson -lyaml -lpcre2-8 -lcrypto */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "credentials/associations.h"
#include "credentials/credentials.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define KEYS                                                                                       \
	"    static:\n      accessKeyId: AKIAEXAMPLE\n      secretAccessKey: " SECRET              \
	"\n      sessionToken: IQoTOKEN==\n"
#define ENTRY(ns, sa) "  - namespace: " ns "\n    serviceAccount: " sa "\n    role: web-role\n" KEYS
#define HEAD	      "associations:\n"

static int parse(const char *text, struct cred_table **ret, struct pc_err *err)
{
	return cred_table_parse("a.yaml", text, strlen(text), ret, err);
}

static void test_good(void **state)
{
	static const char text[] = HEAD ENTRY("shop", "web") ENTRY("shop", "api")
		ENTRY("bank", "web") "    accountId: 011122223333\n";
	struct cred_table *t = NULL;
	const struct cred_association *a;

	(void)state;
	assert_int_equal(parse(text, &t, NULL), 0);
	assert_int_equal(cred_table_count(t), 3);
	a = cred_table_find(t, "shop", "web");
	assert_non_null(a);
	assert_string_equal(a->role, "web-role");
	assert_string_equal(a->keys.secret_access_key, SECRET);
	assert_null(a->account_id);
	assert_null(a->keys.expiration);
	a = cred_table_find(t, "bank", "web");
	assert_non_null(a);
	assert_string_equal(a->account_id, "011122223333");
	assert_non_null(cred_table_find(t, "shop", "api"));
	assert_null(cred_table_find(t, "bank", "api"));
	assert_null(cred_table_find(t, "shop", "webx"));
	assert_null(cred_table_find(t, "sho", "pweb"));
	assert_null(cred_table_find(t, "", ""));
	cred_table_unref(t);
}

static void test_empty_list(void **state)
{
	struct cred_table *t = NULL;

	(void)state;
	assert_int_equal(parse("associations: []\n", &t, NULL), 0);
	assert_int_equal(cred_table_count(t), 0);
	assert_null(cred_table_find(t, "shop", "web"));
	cred_table_unref(cred_table_ref(t));
	cred_table_unref(t);
}

/* Each message names the file, the line, the key, and never a value. */
static const struct {
	const char *text;
	const char *where;
	const char *what;
} bad[] = {
	{"", "a.yaml:1:", "empty"},
	{"# nothing\n", "a.yaml:1:", "empty"},
	{"associations:\n", "a.yaml:1:", "expected a list for \"associations\""},
	{"- a\n", "a.yaml:1:", "expected a mapping with "},
	{"asociations: []\n", "a.yaml:1:", "unknown key \"asociations\""},
	{HEAD ENTRY("shop", "web") "version: 1\n", "a.yaml:9:", "unknown key \"version\""},
	{HEAD ENTRY("shop", "web") "    rolle: x\n", "a.yaml:9:", "unknown key \"rolle\""},
	{HEAD ENTRY("shop", "web") "      expires: x\n", "a.yaml:9:", "unknown key \"expires\""},
	{HEAD ENTRY("shop", "web") "      " SECRET ": x\n", "a.yaml:9:", "unknown key \"(hidden"},
	{HEAD ENTRY("shop", "web") "    role: b\n", "a.yaml:9:", "key \"role\" is there twice"},
	{HEAD "  - namespace: shop\n    role: r\n" KEYS,
	 "a.yaml:2:", "missing key 'serviceAccount'"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: r\n",
	 "a.yaml:2:", "missing key 'static'"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: r\n    static:\n"
	      "      accessKeyId: AKIA\n      secretAccessKey: " SECRET "\n",
	 "a.yaml:6:", "missing key 'sessionToken'"},
	{HEAD ENTRY("Shop", "web"), "a.yaml:2:", "'namespace'"},
	{HEAD ENTRY("\"\"", "web"), "a.yaml:2:", "'namespace'"},
	{HEAD ENTRY("a.b", "web"), "a.yaml:2:", "'namespace'"},
	{HEAD ENTRY("-a", "web"), "a.yaml:2:", "'namespace'"},
	{HEAD ENTRY("~", "web"), "a.yaml:2:", "'namespace'"},
	{HEAD ENTRY("[shop]", "web"), "a.yaml:2:", "'namespace'"},
	{HEAD ENTRY("shop", "\"*\""), "a.yaml:3:", "wildcards"},
	{HEAD ENTRY("shop", "a..b"), "a.yaml:3:", "'serviceAccount'"},
	{HEAD ENTRY("a", "b") ENTRY("shop", "Web"), "a.yaml:10:", "'serviceAccount'"},
	{HEAD ENTRY("shop", "web") "    accountId: 1234\n", "a.yaml:9:", "12 digits"},
	{HEAD ENTRY("shop", "web") "    accountId: 11112222333x\n", "a.yaml:9:", "12 digits"},
	{HEAD ENTRY("shop", "web") "    accountId:\n", "a.yaml:9:", "12 digits"},
	{HEAD ENTRY("shop", "web") "      expiration: 2026-12-01\n", "a.yaml:9:", "'expiration'"},
	{HEAD ENTRY("shop", "web") "      expiration: 2026-12-01T00:00:00+00:00\n",
	 "a.yaml:9:", "2026-12-01T00:00:00Z"},
	{HEAD ENTRY("shop", "web") ENTRY("x", "y") ENTRY("shop", "web"),
	 "a.yaml:17:", "the first is in line 3"},
	{HEAD "  - namespace: 'shop\n", "a.yaml:", "end of stream"},
	{HEAD "\t- namespace: shop\n", "a.yaml:2:", "token"},
	{HEAD "  - namespace: shop\n    " SECRET "\n", "a.yaml:", "':'"},
	{HEAD "  - " SECRET "\n", "a.yaml:2:", "expected a mapping with "},
	{HEAD "  - namespace: &a shop\n    serviceAccount: *a\n    role: r\n" KEYS,
	 "a.yaml:2:", "anchors"},
	{"associations: []\n---\nassociations: []\n", "a.yaml:3:", "a second document"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: a/" SECRET "\n" KEYS,
	 "a.yaml:4:", "'role'"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: ..\n" KEYS,
	 "a.yaml:4:", "'role'"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: r\n    static:\n"
	      "      accessKeyId: AKIA\n      secretAccessKey: \"" SECRET
	      "\\n\"\n      sessionToken: x\n",
	 "a.yaml:7:", "'secretAccessKey'"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: r\n    static:\n"
	      "      accessKeyId: AKIA\n      secretAccessKey: ~\n      sessionToken: x\n",
	 "a.yaml:7:", "'secretAccessKey'"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: r\n    static:\n"
	      "      accessKeyId: AKIA\n      secretAccessKey: [" SECRET
	      "]\n      sessionToken: x\n",
	 "a.yaml:7:", "'secretAccessKey'"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: r\n    static:\n"
	      "      accessKeyId: AKIA\n      secretAccessKey: x\n      sessionToken: \"\"\n",
	 "a.yaml:8:", "'sessionToken'"},
	{HEAD "  - namespace: shop\n    serviceAccount: web\n    role: r\n    static:\n"
	      "      accessKeyId: \"AK IA\"\n      secretAccessKey: x\n      sessionToken: x\n",
	 "a.yaml:6:", "'accessKeyId'"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cred_table *t = NULL;
		struct pc_err err = {};
		int r = parse(bad[i].text, &t, &err);

		if (r >= 0 || t)
			fail_msg("accepted:\n%s", bad[i].text);
		if (strncmp(err.msg, bad[i].where, strlen(bad[i].where)) != 0 ||
		    !strstr(err.msg, bad[i].what))
			fail_msg("%s\nfor:\n%s", err.msg, bad[i].text);
		if (strstr(err.msg, "wJalr") || strstr(err.msg, "EXAMPLEKEY") ||
		    strchr(err.msg, '\n'))
			fail_msg("message tells too much: %s", err.msg);
		if (!strchr(err.msg, ';'))
			fail_msg("message without a next step: %s", err.msg);
	}
}

static void test_long_values(void **state)
{
	char text[20000], token[9001], role[66];
	struct cred_table *t = NULL;

	(void)state;
	memset(token, 't', sizeof(token) - 1);
	token[sizeof(token) - 1] = '\0';
	memset(role, 'r', sizeof(role) - 1);
	role[65] = '\0';
	for (int extra = 0; extra < 2; extra++) {
		snprintf(text, sizeof(text),
			 HEAD "  - namespace: shop\n    serviceAccount: web\n    role: %s\n"
			      "    static:\n      accessKeyId: AKIA\n      secretAccessKey: x\n"
			      "      sessionToken: %s\n",
			 role + 1 - extra, token);
		assert_int_equal(parse(text, &t, NULL), extra ? -EINVAL : 0);
	}
	assert_string_equal(cred_table_find(t, "shop", "web")->keys.session_token, token);
	cred_table_unref(t);
}

static void test_static_provider(void **state)
{
	static const char text[] = HEAD ENTRY("shop", "web")
		ENTRY("shop", "fixed") "      expiration: 2026-01-02T03:04:05Z\n";
	struct cred_table *t = NULL;
	struct credentials c;

	(void)state;
	assert_int_equal(parse(text, &t, NULL), 0);
	assert_int_equal(cred_get(cred_table_find(t, "shop", "web"), 1000, &c), 0);
	assert_int_equal(c.expiration, 1000 + 6 * 3600);
	cred_table_unref(cred_table_ref(t));
	assert_string_equal(c.access_key_id, "AKIAEXAMPLE");
	cred_done(&c);
	assert_null(c.secret_access_key);
	assert_int_equal(cred_get(cred_table_find(t, "shop", "fixed"), 1767323044, &c), 0);
	assert_int_equal(c.expiration, 1767323045);
	cred_done(&c);
	assert_int_equal(cred_get(cred_table_find(t, "shop", "fixed"), 1767323045, &c),
			 -EKEYEXPIRED);
	cred_table_unref(t);
}

static void test_file(void **state)
{
	static const char text[] = HEAD ENTRY("shop", "web");
	char path[] = "/tmp/podcred-test-XXXXXX";
	int fd = mkstemp(path);
	struct cred_table *t = NULL;
	struct pc_err err = {};
	bool exposed = true;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(cred_table_load(path, &t, &exposed, &err), 0);
	assert_false(exposed);
	cred_table_unref(t);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(cred_table_load(path, &t, &exposed, &err), 0);
	assert_true(exposed);
	cred_table_unref(t);
	close(fd);
	unlink(path);
	assert_int_equal(cred_table_load(path, &t, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.msg, path));
	assert_int_equal(cred_table_load("/tmp", &t, NULL, &err), -EISDIR);
	assert_int_equal(cred_table_load("/dev/null", &t, NULL, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_empty_list),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_static_provider),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
