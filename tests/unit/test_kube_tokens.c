// SPDX-License-Identifier: Apache-2.0
/* What an API server says of tokens: its keys and its issuer, and its verdict on one of them. */
/* SOURCES: tests/unit/fake_http.c tests/unit/fake_kube.c tests/unit/fake_server.c */
/* MODULES: kube http crypto yaml identity base */
/* LIBS: -lcurl -lssl -lyaml -ljansson */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/loop.h"
#include "fake_http.h"
#include "fake_kube.h"
#include "kube/client.h"
#include "kube/token_keys.h"
#include "kube/token_review.h"

#define KEYS_FILE      "answer_openid_v1_jwks"
#define CONFIG_FILE    "answer_.well-known_openid-configuration"
#define REVIEW_FILE    "answer_apis_authentication.k8s.io_v1_tokenreviews"
#define JWKS	       "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\"}]}"
#define TOKEN	       "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl"
#define AUDIENCES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define POD	       "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"

/* What was told, copied, as it is void when the function returns. */
static struct {
	int error;
	unsigned dones;
	char why[768], jwks[40000], issuer[300];
	size_t jwks_len;
	bool authenticated;
	char subject[400], pod[400], node[100];
} told;

/* ---- keys ---- */

static void on_keys(void *arg, const struct kube_token_keys_result *result)
{
	assert_ptr_equal(arg, &told);
	told.dones++;
	told.error = result->error;
	snprintf(told.why, sizeof(told.why), "%s", result->why);
	snprintf(told.jwks, sizeof(told.jwks), "%s", result->jwks ?: "(null)");
	snprintf(told.issuer, sizeof(told.issuer), "%s", result->issuer ?: "(null)");
	told.jwks_len = result->jwks_len;
	assert_int_equal(!told.error, !told.why[0]);
	assert_int_equal(!result->jwks, !!told.error);
	loop_stop(fake_kube.loop, 0);
}

static void ask_keys(bool with_issuer)
{
	struct kube_token_keys *keys;
	struct pc_err err = {};

	memset(&told, 0, sizeof(told));
	if (kube_token_keys_start(fake_kube.client, with_issuer, on_keys, &told, &keys, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(told.dones, 0);
	while (!told.dones)
		assert_int_equal(loop_run(fake_kube.loop), 0);
	assert_int_equal(told.dones, 1);
}

static void say_keys(const char *keys, const char *config)
{
	fake_http_write(KEYS_FILE, keys, 0600);
	fake_http_write(CONFIG_FILE, config, 0600);
}

static void keys_and_issuer_are_as_the_server_has_them(void **state)
{
	(void)state;
	say_keys("200\n" JWKS, "200\n{\"issuer\":\"https://issuer.example\","
			       "\"jwks_uri\":\"https://elsewhere.invalid/jwks\",\"more\":[1]}");
	ask_keys(true);
	assert_int_equal(told.error, 0);
	assert_string_equal(told.jwks, JWKS);
	assert_int_equal(told.jwks_len, strlen(JWKS));
	assert_string_equal(told.issuer, "https://issuer.example");
	/* whose issuer is known is not asked for it */
	say_keys("200\n" JWKS, "500\n");
	ask_keys(false);
	assert_int_equal(told.error, 0);
	assert_string_equal(told.issuer, "(null)");
	assert_string_equal(fake_http_file("asked"),
			    "GET /openid/v1/jwks\napplication/jwk-set+json, application/json\n");
}

static void what_is_wrong_with_them_is_said(void **state)
{
	static const char good[] = "200\n{\"issuer\":\"i\"}";
	static const struct {
		const char *keys, *config;
		int error;
		const char *why;
	} rows[] = {
		{"403\n{}", good, -EPERM, "system:service-account-issuer-discovery"},
		{"401\n{}", good, -EPERM, "its keys"},
		{"404\n{}", good, -ENOENT, "does not know its keys"},
		{"503\n{}", good, -EAGAIN, "status 503"},
		{"429\n{}", good, -EAGAIN, "status 429"},
		{"302\n{}", good, -EPROTO, "status 302"},
		{"200\n", good, -EPROTO, "its keys: "},
		{"200\n<html>", good, -EPROTO, "its keys: line 1: not JSON"},
		{"200\n[]", good, -EPROTO, "no list \"keys\""},
		{"200\n{\"keys\":{}}", good, -EPROTO, "no list \"keys\""},
		{"200\n{\"kind\":\"Status\"}", good, -EPROTO, "no list \"keys\""},
		{"200\n" JWKS, "403\n{}", -EPERM, "its OpenID configuration"},
		{"200\n" JWKS, "404\n{}", -ENOENT, "its OpenID configuration"},
		{"200\n" JWKS, "200\n{}", -EPROTO, "no issuer"},
		{"200\n" JWKS, "200\n{\"issuer\":\"\"}", -EPROTO, "no issuer"},
		{"200\n" JWKS, "200\n{\"issuer\":[]}", -EPROTO, "no issuer"},
		{"200\n" JWKS, "200\n{\"issuer\":\"a\",\"issuer\":\"b\"}", -EPROTO, "no issuer"},
		{"200\n" JWKS, "200\nissuer", -EPROTO, "not JSON"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		say_keys(rows[i].keys, rows[i].config);
		ask_keys(true);
		if (told.error != rows[i].error || !strstr(told.why, rows[i].why))
			fail_msg("%s %s: %d %s", rows[i].keys, rows[i].config, told.error,
				 told.why);
	}
}

static void keys_have_a_bound(void **state)
{
	size_t size = KUBE_TOKEN_KEYS_MAX + 16;
	char *text = malloc(size);

	(void)state;
	snprintf(text, size, "200\n%-*s", KUBE_TOKEN_KEYS_MAX, JWKS);
	say_keys(text, "404\n");
	ask_keys(false);
	assert_int_equal(told.error, 0);
	assert_int_equal(told.jwks_len, KUBE_TOKEN_KEYS_MAX);
	snprintf(text, size, "200\n%-*s", KUBE_TOKEN_KEYS_MAX + 1, JWKS);
	say_keys(text, "404\n");
	ask_keys(false);
	assert_int_equal(told.error, -EMSGSIZE);
	free(text);
}

static void who_cancels_is_not_called(void **state)
{
	struct kube_token_keys *keys;
	struct kube_token_review *review;

	(void)state;
	say_keys("200\n" JWKS, "200\n{\"issuer\":\"i\"}");
	memset(&told, 0, sizeof(told));
	assert_int_equal(kube_token_keys_start(fake_kube.client, true, on_keys, &told, &keys, NULL),
			 0);
	assert_int_equal(kube_token_review_start(fake_kube.client, TOKEN, AUDIENCES("a"), NULL,
						 NULL, &review, NULL),
			 0);
	assert_null(kube_token_keys_cancel(keys));
	assert_null(kube_token_review_cancel(review));
	assert_null(kube_token_keys_cancel(NULL));
	assert_null(kube_token_review_cancel(NULL));
	ask_keys(true);
	assert_int_equal(told.dones, 1);
}

/* ---- reviews ---- */

static void on_review(void *arg, const struct kube_token_review_result *result)
{
	assert_ptr_equal(arg, &told);
	told.dones++;
	told.error = result->error;
	told.authenticated = result->authenticated;
	snprintf(told.why, sizeof(told.why), "%s", result->why);
	snprintf(told.subject, sizeof(told.subject), "%s:%s", result->name_space,
		 result->service_account);
	snprintf(told.pod, sizeof(told.pod), "%s:%s", result->pod_name, result->pod_uid);
	snprintf(told.node, sizeof(told.node), "%s", result->node_name);
	assert_null(strstr(told.why, "c2lnbmF0dXJl"));
	assert_null(strchr(told.why, '\n'));
	assert_int_equal(told.why[0] != '\0', !told.authenticated);
	loop_stop(fake_kube.loop, 0);
}

static void ask_review(const char *answer)
{
	struct kube_token_review *review;
	struct pc_err err = {};

	fake_http_write(REVIEW_FILE, answer, 0600);
	memset(&told, 0, sizeof(told));
	if (kube_token_review_start(fake_kube.client, TOKEN, AUDIENCES("pods.eks.amazonaws.com"),
				    on_review, &told, &review, &err) < 0)
		fail_msg("%s", err.msg);
	while (!told.dones)
		assert_int_equal(loop_run(fake_kube.loop), 0);
}

#define USER(name, extra)                                                                          \
	"\"user\":{\"username\":\"" name "\",\"uid\":\"0a1b\",\"groups\":[\"system:"               \
	"authenticated\"],\"extra\":{" extra "}}"
#define POD_EXTRA                                                                                  \
	"\"authentication.kubernetes.io/pod-name\":[\"web-0\"],"                                   \
	"\"authentication.kubernetes.io/pod-uid\":[\"" POD "\"],"                                  \
	"\"authentication.kubernetes.io/node-name\":[\"n1\"],"                                     \
	"\"authentication.kubernetes.io/credential-id\":[\"JTI=1\"]"
#define WEB "system:serviceaccount:shop:web"
#define REVIEW(status)                                                                             \
	"201\n{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":" \
	"{},\"spec\":{\"token\":\"" TOKEN "\"},\"status\":{" status "}}"
#define OURS "\"authenticated\":true,\"audiences\":[\"pods.eks.amazonaws.com\"],"

static void a_review_says_whose_token_it_is(void **state)
{
	(void)state;
	ask_review(REVIEW(OURS USER(WEB, POD_EXTRA)));
	assert_int_equal(told.error, 0);
	assert_true(told.authenticated);
	assert_string_equal(told.subject, "shop:web");
	assert_string_equal(told.pod, "web-0:" POD);
	assert_string_equal(told.node, "n1");
	assert_string_equal(fake_http_file("asked"),
			    "POST /apis/authentication.k8s.io/v1/tokenreviews\napplication/json\n"
			    "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\","
			    "\"spec\":{\"token\":\"" TOKEN
			    "\",\"audiences\":[\"pods.eks.amazonaws.com\"]}}");
}

static void one_of_several_audiences_is_enough(void **state)
{
	struct kube_token_review *review;

	(void)state;
	fake_http_write(REVIEW_FILE, REVIEW(OURS USER(WEB, POD_EXTRA)), 0600);
	memset(&told, 0, sizeof(told));
	assert_int_equal(
		kube_token_review_start(fake_kube.client, TOKEN,
					AUDIENCES("sts.amazonaws.com", "pods.eks.amazonaws.com"),
					on_review, &told, &review, NULL),
		0);
	while (!told.dones)
		assert_int_equal(loop_run(fake_kube.loop), 0);
	assert_true(told.authenticated);
	assert_non_null(strstr(fake_http_file("asked"), "\"audiences\":[\"sts.amazonaws.com\","
							"\"pods.eks.amazonaws.com\"]}}"));
}

static void what_a_review_leaves_out_is_empty(void **state)
{
	static const struct {
		const char *answer, *subject, *pod;
	} rows[] = {
		{REVIEW(OURS USER(WEB, "")), "shop:web", ":"},
		{REVIEW(OURS USER("alice", POD_EXTRA)), ":", "web-0:" POD},
		{REVIEW(OURS USER("system:node:n1", "")), ":", ":"},
		{REVIEW(OURS USER("system:serviceaccount:shop", "")), ":", ":"},
		{REVIEW(OURS USER("system:serviceaccount::web", "")), ":", ":"},
		{REVIEW(OURS USER("system:serviceaccount:shop:", "")), ":", ":"},
		{REVIEW(OURS USER("system:serviceaccount:shop:web:db", "")), ":", ":"},
		{REVIEW(OURS USER(WEB, "\"authentication.kubernetes.io/pod-uid\":[\"a\",\"b\"]")),
		 "shop:web", ":"},
		{REVIEW(OURS USER(WEB, "\"authentication.kubernetes.io/pod-uid\":\"a\"")),
		 "shop:web", ":"},
		{REVIEW(OURS "\"user\":{}"), ":", ":"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask_review(rows[i].answer);
		if (told.error || !told.authenticated ||
		    strcmp(told.subject, rows[i].subject) != 0 ||
		    strcmp(told.pod, rows[i].pod) != 0)
			fail_msg("%s: %d %s %s", rows[i].answer, told.error, told.subject,
				 told.pod);
	}
}

static void a_token_that_is_refused_says_why(void **state)
{
	static const struct {
		const char *answer, *why;
	} rows[] = {
		{REVIEW("\"authenticated\":false,\"error\":\"[invalid bearer token, expired]\""),
		 "[invalid bearer token, expired]"},
		{REVIEW("\"error\":\"two\\nlines\\u001b[1m\""), "two lines [1m"},
		{REVIEW("\"user\":{}"), "does not know the token"},
		{REVIEW("\"authenticated\":\"yes\""), "does not know the token"},
		/* an API server that looks at no audience: everybody's token would do */
		{REVIEW("\"authenticated\":true," USER(WEB, POD_EXTRA)),
		 "for the audience pods.eks.amazonaws.com"},
		{REVIEW("\"authenticated\":true,\"audiences\":[]," USER(WEB, POD_EXTRA)),
		 "for the audience"},
		{REVIEW("\"authenticated\":true,\"audiences\":[\"https://"
			"kubernetes.default.svc\"]," USER(WEB, POD_EXTRA)),
		 "for the audience"},
		{REVIEW("\"authenticated\":true,\"audiences\":\"pods.eks.amazonaws.com\"," USER(
			 WEB, POD_EXTRA)),
		 "for the audience"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask_review(rows[i].answer);
		if (told.error || told.authenticated || !strstr(told.why, rows[i].why) ||
		    strcmp(told.subject, ":") != 0 || strcmp(told.pod, ":") != 0)
			fail_msg("%s: %d %s", rows[i].answer, told.error, told.why);
	}
}

static void what_is_no_review_is_no_verdict(void **state)
{
	static const struct {
		const char *answer;
		int error;
		const char *why;
	} rows[] = {
		{"403\n{}", -EPERM, "create tokenreviews"},
		{"404\n{}", -ENOENT, "a TokenReview"},
		{"500\n{}", -EAGAIN, "status 500"},
		{"201\n", -EPROTO, "no TokenReview"},
		{"201\n{", -EPROTO, ""},
		{"201\n[]", -EPROTO, "no TokenReview"},
		{"201\n{\"kind\":\"TokenReview\"}", -EPROTO, "no TokenReview"},
		{"201\n{\"kind\":\"TokenReview\",\"status\":[]}", -EPROTO, "no TokenReview"},
		{"201\n{\"kind\":\"Status\",\"status\":{" OURS USER(WEB, POD_EXTRA) "}}", -EPROTO,
		 "no TokenReview"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask_review(rows[i].answer);
		if (told.error != rows[i].error || told.authenticated ||
		    !strstr(told.why, rows[i].why))
			fail_msg("%s: %d %s", rows[i].answer, told.error, told.why);
	}
}

/* Nothing that a pod sends becomes part of the question's JSON. */
static void what_is_no_token_is_not_asked_about(void **state)
{
	static const char *const texts[] = {"", "a b", "a\"", "a\\", "a\n", "a\x80", "a=", "a{}"};
	struct kube_token_review *review;
	char *text = calloc(1, KUBE_TOKEN_MAX + 2);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(kube_token_review_start(fake_kube.client, texts[i], AUDIENCES("a"),
							 on_review, &told, &review, NULL),
				 -EINVAL);
	memset(text, 'a', KUBE_TOKEN_MAX + 1);
	assert_int_equal(kube_token_review_start(fake_kube.client, text, AUDIENCES("a"), on_review,
						 &told, &review, NULL),
			 -EINVAL);
	text[KUBE_TOKEN_MAX] = '\0';
	assert_int_equal(kube_token_review_start(fake_kube.client, text, AUDIENCES("a"), on_review,
						 &told, &review, NULL),
			 0);
	kube_token_review_cancel(review);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_issuer_are_as_the_server_has_them),
		cmocka_unit_test(what_is_wrong_with_them_is_said),
		cmocka_unit_test(keys_have_a_bound),
		cmocka_unit_test(who_cancels_is_not_called),
		cmocka_unit_test(a_review_says_whose_token_it_is),
		cmocka_unit_test(one_of_several_audiences_is_enough),
		cmocka_unit_test(what_a_review_leaves_out_is_empty),
		cmocka_unit_test(a_token_that_is_refused_says_why),
		cmocka_unit_test(what_is_no_review_is_no_verdict),
		cmocka_unit_test(what_is_no_token_is_not_asked_about),
	};

	return cmocka_run_group_tests(tests, fake_kube_start, fake_kube_stop);
}
