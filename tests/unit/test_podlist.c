// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube yaml identity base */
/* LIBS: -ljansson -lyaml */
/* Pod lists as kubectl and kubelet write them, as people write them, and as nobody should. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "identity/pod.h"
#include "kube/podlist.h"
#include "kube/project.h"

#define UID_1	"00000000-0000-0000-0000-000000000001"
#define UID_2	"00000000-0000-0000-0000-00000000000a"
#define UID_3	"00000000-0000-0000-0000-00000000000b"
#define HASH	"2732ca68f6358eba7703fb6f82a25c94"
#define META	"\"metadata\":{\"namespace\":\"shop\",\"name\":\"web-0\",\"uid\":\"" UID_1 "\"}"
#define LIST(x) "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[" x "]}"
#define NOTE(x)                                                                                    \
	LIST("{\"metadata\":{\"namespace\":\"a\",\"name\":\"b\",\"uid\":\"" UID_1                  \
	     "\",\"annotations\":{" x "}}}")
#define SPEC(x)	  LIST("{" META ",\"spec\":" x "}")
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
	 {true, UID_1, "shop", "web-0", "web", "", .running = false}},
	{LIST("{" META "},{" META "}"),
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = false}},
	{"{\"kind\":\"Pod\"," META ",\"spec\":null}",
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = false}},
	{"\xef\xbb\xbf \n{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\"," META "}]}\n",
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = false}},
	/* what runs, by the kubelet's word; what is odd does not */
	{LIST("{" META ",\"status\":{\"containerStatuses\":[{\"state\":{\"waiting\":{}}},"
	      "{\"state\":{\"running\":{\"startedAt\":\"x\"}}}]}}"),
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = true}},
	{LIST("{" META ",\"status\":{\"containerStatuses\":[{\"state\":{\"running\":null}},7]}}"),
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = false}},
	{LIST("{" META ",\"status\":{\"containerStatuses\":{\"state\":{\"running\":{}}}}}"),
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = false}},
	{LIST("{" META ",\"status\":7}"),
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = false}},
	/* static pods: by annotation, by the kubelet's own uid; nonsense is no hash */
	{NOTE("\"kubernetes.io/config.mirror\":\"" HASH "\""),
	 1,
	 {false, UID_1, "a", "b", "", HASH, .running = false}},
	{NOTE("\"kubernetes.io/config.hash\":\"" HASH "\""),
	 1,
	 {false, UID_1, "a", "b", "default", "", .running = false}},
	{NOTE("\"kubernetes.io/config.hash\":\"" HASH "\",\"kubernetes.io/config.mirror\":\"zz\""),
	 1,
	 {false, UID_1, "a", "b", "", HASH, .running = false}},
	{NOTE("\"kubernetes.io/config.mirror\":[1],\"x\":\"" HASH "\""),
	 1,
	 {false, UID_1, "a", "b", "", "", .running = false}},
	{NOTE("\"kubernetes.io/config.mirror\":null"),
	 1,
	 {false, UID_1, "a", "b", "default", "", .running = false}},
	{NOTE("\"kubernetes.io/config.mirror\":\"" UID_2 "\""),
	 1,
	 {false, UID_1, "a", "b", "", UID_2, .running = false}},
	/* which of the two counts: neither, but a mirror pod it is */
	{NOTE("\"kubernetes.io/config.mirror\":\"" HASH "\",\"kubernetes.io/config.mirror\":\"" HASH
	      "\""),
	 1,
	 {false, UID_1, "a", "b", "", "", .running = false}},
	/* no mirror pod has a service account */
	{LIST("{\"metadata\":{\"namespace\":\"a\",\"name\":\"b\",\"uid\":\"" UID_1
	      "\",\"annotations\":{\"kubernetes.io/config.mirror\":\"" UID_2
	      "\"}},\"spec\":{\"serviceAccountName\":\"c\"}}"),
	 1,
	 {false, UID_1, "a", "b", "c", "", .running = false}},
	{SPEC("{\"serviceAccountName\":\"\"}"),
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = false}},
	{LIST("{\"metadata\":{\"namespace\":\"a\",\"name\":\"b.c\",\"uid\":\"" HASH "\"}}"),
	 1,
	 {false, HASH, "a", "b.c", "", "", .running = false}},
	/* YAML */
	{"kind: Pod\n" YAML_META,
	 1,
	 {false, UID_1, "shop", "web-0", "default", "", .running = false}},
	{"# a comment\n---\napiVersion: v1\nkind: PodList\nitems:\n- metadata:\n    uid: " UID_1
	 "\n    name: '123'\n    namespace: \"shop\"\n  spec:\n    hostNetwork: true\n"
	 "    serviceAccountName: ~\n    priority: -5\n...\n",
	 1,
	 {true, UID_1, "shop", "123", "default", "", .running = false}},
	{"kind: List\nitems: []\n", 0, {0}},
	{"kind: Pod\nmetadata: {namespace: !!str 1, name: ! 2, "
	 "uid: 12345678901234567890123456789012}\n",
	 1,
	 {false, "12345678901234567890123456789012", "1", "2", "", "", .running = false}},
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const struct pod_name *want = &good[i].first;
		_cleanup_(kube_podlist_done) struct podlist list = {};
		const struct pod_name *pods;
		struct pc_err err = {""};

		if (kube_podlist_decode(good[i].text, strlen(good[i].text), "f", &list, &err) < 0)
			fail_msg("%s: %s", good[i].text, err.msg);
		assert_int_equal(list.n, good[i].n);
		assert_int_equal(list.skipped, 0);
		assert_string_equal(list.why, "");
		pods = list.pods;
		if (list.n == 0) {
			assert_null(pods);
			continue;
		}
		assert_string_equal(pods[0].uid, want->uid);
		assert_string_equal(pods[0].name_space, want->name_space);
		assert_string_equal(pods[0].name, want->name);
		assert_string_equal(pods[0].service_account, want->service_account);
		assert_string_equal(pods[0].config_hash, want->config_hash);
		assert_int_equal(pods[0].host_network, want->host_network);
		assert_int_equal(pods[0].running, want->running);
	}
}

/* ---- what the policy asks for ---- */

#define LABELS(x)                                                                                  \
	LIST("{\"metadata\":{\"namespace\":\"a\",\"name\":\"b\",\"uid\":\"" UID_1                  \
	     "\",\"labels\":" x "}}")
#define YAML_POD(x) "kind: Pod\nmetadata: {namespace: a, name: b, uid: " UID_1 ", " x "}\n"

static const struct {
	const char *text;
	const char *want; /* of the labels, with newlines for NULs; NULL: not known */
} labels[] = {
	{LABELS("{}"), ""},
	{LABELS("null"), ""},
	{LABELS("{\"app\":\"web\",\"app.kubernetes.io/name\":\"\"}"),
	 "app\nweb\napp.kubernetes.io/name\n\n"},
	{LABELS("{\"a\\u0062\":\"\\u0063\"}"), "ab\nc\n"},
	{YAML_POD("labels: {app: web, \"n\": \"1\"}"), "app\nweb\nn\n1\n"},
	/* nothing of it can be believed */
	{LABELS("[]"), NULL},
	{LABELS("\"app=web\""), NULL},
	{LABELS("7"), NULL},
	{LABELS("{\"app\":1}"), NULL},
	{LABELS("{\"app\":null}"), NULL},
	{LABELS("{\"app\":{\"a\":\"b\"},\"b\":\"c\"}"), NULL},
	{LABELS("{\"a\":\"b\",\"a\":\"c\"}"), NULL},
	{LABELS("{\"a\":\"b\",\"\":\"c\"}"), NULL},
	{LABELS("{\"a\\u0000x\":\"b\"}"), NULL},
	{LABELS("{\"a\":\"b\\u0000\"}"), NULL},
	{LABELS("{\"a\":\"\xff\"}"), NULL},
	{LABELS("{\"\xff\":\"a\"}"), NULL},
	{LABELS("{},\"labels\":{}"), NULL},
	{YAML_POD("labels: {app: 1}"), NULL},
	{YAML_POD("labels: {1: app}"), NULL},
	{YAML_POD("labels: {[a]: b, c: {d: e}}"), NULL},
};

static void check_labels(const char *text, const char *want)
{
	_cleanup_(kube_podlist_done) struct podlist list = {};
	struct pc_err err = {""};
	const char *at;

	if (kube_podlist_decode(text, strlen(text), "f", &list, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	/* it is still a pod with a name */
	assert_int_equal(list.n, 1);
	assert_string_equal(list.pods[0].name, "b");
	if (list.pods[0].labels_known != !!want)
		fail_msg("%s: labels known: %d", text, list.pods[0].labels_known);
	at = pod_labels_text(list.pods[0].labels);
	for (; want && *want; want = strchr(want, '\n') + 1, at += strlen(at) + 1)
		if (strncmp(at, want, strlen(at)) != 0 || want[strlen(at)] != '\n')
			fail_msg("%s: %s, not %s", text, at, want);
	assert_string_equal(at, "");
}

static void test_labels(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		check_labels(labels[i].text, labels[i].want);
}

/* Whoever may make a pod may give it as many as it likes. */
static void test_many_labels(void **state)
{
	static char text[64 << 10], want[64 << 10];

	(void)state;
	for (int n = 100; n <= 2000; n += 1900) {
		char *to = text, *wanted = want;

		to += sprintf(to,
			      "{\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"a\",\"name\":\"b\","
			      "\"labels\":{");
		for (int i = 0; i < n; i++) {
			to += sprintf(to, "%s\"k%d\":\"v%d\"", i ? "," : "", i, i);
			wanted += sprintf(wanted, "k%d\nv%d\n", i, i);
		}
		sprintf(to, "},\"uid\":\"" UID_1 "\"}}");
		check_labels(text, n == 100 ? want : NULL);
	}
}

static const struct {
	const char *annotations;
	unsigned want;
} wishes[] = {
	{"\"podcred.io/action\":\"redirect\"", POD_ASKS_REDIRECT},
	{"\"podcred.io/action\":\"deny\",\"podcred.io/imdsv2\":\"required\"",
	 POD_ASKS_DENY | POD_ASKS_IMDSV2},
	{"\"podcred.io/action\":null,\"podcred.io/imdsv2\":null", 0},
	{"\"podcred.io/other\":\"deny\"", 0},
	/* the strictest that could be meant */
	{"\"podcred.io/action\":\"exempt\"", POD_ASKS_DENY},
	{"\"podcred.io/action\":\"\"", POD_ASKS_DENY},
	{"\"podcred.io/action\":\"redirect\\u0000\"", POD_ASKS_DENY},
	{"\"podcred.io/action\":7,\"podcred.io/imdsv2\":{}", POD_ASKS_DENY | POD_ASKS_IMDSV2},
	{"\"podcred.io/action\":\"redirect\",\"podcred.io/action\":\"redirect\"", POD_ASKS_DENY},
};

static void test_wishes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		_cleanup_(kube_podlist_done) struct podlist list = {};
		struct pc_err err = {""};
		char text[512];

		snprintf(text, sizeof(text),
			 "{\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"a\",\"name\":\"b\","
			 "\"uid\":"
			 "\"" UID_1 "\",\"annotations\":{%s}}}",
			 wishes[i].annotations);
		if (kube_podlist_decode(text, strlen(text), "f", &list, &err) < 0)
			fail_msg("%s: %s", text, err.msg);
		if (list.pods[0].asks != wishes[i].want)
			fail_msg("%s: %u", text, list.pods[0].asks);
	}
}

#define POD(ns, name, uid) "{\"metadata\":{\"namespace\":" ns ",\"name\":" name ",\"uid\":" uid "}}"
#define SPEC_ITEM(x)	   "{" META ",\"spec\":" x "}"
#define Q(x)		   "\"" x "\""
#define TEN		   "aaaaaaaaaa"
#define SIXTY		   TEN TEN TEN TEN TEN TEN
#define TWO_FORTY	   SIXTY SIXTY SIXTY SIXTY

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
	{"{\"kind\":\"Pod\",\"kind\":\"Pod\"," META "}", "kind is \"\", not PodList"},
	{"{\"kind\":\"PodList\",\"items\":[],\"items\":[]}", "items is missing or no list"},
	{"{\"kind\":\"Pod\",\"metadata\":{}}", "metadata.name is missing"},
	{"{\"kind\":\"List\",\"items\":[{" META "}]}",
	 "none of its 1 items can be used: \"shop/web-0\": kind is \"\""},
	{LIST("null,{}"),
	 "none of its 2 items can be used: items[0]: is null; write a Pod; items[1]: "},
	{LIST("{" META "},{" META ",\"spec\":{\"hostNetwork\":true}}"),
	 "none of its 2 items can be used: \"shop/web-0\": another pod in the list has the same "
	 "uid"},
	/* broken, also where nobody looks */
	{LIST("{" META "}]"), "not JSON: a comma or a bracket is missing"},
	{LIST("{" META ",\"x\":[}}"), "line 1: not JSON: a value is missing"},
	{LIST("{" META ",\"x\":[{]}"), "line 1: not JSON: a key is missing"},
	{LIST("{" META ",\"x\":[1 2]}"), "not JSON: a comma or a bracket is missing"},
	{LIST("{" META ",\"x\":[1,]}"), "not JSON: a value is missing"},
	{LIST("{" META ",\"x\":{\"a\":1,}}"), "not JSON: a key is missing"},
	{LIST("{" META ",\"x\":{\"a\" 1}}"), "not JSON: a colon is missing"},
	{LIST("{" META ",\"x\":nul}"), "not JSON: a value is missing"},
	{LIST("{" META ",\"x\":\"\\\"}"), "not JSON: it ends too early"},
	{"{\"kind\":\"PodList\",\"items\":[{" META "}", "not JSON: it ends too early"},
	{"{\"kind\":\"PodList\",\"items\":[{" META "}]", "not JSON: it ends too early"},
	{"{\"kind\":\"PodList\",\"items\":[{" META "},", "not JSON: it ends too early"},
	{"{\"kind\":\"PodList\",\"items\"", "not JSON: it ends too early"},
	{"{\"kind\":\"PodList\",\"it", "not JSON: it ends too early"},
	{"{\"kind\":\"PodList\",\"it\\", "not JSON: it ends too early"},
	{"{\n\"kind\":\"List\",\n\"items\":[}", "line 3: not JSON: a value is missing"},
	{LIST("") "x", "not JSON"},
	{"{\"kind\":\"Pod\\u0000\"}", "kind is \"\", not PodList"},
	{"{\"kind\":\"a\\nb\"}", "kind is \"a?b\""},
	{"{\n\"kind\":\"List\",\n\"it\nems\":[]}", "items is missing"},
	/* YAML */
	{"kind: Pod\n" YAML_META "---\nkind: Pod\n" YAML_META, "line 3: a second YAML document"},
	{"a: &x 1\n", "line 1: anchors and aliases"},
	{"a: 1\nb: *x\n", "line 2: anchors and aliases"},
	{"a: &x [*x]\n", "anchors and aliases"},
	{"&x a: 1\n", "line 1: anchors and aliases"},
	{"kind: Pod\nspec: {<<: *x}\n", "line 2: anchors and aliases"},
	{"kind: Pod\nkind: Pod\n", "kind is \"\""},
	{"kind: !!binary UG9k\n", "kind is \"\""},
	{"kind: Pod\nmetadata: {name: !x y}\n", "metadata.name is tagged"},
	{"? [kind]\n: Pod\n", "kind is \"\""},
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
		struct podlist list = {.n = 99};
		struct pc_err err = {""};
		int r = kube_podlist_decode(bad[i].text, strlen(bad[i].text), "f", &list, &err);

		if (r != -EINVAL || !strstr(err.msg, bad[i].want) ||
		    strncmp(err.msg, "f: ", 3) != 0)
			fail_msg("%s: %d %s", bad[i].text, r, err.msg);
		assert_null(strchr(err.msg, '\n'));
		assert_null(list.pods);
		assert_int_equal(list.n, 99);
	}
}

#define OTHERS(x) LIST(POD(Q("a"), Q("one"), Q(UID_2)) "," x "," POD(Q("a"), Q("two"), Q(UID_3)))

static const struct {
	const char *item, *want; /* part of why */
} odd[] = {
	{"1", "items[1]: is a number; write a Pod"},
	{"null", "items[1]: is null; write a Pod"},
	{"["
	 "]",
	 "items[1]: is a list"},
	{"\"x\"", "items[1]: is a string"},
	{"{}", "items[1]: metadata is missing"},
	{"{\"metadata\":null}", "items[1]: metadata is missing"},
	{"{\"metadata\":[]}", "items[1]: metadata is a list"},
	{"{\"kind\":\"Node\"}", "items[1]: kind is \"Node\""},
	{POD("1", Q("b"), Q(UID_1)),
	 "items[1]: metadata.namespace is a number; write it as a string"},
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
	{SPEC_ITEM("[]"), "\"shop/web-0\": spec is a list"},
	{SPEC_ITEM("{\"hostNetwork\":\"true\"}"),
	 "spec.hostNetwork is a string; write true or false"},
	{SPEC_ITEM("{\"serviceAccountName\":\"a/b\"}"), "spec.serviceAccountName is \"a/b\""},
	{SPEC_ITEM("{\"serviceAccountName\":true}"), "spec.serviceAccountName is a boolean"},
	/* what jansson alone would refuse the whole file for */
	{POD(Q("a"), Q("b\\u0000"), Q(UID_1)), "\"a/b\": metadata.name is \"b\""},
	{POD(Q("a"), Q("b"), Q(UID_1) ",\"uid\":" Q(UID_1)),
	 "\"a/b\": metadata.uid is there twice"},
	{POD(Q("a"), Q("b"), Q(UID_1) ",\"\\u0075id\":" Q(UID_2)), "metadata.uid is there twice"},
	{POD(Q("a"), Q("b"), "99999999999999999999999"), "metadata.uid is "},
	{POD(Q("a"), Q("b"), Q(UID_1) ",\"annotations\":[]"), "metadata.annotations is a list"},
	{POD(Q("a"), Q("b"), Q(UID_1) ",\"annotations\":{},\"annotations\":{}"),
	 "metadata.annotations is there twice"},
	{"{" META "," META "}", "items[1]: metadata is there twice"},
	{"{" META ",\"spec\":{},\"spec\":{}}", "spec is there twice"},
	{SPEC_ITEM("{\"hostNetwork\":true,\"hostNetwork\":false}"),
	 "spec.hostNetwork is there twice"},
	{SPEC_ITEM("{\"serviceAccountName\":\"a\",\"serviceAccountName\":\"a\"}"),
	 "spec.serviceAccountName is there twice"},
};

/* As JSON, and the same text as YAML. */
static void decode_others(const char *text, bool yaml, struct podlist *ret)
{
	_cleanup_free_ char *whole = NULL;
	struct pc_err err = {""};

	assert_true(asprintf(&whole, "%s%s", yaml ? "--- " : "", text) > 0);
	if (kube_podlist_decode(whole, strlen(whole), "f", ret, &err) < 0)
		fail_msg("%s: %s", whole, err.msg);
}

static bool has_pod(const struct podlist *list, const char *uid, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->pods[i].uid, uid) == 0)
			return strcmp(list->pods[i].name, name) == 0;
	return false;
}

static bool is_one_line(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* A pod that cannot be used is left out, and the others are as if it were not there. */
static void test_odd_items(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(odd); i++) {
		_cleanup_(kube_podlist_done) struct podlist list = {};
		_cleanup_free_ char *text = NULL;

		assert_true(asprintf(&text, OTHERS("%s"), odd[i / 2].item) > 0);
		decode_others(text, i % 2, &list);
		if (list.n != 2 || list.skipped != 1 || !strstr(list.why, odd[i / 2].want))
			fail_msg("%s: %zu pods, %zu skipped: %s", text, list.n, list.skipped,
				 list.why);
		assert_true(has_pod(&list, UID_2, "one") && has_pod(&list, UID_3, "two"));
		assert_true(is_one_line(list.why));
	}
}

/* What podcred does not ask for may hold anything. */
static const char *const harmless[] = {
	"\"a\\u0000b\"",
	"{\"a\\u0000b\":1}",
	"{\"a\":1,\"a\":2}",
	"{\"<<\":1,\"~\":2,\"\":3}",
	"{\"metadata\":{\"uid\":\"x\"},\"items\":[null],\"kind\":7}",
	"99999999999999999999999",
	"-1e99999",
	"\"}]}],\\\"items\\\":[\\\\\"",
	"[null,true,false,\"\\ud83d\\ude00\",[],{}]",
};

static void test_harmless(void **state)
{
	static const char *const place[] = {
		"{" META ",\"x\":%s}",
		"{\"status\":%s," META "}",
		"{" META ",\"spec\":{\"containers\":%s}}",
		"{\"metadata\":{\"labels\":%1$s,\"namespace\":\"shop\",\"name\":\"web-0\",\"uid\":"
		"\"" UID_1 "\",\"annotations\":{\"n\":%1$s}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		for (size_t k = 0; k < 2 * ARRAY_SIZE(place); k++) {
			_cleanup_(kube_podlist_done) struct podlist list = {};
			_cleanup_free_ char *item = NULL, *text = NULL;

			/* libyaml knows no surrogates in escapes; nobody writes them there */
			if (k % 2 && strstr(harmless[i], "ud83d"))
				continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			assert_true(asprintf(&item, place[k / 2], harmless[i]) > 0);
#pragma GCC diagnostic pop
			assert_true(asprintf(&text, OTHERS("%s"), item) > 0);
			decode_others(text, k % 2, &list);
			if (list.n != 3 || list.skipped)
				fail_msg("%s: %zu pods, %zu skipped: %s", text, list.n,
					 list.skipped, list.why);
			assert_true(has_pod(&list, UID_1, "web-0"));
		}
}

/* JSON alone: bytes that YAML has no way to hold. */
static void test_bytes(void **state)
{
	_cleanup_(kube_podlist_done) struct podlist list = {}, more = {};

	(void)state;
	decode_others(OTHERS("{" META ",\"x\":\"\xff\xc0\x80\n\x01\",\"\xff\":\"\\ud800\"}"), false,
		      &list);
	assert_true(list.n == 3 && !list.skipped && has_pod(&list, UID_1, "web-0"));
	decode_others(
		OTHERS(POD(Q("a"), Q("\xff"), Q(UID_1)) "," POD(Q("b\\ud800"), Q("b"), Q(UID_1))),
		false, &more);
	assert_true(more.n == 2 && more.skipped == 2);
	assert_non_null(
		strstr(more.why, "items[1]: metadata.name is unreadable; write it as a string"));
	assert_non_null(strstr(more.why, "; items[2]: metadata.namespace is unreadable"));
}

/* Two pods with one uid: neither can be told from the other. The same pod twice is one. */
static void test_same_uid(void **state)
{
	_cleanup_(kube_podlist_done) struct podlist list = {};

	(void)state;
	decode_others(
		OTHERS(POD(Q("a"), Q("x"), Q(UID_1)) "," POD(Q("b"), Q("y"), Q(UID_1)) "," POD(
			Q("a"), Q("one"), Q(UID_2)) "," POD(Q("a"), Q("x"), Q(UID_1))),
		false, &list);
	assert_true(list.n == 2 && list.skipped == 3);
	assert_true(has_pod(&list, UID_2, "one") && has_pod(&list, UID_3, "two"));
	assert_non_null(strstr(list.why, "\"a/x\": another pod in the list has the same uid"));
	assert_non_null(strstr(list.why, "\"b/y\": another pod"));
}

/* Names without end, and many of them: what is said stays one line of a bounded length. */
static void test_many_odd(void **state)
{
	enum { MANY = 2000 };
	_cleanup_(kube_podlist_done) struct podlist list = {};
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	fputs("{\"kind\":\"PodList\",\"items\":[{" META "}", out);
	for (int i = 0; i < MANY; i++)
		fprintf(out, ",{\"metadata\":{\"namespace\":\"%0*d\",\"name\":\"\\n%0*d\"}}", i, 0,
			i, 0);
	fputs("]}", out);
	fclose(out);
	decode_others(text, false, &list);
	assert_true(list.n == 1 && list.skipped == MANY);
	assert_true(strlen(list.why) < PODLIST_WHY_SIZE && is_one_line(list.why));
}

/* What a scalar without quotes may mean in YAML. */
static void test_yaml_scalars(void **state)
{
	static const struct project_shape item[] = {{.key = "k"}, {}};
	static const struct project_shape root[] = {{.key = "a", .members = item, .list = true},
						    {}};
	static const struct project_shape shape = {.members = root};
	static const char yaml[] = "a: [~, null, Null, true, FALSE, yes, 0, -7, +3, 007, 1.5, 1e3, "
				   "0x1f, 9223372036854775807, 9223372036854775808, '1', "
				   "\"true\", a b, '', !!str 1, ! 2, {k: , l: [x]}, [x, [y]]]";
	static const char json[] = "{\"a\": [null, null, null, true, false, \"yes\", 0, -7, 3, 7, "
				   "\"1.5\", \"1e3\", \"0x1f\", 9223372036854775807, "
				   "\"9223372036854775808\", \"1\", \"true\", \"a b\", \"\", "
				   "\"1\", \"2\", {\"k\": null}, []]}";
	json_t *got = NULL, *want = json_loads(json, 0, NULL), *same = NULL;
	struct pc_err err = {""};

	(void)state;
	if (kube_project_yaml(yaml, sizeof(yaml) - 1, &shape, &got, &err) < 0 ||
	    kube_project_json(json, sizeof(json) - 1, &shape, &same, &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(want);
	assert_true(json_equal(got, want));
	assert_true(json_equal(same, want));
	json_decref(got);
	json_decref(want);
	json_decref(same);
}

/* As deep as a file can be: it costs nothing where nobody looks. */
static void test_depth(void **state)
{
	enum { DEEP = 300000 };
	_cleanup_(kube_podlist_done) struct podlist list = {};
	_cleanup_free_ char *text = NULL, *brackets = malloc(2 * DEEP + 1);
	struct pc_err err = {""};

	(void)state;
	assert_non_null(brackets);
	memset(brackets, '[', DEEP);
	memset(brackets + DEEP, ']', DEEP);
	brackets[2 * DEEP] = '\0';
	assert_true(asprintf(&text, OTHERS("{" META ",\"x\":%s}"), brackets) > 0);
	decode_others(text, false, &list);
	assert_true(list.n == 3 && !list.skipped);
	kube_podlist_done(&list);
	free(text);
	brackets[2 * DEEP - 1] = '}';
	assert_true(asprintf(&text, OTHERS("{" META ",\"x\":%s}"), brackets) > 0);
	assert_int_equal(kube_podlist_decode(text, strlen(text), "f", &list, &err), -EINVAL);
	free(text);
	brackets[DEEP] = '\0'; /* and none of it is closed again */
	assert_true(asprintf(&text, "{\"x\":%s", brackets) > 0);
	assert_int_equal(kube_podlist_decode(text, strlen(text), "f", &list, &err), -EINVAL);
	free(text);
	memset(brackets, '[', 500); /* libyaml needs the square of the time */
	memset(brackets + 500, ']', 500);
	brackets[1000] = '\0';
	assert_true(asprintf(&text, OTHERS("{" META ",\"x\":%s}"), brackets) > 0);
	decode_others(text, true, &list);
	assert_true(list.n == 3 && !list.skipped);
}

/* Every beginning of a good text, and mutants of it: an answer, never a crash nor a leak. */
static void test_mutants(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < 30000; round++) {
		const char *from = good[(size_t)rand_r(&seed) % ARRAY_SIZE(good)].text;
		size_t len = strlen(from);
		_cleanup_free_ char *text = malloc(len + 1);
		_cleanup_(kube_podlist_done) struct podlist list = {};
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
		if (kube_podlist_decode(text, len, "f", &list, &err) < 0) {
			assert_true(strncmp(err.msg, "f: ", 3) == 0 && !strchr(err.msg, '\n'));
			continue;
		}
		for (size_t i = 0; i < list.n; i++)
			assert_true(list.pods[i].uid[0] && list.pods[i].name[0] &&
				    list.pods[i].name_space[0]);
	}
}

static char scratch[] = "/tmp/podcred-podlist-XXXXXX", paths[4][96];

/* A path below the scratch folder; valid for four calls. */
static const char *at(const char *name)
{
	static unsigned turn;
	char *path = paths[turn++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

static void put_text(const char *name, const char *text)
{
	assert_int_equal(file_write_atomic(at(name), text, strlen(text), 0600), 0);
}

static void test_load(void **state)
{
	struct podlist list = {};
	struct pc_err err = {""};

	(void)state;
	assert_int_equal(kube_podlist_load(at("pods.json"), &list, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "pods.json: cannot read: No such file"));
	put_text("pods.json", good[2].text);
	assert_int_equal(kube_podlist_load(at("pods.json"), &list, &err), 0);
	assert_int_equal(list.n, 1);
	kube_podlist_done(&list);
	assert_int_equal(truncate(at("pods.json"), (off_t)PODLIST_MAX + 1), 0);
	assert_int_equal(kube_podlist_load(at("pods.json"), &list, &err), -EFBIG);
	assert_non_null(strstr(err.msg, "256 MiB"));
	unlink(at("pods.json"));
}

static struct podlist_watch watch;

/* What was just done is seen, and then nothing more. */
static void assert_seen(const char *what)
{
	bool seen = kube_podlist_watch_look(&watch);

	if (!seen)
		fail_msg("%s is not seen", what);
	kube_podlist_watch_look(&watch); /* once more, where the first look alone found it */
	if (kube_podlist_watch_look(&watch))
		fail_msg("%s has no end", what);
}

static void start_watch(const char *name)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s", at(name));
	kube_podlist_watch_start(&watch, path);
}

/* At once, not only when somebody looks. */
static void assert_told(void)
{
	struct pollfd fd = {.fd = watch.fd, .events = POLLIN};

	assert_int_equal(poll(&fd, 1, 0), 1);
}

static void test_watch(void **state)
{
	char path[96];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s", at("dir/pods.json"));
	start_watch("dir/pods.json");
	assert_false(kube_podlist_watch_look(&watch)); /* nothing there is no change */
	assert_true(watch.fd < 0 && watch.error == -ENOENT);
	assert_int_equal(mkdir(at("dir"), 0700), 0);
	put_text("dir/pods.json", "a");
	assert_seen("a folder that is made late");
	assert_true(watch.fd >= 0 && watch.error == 0);
	put_text("dir/pods.json", "b");
	assert_seen("a rename over the file");
	f = fopen(path, "r+"); /* same size, perhaps within the same tick of the file's clock */
	assert_non_null(f);
	fputc('c', f);
	fclose(f);
	assert_seen("a write into the file");
	f = fopen(path, "r+"); /* a clock that is too coarse shows no more of a write than this */
	assert_non_null(f);
	fclose(f);
	assert_seen("a write that leaves no trace");
	assert_int_equal(chmod(path, 0400), 0);
	assert_seen("another mode");
	unlink(path);
	assert_seen("a file that goes");
	assert_int_equal(rmdir(at("dir")), 0);
	kube_podlist_watch_look(&watch);
	assert_true(watch.fd < 0 && watch.error == -ENOENT);
	assert_int_equal(mkdir(at("dir"), 0700), 0);
	put_text("dir/pods.json", "d");
	assert_seen("a folder that is made again");
	assert_int_equal(mkdir(at("new"), 0700), 0);
	put_text("new/pods.json", "e");
	assert_int_equal(rename(at("dir"), at("old")), 0);
	assert_int_equal(rename(at("new"), at("dir")), 0);
	assert_seen("a folder that is replaced");
	put_text("dir/pods.json", "f");
	assert_told();
	assert_seen("a file in it");
	put_text("old/pods.json", "g");
	assert_false(kube_podlist_watch_look(&watch)); /* which is not ours any more */
	kube_podlist_watch_stop(&watch);
}

/* The file is a link: into another folder, and into one that is swapped, as a ConfigMap's is. */
static void test_watch_links(void **state)
{
	(void)state;
	start_watch("link");
	assert_int_equal(symlink("old/pods.json", at("link")), 0);
	assert_seen("a link");
	put_text("old/pods.json", "h");
	assert_seen("its target");
	unlink(at("old/pods.json"));
	assert_seen("a target that goes");
	put_text("old/pods.json", "i");
	assert_seen("a target that comes");
	assert_int_equal(symlink("dir/pods.json", at("link.new")), 0);
	assert_int_equal(rename(at("link.new"), at("link")), 0);
	assert_seen("a link elsewhere");
	unlink(at("link"));
	assert_int_equal(symlink("old", at("..data")), 0);
	assert_int_equal(symlink("..data/pods.json", at("link")), 0);
	assert_seen("a link through a link");
	assert_int_equal(symlink("dir", at("..data_tmp")), 0);
	assert_int_equal(rename(at("..data_tmp"), at("..data")), 0);
	assert_seen("a swap on the way");
	kube_podlist_watch_stop(&watch);
}

/* A folder further up: the one of the file itself stays what it was. */
static void test_watch_path(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("up"), 0700), 0);
	assert_int_equal(rename(at("dir"), at("up/dir")), 0);
	start_watch("up/dir/pods.json");
	assert_seen("a file further down");
	assert_int_equal(rename(at("up"), at("was")), 0);
	assert_seen("a path that ends on the way");
	assert_int_equal(mkdir(at("up"), 0700), 0);
	assert_int_equal(mkdir(at("up/dir"), 0700), 0);
	assert_int_equal(rename(at("was/dir/pods.json"), at("up/dir/pods.json")), 0);
	assert_seen("another path of the same name");
	put_text("up/dir/pods.json", "j");
	assert_told();
	assert_seen("a file in that");
	kube_podlist_watch_stop(&watch);
	assert_int_equal(rename(at("up/dir"), at("dir")), 0);
	assert_true(rmdir(at("up")) == 0 && rmdir(at("was/dir")) == 0 && rmdir(at("was")) == 0);
}

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
	static const char *const files[] = {"link", "..data", "dir/pods.json", "old/pods.json"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(at(files[i]));
	return rmdir(at("dir")) || rmdir(at("old")) || rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	     cmocka_unit_test(test_labels),
		cmocka_unit_test(test_many_labels),  cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_bad),	     cmocka_unit_test(test_odd_items),
		cmocka_unit_test(test_harmless),     cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_same_uid),     cmocka_unit_test(test_many_odd),
		cmocka_unit_test(test_yaml_scalars), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_mutants),	     cmocka_unit_test(test_load),
		cmocka_unit_test(test_watch),	     cmocka_unit_test(test_watch_links),
		cmocka_unit_test(test_watch_path),
	};

	return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
