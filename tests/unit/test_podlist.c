// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/kube/podlist.c user/kube/podlist_watch.c user/kube/pod_json.c user/kube/yaml_json.c user/identity/pod.c user/base/err.c user/base/file.c user/base/parse.c */
/* LIBS: -ljansson -lyaml */
/* Pod lists as kubectl and kubelet write them, as people write them, and as nobody should. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cleanup.h"
#include "err.h"
#include "file.h"
#include "pod.h"
#include "podlist.h"
#include "yaml_json.h"

#define UID_1	"00000000-0000-0000-0000-000000000001"
#define HASH	"2732ca68f6358eba7703fb6f82a25c94"
#define META	"\"metadata\":{\"namespace\":\"shop\",\"name\":\"web-0\",\"uid\":\"" UID_1 "\"}"
#define LIST(x) "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[" x "]}"
#define NOTE(x)                                                                                    \
	LIST("{\"metadata\":{\"namespace\":\"a\",\"name\":\"b\",\"uid\":\"" UID_1                  \
	     "\",\"annotations\":{" x "}}}")
#define YAML_META "metadata: {namespace: shop, name: web-0, uid: " UID_1 "}\n"

struct good_case {
	const char *text;
	size_t n;
	struct pod_name first;
};

static const struct good_case good[] = {
	{LIST(""), 0, {0}},
	{"{\"kind\":\"PodList\",\"items\":null}", 0, {0}},
	{LIST("{" META ",\"spec\":{\"serviceAccountName\":\"web\",\"hostNetwork\":true}}"),
	 1,
	 {true, UID_1, "shop", "web-0", "web", ""}},
	{LIST("{" META "},{" META "}"), 2, {false, UID_1, "shop", "web-0", "default", ""}},
	{"{\"kind\":\"Pod\"," META ",\"spec\":null}",
	 1,
	 {false, UID_1, "shop", "web-0", "default", ""}},
	{"\xef\xbb\xbf \n{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"," META "}]}\n",
	 1,
	 {false, UID_1, "shop", "web-0", "default", ""}},
	/* static pods: by annotation, by the kubelet's own uid; nonsense is no hash */
	{NOTE("\"kubernetes.io/config.mirror\":\"" HASH "\""),
	 1,
	 {false, UID_1, "a", "b", "", HASH}},
	{NOTE("\"kubernetes.io/config.hash\":\"" HASH "\""),
	 1,
	 {false, UID_1, "a", "b", "default", HASH}},
	{NOTE("\"kubernetes.io/config.hash\":\"zz\",\"x\":\"" HASH "\""),
	 1,
	 {false, UID_1, "a", "b", "default", ""}},
	{NOTE("\"kubernetes.io/config.hash\":[1]"), 1, {false, UID_1, "a", "b", "default", ""}},
	{NOTE("\"kubernetes.io/config.mirror\":\"" UID_1 "\""),
	 1,
	 {false, UID_1, "a", "b", "", ""}},
	{LIST("{\"metadata\":{\"namespace\":\"a\",\"name\":\"b.c\",\"uid\":\"" HASH "\"}}"),
	 1,
	 {false, HASH, "a", "b.c", "", ""}},
	/* YAML */
	{"kind: Pod\n" YAML_META, 1, {false, UID_1, "shop", "web-0", "default", ""}},
	{"# a comment\n---\napiVersion: v1\nkind: PodList\nitems:\n- metadata:\n    uid: " UID_1
	 "\n    name: '123'\n    namespace: \"shop\"\n  spec:\n    hostNetwork: true\n"
	 "    serviceAccountName: ~\n    priority: -5\n...\n",
	 1,
	 {true, UID_1, "shop", "123", "default", ""}},
	{"kind: List\nitems: []\n", 0, {0}},
	{"kind: Pod\nmetadata: {namespace: !!str 1, name: ! 2, "
	 "uid: 12345678901234567890123456789012}\n",
	 1,
	 {false, "12345678901234567890123456789012", "1", "2", "", ""}},
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const struct pod_name *want = &good[i].first;
		_cleanup_free_ struct pod_name *pods = NULL;
		struct pc_err err = {""};
		size_t n = 99;

		if (podlist_decode(good[i].text, strlen(good[i].text), "f", &pods, &n, &err) < 0)
			fail_msg("%s: %s", good[i].text, err.msg);
		assert_int_equal(n, good[i].n);
		if (n == 0) {
			assert_null(pods);
			continue;
		}
		assert_string_equal(pods[0].uid, want->uid);
		assert_string_equal(pods[0].name_space, want->name_space);
		assert_string_equal(pods[0].name, want->name);
		assert_string_equal(pods[0].service_account, want->service_account);
		assert_string_equal(pods[0].config_hash, want->config_hash);
		assert_int_equal(pods[0].host_network, want->host_network);
	}
}

#define POD(ns, name, uid)                                                                         \
	LIST("{\"metadata\":{\"namespace\":" ns ",\"name\":" name ",\"uid\":" uid "}}")
#define SPEC(x)	  LIST("{" META ",\"spec\":" x "}")
#define Q(x)	  "\"" x "\""
#define TEN	  "aaaaaaaaaa"
#define SIXTY	  TEN TEN TEN TEN TEN TEN
#define TWO_FORTY SIXTY SIXTY SIXTY SIXTY

static const struct {
	const char *text, *want; /* part of the message */
} bad[] = {
	{"", "is empty"},
	{" \n\t", "is empty"},
	{"{", "line 1: not JSON"},
	{"{}", "kind is \"\", not PodList"},
	{"[]", "is no mapping"},
	{"x", "is no mapping"},
	{"{\"kind\":\"PodList\"}", "items is missing"},
	{"{\"kind\":\"PodList\",\"items\":{}}", "items is missing or no list"},
	{"{\"kind\":\"Service\"}", "kind is \"Service\", not PodList"},
	{"{\"kind\":\"Pod\",\"apiVersion\":\"v2\"}", "apiVersion is not v1"},
	{"{\"kind\":\"Pod\",\"kind\":\"Pod\"," META "}", "duplicate"},
	{LIST("") "x", "not JSON"},
	{"{\"kind\":\"Pod\\u0000\"}", "not JSON"},
	{"{\"kind\":\"a\\nb\"}", "kind is \"a?b\""},
	{"{\n\"kind\":\"List\",\n\"it\nems\":[]}", "line 3: not JSON"},
	{LIST("1"), "f: items[0]: is no mapping"},
	{LIST("{" META "},{}"), "f: items[1]: metadata is missing"},
	{LIST("{\"kind\":\"Node\"}"), "items[0]: kind is \"Node\""},
	{"{\"kind\":\"List\",\"items\":[{" META "}]}", "items[0]: kind is \"\""},
	{POD("1", Q("b"), Q(UID_1)),
	 "items[0]: metadata.namespace is a number; write it as a string"},
	{POD("null", Q("b"), Q(UID_1)), "metadata.namespace is missing"},
	{POD(Q(""), Q("b"), Q(UID_1)), "metadata.namespace is \"\""},
	{POD(Q("A"), Q("b"), Q(UID_1)), "metadata.namespace is \"A\""},
	{POD(Q("a.b"), Q("b"), Q(UID_1)), "metadata.namespace"},
	{POD(Q("-a"), Q("b"), Q(UID_1)), "metadata.namespace"},
	{POD(Q("a-"), Q("b"), Q(UID_1)), "metadata.namespace"},
	{POD(Q(SIXTY "aaaa"), Q("b"), Q(UID_1)), "metadata.namespace"},
	{POD(Q("a"), "null", Q(UID_1)), "metadata.name is missing"},
	{POD(Q("a"), Q("../b"), Q(UID_1)), "metadata.name is \"../b\""},
	{POD(Q("a"), Q("b."), Q(UID_1)), "metadata.name"},
	{POD(Q("a"), Q(".b"), Q(UID_1)), "metadata.name"},
	{POD(Q("a"), Q("b..c"), Q(UID_1)), "metadata.name"},
	{POD(Q("a"), Q("b-.c"), Q(UID_1)), "metadata.name"},
	{POD(Q("a"), Q(TWO_FORTY TEN "abcd"), Q(UID_1)), "metadata.name"},
	{POD(Q("a"), Q("\xc3\xa4"), Q(UID_1)), "metadata.name is \"?"},
	{POD(Q("a"), Q("b\\\"\\u001b[31m\\n"), Q(UID_1)), "metadata.name is \"b??[31m?\""},
	{POD(Q("a"), Q("b"), "null"), "metadata.uid is missing; take the list from the API"},
	{POD(Q("a"), Q("b"), Q("1234")), "metadata.uid is \"1234\", not a pod uid"},
	{POD(Q("a"), Q("b"), Q("00000000_0000_0000_0000_000000000001")), "metadata.uid"},
	{POD(Q("a"), Q("b"), "{}"), "metadata.uid is a mapping"},
	{SPEC("[]"), "spec is a list"},
	{SPEC("{\"hostNetwork\":\"true\"}"), "spec.hostNetwork is a string; write true or false"},
	{SPEC("{\"serviceAccountName\":\"a/b\"}"), "spec.serviceAccountName is \"a/b\""},
	{SPEC("{\"serviceAccountName\":\"\"}"), "spec.serviceAccountName"},
	{SPEC("{\"serviceAccountName\":true}"), "spec.serviceAccountName is a boolean"},
	/* YAML */
	{"kind: Pod\n" YAML_META "---\nkind: Pod\n" YAML_META, "line 3: a second YAML document"},
	{"a: &x 1\n", "line 1: anchors and aliases"},
	{"a: 1\nb: *x\n", "line 2: anchors and aliases"},
	{"a: &x [*x]\n", "anchors and aliases"},
	{"&x a: 1\n", "line 1: a key"},
	{"a: 1\na: 2\n", "line 2: a key that this mapping has already"},
	{"? [a]\n: 1\n", "line 1: a key that is no plain text"},
	{"\"a\\0b\": 1\n", "line 1: a key that is no plain text"},
	{"a: !!binary aGk=\n", "line 1: a tag"},
	{"a: !x y\n", "line 1: a tag"},
	{"a:\n\t- b\n", "line 2: not YAML"},
	{"a: [\n", "not YAML"},
	{"kind: Pod\xff\n", "byte 9: "},
	{"kind: Pod\nmetadata: {namespace: a, name: 12, uid: " UID_1 "}\n",
	 "metadata.name is a number"},
	{"kind: Pod\nmetadata: {namespace: a, name: true, uid: " UID_1 "}\n",
	 "metadata.name is a boolean"},
	{"kind: Pod\nmetadata: {namespace: a, name: \"b\\0\", uid: " UID_1 "}\n", "metadata.name"},
	{"--- null\n", "is no mapping"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pod_name *pods = NULL;
		struct pc_err err = {""};
		size_t n = 99;
		int r = podlist_decode(bad[i].text, strlen(bad[i].text), "f", &pods, &n, &err);

		if (r != -EINVAL || !strstr(err.msg, bad[i].want) ||
		    strncmp(err.msg, "f: ", 3) != 0)
			fail_msg("%s: %d %s", bad[i].text, r, err.msg);
		assert_null(strchr(err.msg, '\n'));
		assert_null(pods);
		assert_int_equal(n, 99);
	}
}

/* The same values as JSON has them: what a scalar without quotes may mean. */
static void test_yaml_scalars(void **state)
{
	static const char yaml[] = "[~, null, Null, true, FALSE, yes, 0, -7, +3, 007, 1.5, 1e3, "
				   "0x1f, 9223372036854775807, 9223372036854775808, '1', "
				   "\"true\", a b, '', {k: , l: [x]}]";
	static const char json[] = "[null, null, null, true, false, \"yes\", 0, -7, 3, 7, "
				   "\"1.5\", \"1e3\", \"0x1f\", 9223372036854775807, "
				   "\"9223372036854775808\", \"1\", \"true\", \"a b\", \"\", "
				   "{\"k\": null, \"l\": [\"x\"]}]";
	json_t *got = NULL, *want = json_loads(json, 0, NULL);
	struct pc_err err = {""};

	(void)state;
	if (yaml_json_load(yaml, sizeof(yaml) - 1, &got, &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(want);
	assert_true(json_equal(got, want));
	json_decref(got);
	json_decref(want);
}

static void test_depth(void **state)
{
	struct pc_err err = {""};
	struct pod_name *pods;
	char text[4096];
	json_t *json;
	size_t n;

	(void)state;
	memset(text, '[', sizeof(text));
	assert_int_equal(yaml_json_load(text, sizeof(text), &json, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "nested more than"));
	memset(text + YAML_JSON_DEPTH, ']', YAML_JSON_DEPTH);
	assert_int_equal(yaml_json_load(text, 2 * YAML_JSON_DEPTH, &json, &err), 0);
	json_decref(json);
	for (size_t i = 0; i + 5 <= sizeof(text); i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_int_equal(podlist_decode(text, sizeof(text), "f", &pods, &n, &err), -EINVAL);
}

/* Every beginning of a good text, and mutants of it: an answer, never a crash nor a leak. */
static void test_mutants(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < 30000; round++) {
		const char *from = good[(size_t)rand_r(&seed) % ARRAY_SIZE(good)].text;
		size_t len = strlen(from), n = 0;
		_cleanup_free_ char *text = malloc(len + 1);
		_cleanup_free_ struct pod_name *pods = NULL;
		struct pc_err err = {""};

		assert_non_null(text);
		memcpy(text, from, len);
		for (int k = rand_r(&seed) % 4; k > 0 && len > 0; k--) {
			size_t at = (size_t)rand_r(&seed) % len;

			if (rand_r(&seed) % 4 == 0)
				len = at;
			else
				text[at] = "{}[]\",:-&*!'#\n \0\xff"[(size_t)rand_r(&seed) % 17];
		}
		if (podlist_decode(text, len, "f", &pods, &n, &err) < 0) {
			assert_true(strncmp(err.msg, "f: ", 3) == 0 && !strchr(err.msg, '\n'));
			continue;
		}
		for (size_t i = 0; i < n; i++)
			assert_true(pods[i].uid[0] && pods[i].name[0] && pods[i].name_space[0]);
	}
}

static void test_files(void **state)
{
	char dir[] = "/tmp/podcred-podlist-XXXXXX", path[64], data[64], link[64], temp[64];
	const char *text = good[2].text;
	struct pod_name *pods = NULL;
	struct pc_err err = {""};
	size_t n;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pods.json", dir);
	snprintf(data, sizeof(data), "%s/..data_1", dir);
	snprintf(link, sizeof(link), "%s/..data", dir);
	snprintf(temp, sizeof(temp), "%s/..data_tmp", dir);
	assert_int_equal(podlist_load(path, &pods, &n, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "pods.json: cannot read: No such file"));
	fd = podlist_watch_open(path);
	assert_true(fd >= 0);
	assert_int_equal(podlist_watch_drain(fd), 0);
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
	assert_int_equal(podlist_watch_drain(fd), 1);
	assert_int_equal(podlist_watch_drain(fd), 0);
	assert_int_equal(podlist_load(path, &pods, &n, &err), 0);
	assert_int_equal(n, 1);
	free(pods);
	assert_int_equal(truncate(path, (off_t)PODLIST_MAX + 1), 0);
	assert_int_equal(podlist_load(path, &pods, &n, &err), -EFBIG);
	assert_non_null(strstr(err.msg, "64 MiB"));
	unlink(path);
	/* A ConfigMap volume: the file is a link into ..data, which is swapped by rename. */
	assert_int_equal(mkdir(data, 0700), 0);
	assert_int_equal(symlink("..data_1", link), 0);
	assert_int_equal(symlink("..data/pods.json", path), 0);
	assert_int_equal(podlist_watch_drain(fd), 1);
	assert_int_equal(symlink("..data_2", temp), 0);
	assert_int_equal(podlist_watch_drain(fd), 1);
	assert_int_equal(rename(temp, link), 0);
	assert_int_equal(podlist_watch_drain(fd), 1);
	assert_int_equal(podlist_load(path, &pods, &n, &err), -ENOENT);
	unlink(path);
	unlink(link);
	rmdir(data);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(podlist_watch_drain(fd), -ENOENT);
	close(fd);
	assert_int_equal(podlist_watch_open(path), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	     cmocka_unit_test(test_bad),
		cmocka_unit_test(test_yaml_scalars), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_mutants),	     cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
