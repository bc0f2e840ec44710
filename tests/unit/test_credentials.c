// SPDX-License-Identifier: Apache-2.0
/* MODULES: credentials aws yaml crypto base */
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

/* ---- entries whose credentials are made elsewhere ---- */

#define ARN	 "arn:aws:iam::111122223333:role/"
#define ROLE	 "    roleArn: " ARN "app\n"
#define BASE(ns) HEAD "  - namespace: " ns "\n    serviceAccount: web\n"
#define SHOP	 BASE("shop")

static void test_sources(void **state)
{
	static const char text[] = SHOP ROLE
		"  - namespace: a\n    serviceAccount: b\n    role: r\n"
		"    exec:\n      command: [/bin/keys, -p, '']\n      environment: {A_1: b c, B: "
		"''}\n"
		"  - namespace: c\n    serviceAccount: d\n    eksAuth: {}\n"
		"  - namespace: e\n    serviceAccount: f\n    webIdentity: {audience: aud}\n" ROLE
		"    durationSeconds: 43200\n    sessionName: serviceAccount\n"
		"  - namespace: g\n    serviceAccount: h\n    sts: {}\n" ROLE
		"    targetRoleArn: arn:aws-cn:iam::444455556666:role/a/b/there\n"
		"    externalId: 'a/b:c@d'\n    tags: {team: shop, 'Caf\303\251 \303\274': ''}\n"
		"    disableSessionTags: true\n    policy: '{\"Version\": \"2012-10-17\"}'\n";
	const struct cred_association *a;
	struct cred_table *t = NULL;
	struct pc_err err = {};

	(void)state;
	if (parse(text, &t, &err) < 0)
		fail_msg("%s", err.msg);
	a = cred_table_find(t, "shop", "web");
	assert_int_equal(a->origin, CRED_ORIGIN_FILE);
	assert_int_equal(a->source, CRED_SOURCE_DEFAULT);
	assert_string_equal(a->role_arn, ARN "app");
	assert_string_equal(a->role, "app");
	assert_string_equal(a->account_id, "111122223333");
	assert_int_equal(a->duration, 3600);
	assert_int_equal(a->session_form, CRED_SESSION_POD);
	a = cred_table_find(t, "a", "b");
	assert_int_equal(a->source, CRED_SOURCE_EXEC);
	assert_string_equal(a->exec.command[0], "/bin/keys");
	assert_string_equal(a->exec.command[2], "");
	assert_null(a->exec.command[3]);
	assert_int_equal(a->exec.n_environment, 2);
	assert_string_equal(a->exec.environment[0].key, "A_1");
	assert_string_equal(a->exec.environment[0].value, "b c");
	a = cred_table_find(t, "c", "d");
	assert_int_equal(a->source, CRED_SOURCE_EKS_AUTH);
	assert_null(a->role);
	a = cred_table_find(t, "e", "f");
	assert_int_equal(a->source, CRED_SOURCE_WEB_IDENTITY);
	assert_string_equal(a->audience, "aud");
	assert_int_equal(a->duration, 43200);
	assert_int_equal(a->session_form, CRED_SESSION_SERVICE_ACCOUNT);
	a = cred_table_find(t, "g", "h");
	assert_int_equal(a->source, CRED_SOURCE_STS);
	assert_string_equal(a->role, "there");
	assert_string_equal(a->account_id, "444455556666");
	assert_string_equal(a->external_id, "a/b:c@d");
	assert_int_equal(a->n_tags, 2);
	assert_string_equal(a->tags[1].key, "Caf\303\251 \303\274");
	assert_true(a->disable_session_tags);
	cred_table_unref(t);
}

static const struct {
	const char *text;
	const char *where;
	const char *what;
} bad_sources[] = {
	{SHOP "    role: r\n", "a.yaml:2:", "missing key 'static'"},
	{SHOP, "a.yaml:2:", "missing key 'roleArn'"},
	{SHOP "    sts: {}\n", "a.yaml:2:", "missing key 'roleArn'"},
	{SHOP "    roleArn: app\n", "a.yaml:4:", "'roleArn'"},
	{SHOP "    roleArn: arn:aws:iam::111122223333:user/app\n", "a.yaml:4:", "'roleArn'"},
	{SHOP "    roleArn: arn:aws:iam::11112222333:role/app\n", "a.yaml:4:", "'roleArn'"},
	{SHOP "    roleArn: arn:aws:iam:eu-west-1:111122223333:role/app\n",
	 "a.yaml:4:", "'roleArn'"},
	{SHOP "    roleArn: " ARN "a/..\n", "a.yaml:4:", "'roleArn'"},
	{SHOP "    roleArn: " ARN "a/\n", "a.yaml:4:", "'roleArn'"},
	{SHOP ROLE "    role: app\n", "a.yaml:5:", "'role' beside 'roleArn'"},
	{SHOP ROLE "    accountId: '111122223333'\n", "a.yaml:5:", "'accountId' beside"},
	{SHOP ROLE "    sts: {}\n    webIdentity: {}\n", "a.yaml:6:", "'webIdentity' beside 'sts'"},
	{SHOP ROLE "    sts: {region: x}\n", "a.yaml:5:", "'sts' has no keys"},
	{SHOP ROLE "    eksAuth: {}\n",
	 "a.yaml:4:", "'roleArn' does not go with the source eksAuth"},
	{SHOP "    role: r\n    eksAuth: {}\n", "a.yaml:2:", "'role' does not go"},
	{SHOP "    eksAuth: {}\n    tags: {a: b}\n", "a.yaml:5:", "'tags' does not go"},
	{SHOP ROLE "    exec: {command: [/a]}\n", "a.yaml:4:", "'roleArn' does not go"},
	{SHOP "    exec: {command: [/a]}\n", "a.yaml:2:", "missing key 'role'"},
	{SHOP "    role: r\n    exec: {command: [a]}\n", "a.yaml:5:", "absolute path"},
	{SHOP "    role: r\n    exec: {command: []}\n", "a.yaml:5:", "'command'"},
	{SHOP "    role: r\n    exec: {command: [/a, \"b\\n\"]}\n", "a.yaml:5:", "printable text"},
	{SHOP "    role: r\n    exec: {command: [/a], environment: {1A: b}}\n",
	 "a.yaml:5:", "bad name in 'environment'"},
	{SHOP "    role: r\n    exec: {command: [/a], environment: {A: b, A: c}}\n",
	 "a.yaml:5:", "a name in 'environment' is there twice"},
	{SHOP "    role: r\n    exec: {environment: {A: b}}\n",
	 "a.yaml:5:", "missing key 'command'"},
	{SHOP ROLE "    durationSeconds: 899\n", "a.yaml:5:", "900"},
	{SHOP ROLE "    durationSeconds: 43201\n", "a.yaml:5:", "43200"},
	{SHOP ROLE "    durationSeconds: 1h\n", "a.yaml:5:", "durationSeconds"},
	{SHOP ROLE "    targetRoleArn: " ARN "b\n    durationSeconds: 3601\n",
	 "a.yaml:6:", "an hour"},
	{SHOP ROLE "    sessionName: random\n", "a.yaml:5:", "pod, serviceAccount or eks"},
	{SHOP ROLE "    externalId: a\n", "a.yaml:5:", "'externalId'"},
	{SHOP ROLE "    externalId: a b\n", "a.yaml:5:", "'externalId'"},
	{SHOP ROLE "    policy: '{}'\n", "a.yaml:5:", "disableSessionTags: true"},
	{SHOP ROLE "    disableSessionTags: yes\n", "a.yaml:5:", "false or true"},
	{SHOP ROLE "    disableSessionTags: true\n    policy: '[]'\n",
	 "a.yaml:6:", "one JSON object"},
	{SHOP ROLE "    disableSessionTags: true\n    policy: '{'\n",
	 "a.yaml:6:", "one JSON object"},
	{SHOP ROLE "    disableSessionTags: true\n    policy: '{\"a\": 1, \"a\": 2}'\n",
	 "a.yaml:6:", "one JSON object"},
	{SHOP ROLE "    disableSessionTags: true\n    policy: '{\"\304\200\": 1}'\n",
	 "a.yaml:6:", "one JSON object"},
	{SHOP ROLE "    disableSessionTags: true\n    policy: {}\n", "a.yaml:6:", "as a string"},
	{SHOP ROLE "    webIdentity: {}\n    externalId: abc\n", "a.yaml:2:", "'externalId'"},
	{SHOP ROLE "    webIdentity: {}\n    tags: {a: b}\n", "a.yaml:2:", "'tags'"},
	{SHOP ROLE "    webIdentity: {audience: a b}\n", "a.yaml:5:", "'audience'"},
	{SHOP ROLE "    tags: [a]\n", "a.yaml:5:", "no mapping"},
	{SHOP ROLE "    tags: {aws:x: b}\n", "a.yaml:5:", "bad name in 'tags'"},
	{SHOP ROLE "    tags: {AWS:x: b}\n", "a.yaml:5:", "bad name in 'tags'"},
	{SHOP ROLE "    tags: {'': b}\n", "a.yaml:5:", "bad name in 'tags'"},
	{SHOP ROLE "    tags: {a*: b}\n", "a.yaml:5:", "bad name in 'tags'"},
	{SHOP ROLE "    tags: {a: 'b#'}\n", "a.yaml:5:", "bad value in 'tags'"},
	{SHOP ROLE "    tags: {a: \"b\\t\"}\n", "a.yaml:5:", "bad value in 'tags'"},
	{SHOP ROLE "    tags: {a: \"b\\0\"}\n", "a.yaml:5:", "bad value in 'tags'"},
	{SHOP ROLE "    tags: {team: a, team: b}\n", "a.yaml:5:", "is there twice; "},
	{SHOP ROLE "    tags: {team: a, Team: b}\n", "a.yaml:5:", "but for upper and lower case"},
	{SHOP ROLE "    tags: {\303\244: a, \303\204: b}\n",
	 "a.yaml:5:", "but for upper and lower"},
	{SHOP ROLE "    tags: {kubernetes-namespace: a}\n", "a.yaml:2:", "podcred sets itself"},
	{SHOP ROLE "    tags: {Kubernetes-Namespace: a}\n    disableSessionTags: true\n",
	 "a.yaml:2:", "podcred sets itself"},
};

static void test_bad_sources(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_sources); i++) {
		const char *text = bad_sources[i].text;
		struct cred_table *t = NULL;
		struct pc_err err = {};

		if (parse(text, &t, &err) >= 0 || t)
			fail_msg("accepted:\n%s", text);
		if (strncmp(err.msg, bad_sources[i].where, strlen(bad_sources[i].where)) != 0 ||
		    !strstr(err.msg, bad_sources[i].what) ||
		    !(strchr(err.msg, ';') || strstr(err.msg, " is not ")))
			fail_msg("%s\nfor:\n%s", err.msg, text);
	}
}

/* n tags, of which the first has a key and a value of these lengths. */
static int parse_tags(size_t n, size_t key, size_t value, bool disable)
{
	char text[65536];
	struct cred_table *t = NULL;
	size_t len = (size_t)snprintf(text, sizeof(text),
				      SHOP ROLE "    disableSessionTags: %s\n    tags:\n      ",
				      disable ? "true" : "false");
	int r;

	for (size_t i = 0; i < key; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "\303\244");
	len += (size_t)snprintf(text + len, sizeof(text) - len, ": '");
	for (size_t i = 0; i < value; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "v");
	len += (size_t)snprintf(text + len, sizeof(text) - len, "'\n");
	for (size_t i = 1; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "      t%zu: v\n", i);
	r = parse(text, &t, NULL);
	cred_table_unref(t);
	return r;
}

/* Characters are counted, not bytes. */
static void test_tag_limits(void **state)
{
	(void)state;
	assert_int_equal(parse_tags(1, 128, 256, false), 0);
	assert_int_equal(parse_tags(1, 129, 1, false), -EINVAL);
	assert_int_equal(parse_tags(1, 1, 257, false), -EINVAL);
	assert_int_equal(parse_tags(44, 1, 1, false), 0);
	assert_int_equal(parse_tags(45, 1, 1, false), -EINVAL);
	assert_int_equal(parse_tags(50, 1, 1, true), 0);
	assert_int_equal(parse_tags(51, 1, 1, true), -EINVAL);
}

static void test_policy_limit(void **state)
{
	char text[4096];

	(void)state;
	for (int extra = 0; extra < 2; extra++) {
		struct cred_table *t = NULL;

		snprintf(text, sizeof(text),
			 SHOP ROLE "    disableSessionTags: true\n    policy: '{%*s}'\n",
			 2046 + extra, "");
		assert_int_equal(parse(text, &t, NULL), extra ? -EINVAL : 0);
		cred_table_unref(t);
	}
}

/* What a tenant may write has no keys that are the operator's, and no lines. */
static void test_spec(void **state)
{
	static const struct {
		const char *spec, *what;
	} rows[] = {
		{"{}", "missing key 'roleArn'"},
		{"", "the spec is empty"},
		{"[]", "expected a mapping"},
		{"{\"roleArn\": \"app\"}", "bad value of 'roleArn'"},
		{"{\"roleArn\": \"" ARN "app\", \"exec\": {\"command\": [\"/bin/sh\"]}}",
		 "unknown key \"exec\""},
		{"{\"roleArn\": \"" ARN "app\", \"static\": {}}", "unknown key \"static\""},
		{"{\"roleArn\": \"" ARN "app\", \"sts\": {}}", "unknown key \"sts\""},
		{"{\"roleArn\": \"" ARN "app\", \"namespace\": \"bank\"}",
		 "unknown key \"namespace\""},
	};
	static const char good[] = "{\"roleArn\": \"" ARN "app\", \"durationSeconds\": 1800, "
				   "\"disableSessionTags\": true, \"tags\": {\"a\": \"b\"}}";
	struct cred_table *t = NULL;
	struct pc_err err = {};

	(void)state;
	if (cred_table_parse_spec("shop/web", CRED_ORIGIN_OBJECT, "shop", "web", good, strlen(good),
				  &t, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(cred_table_count(t), 1);
	assert_int_equal(cred_table_at(t, 0)->origin, CRED_ORIGIN_OBJECT);
	assert_int_equal(cred_table_at(t, 0)->duration, 1800);
	assert_ptr_equal(cred_table_find(t, "shop", "web"), cred_table_at(t, 0));
	cred_table_unref(t);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t = NULL;
		if (cred_table_parse_spec("shop/web", CRED_ORIGIN_OBJECT, "shop", "web",
					  rows[i].spec, strlen(rows[i].spec), &t, &err) >= 0)
			fail_msg("accepted: %s", rows[i].spec);
		if (strncmp(err.msg, "shop/web: ", 10) != 0 || !strstr(err.msg, rows[i].what))
			fail_msg("%s\nfor: %s", err.msg, rows[i].spec);
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
		cmocka_unit_test(test_good),	     cmocka_unit_test(test_empty_list),
		cmocka_unit_test(test_bad),	     cmocka_unit_test(test_sources),
		cmocka_unit_test(test_bad_sources),  cmocka_unit_test(test_tag_limits),
		cmocka_unit_test(test_policy_limit), cmocka_unit_test(test_spec),
		cmocka_unit_test(test_long_values),  cmocka_unit_test(test_static_provider),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
