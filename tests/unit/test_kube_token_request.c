// SPDX-License-Identifier: Apache-2.0
/* A token that an API server makes for a pod, and each way in which it does not. */
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
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/loop.h"
#include "fake_http.h"
#include "fake_kube.h"
#include "kube/client.h"
#include "kube/token_request.h"

#define FILE_NAME "answer_api_v1_namespaces_shop_serviceaccounts_web_token"
#define POD	  "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"
#define TOKEN	  "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl"

static struct {
	unsigned dones;
	int error;
	char why[512], token[128];
	time_t expires;
} told;

static void on_done(void *arg, const struct kube_token_request_result *result)
{
	assert_ptr_equal(arg, &told);
	told.dones++;
	told.error = result->error;
	snprintf(told.why, sizeof(told.why), "%s", result->why);
	snprintf(told.token, sizeof(told.token), "%s", result->error ? "" : result->token);
	told.expires = result->expires;
	loop_stop(fake_kube.loop, 0);
}

static int start(const char *name_space, const char *account, struct kube_token_request **ret)
{
	const struct kube_token_request_options options = {.name_space = name_space,
							   .service_account = account,
							   .pod_name = "web-0",
							   .pod_uid = POD,
							   .audience = "sts.amazonaws.com",
							   .seconds = 600,
							   .done = on_done,
							   .arg = &told};
	struct pc_err err = {};

	memset(&told, 0, sizeof(told));
	return kube_token_request_start(fake_kube.client, &options, ret, &err);
}

static void ask(const char *answer)
{
	struct kube_token_request *request;

	fake_http_write(FILE_NAME, answer, 0600);
	assert_int_equal(start("shop", "web", &request), 0);
	assert_int_equal(told.dones, 0);
	while (!told.dones)
		assert_int_equal(loop_run(fake_kube.loop), 0);
}

static void test_granted(void **state)
{
	(void)state;
	ask("201\n{\"kind\":\"TokenRequest\",\"status\":{\"token\":\"" TOKEN
	    "\",\"expirationTimestamp\":\"2026-01-02T03:04:05Z\"},\"metadata\":{\"a\":[]}}");
	assert_int_equal(told.error, 0);
	assert_string_equal(told.why, "");
	assert_string_equal(told.token, TOKEN);
	assert_int_equal(told.expires, 1767323045);
}

static void test_refused(void **state)
{
	static const struct {
		const char *answer;
		int error;
		const char *why;
	} rows[] = {
		{"403\n{}", -EPERM, "serviceaccounts/token"},
		{"404\n{}", -ENOENT, "service account shop/web"},
		{"409\n{}", -ENOENT, "service account shop/web"},
		{"429\n{}", -EAGAIN, "status 429"},
		{"503\n{}", -EAGAIN, "status 503"},
		{"400\n{}", -EPROTO, "status 400"},
		{"201\n", -EPROTO, "no TokenRequest"},
		{"201\n[]", -EPROTO, "no TokenRequest"},
		{"201\n{\"status\":{}}", -EPROTO, "no TokenRequest"},
		{"201\n{\"status\":[1]}", -EPROTO, "no TokenRequest"},
		{"201\n{\"status\":{\"token\":\"\",\"expirationTimestamp\":\"2026-01-02T03:04:"
		 "05Z\"}}",
		 -EPROTO, "no TokenRequest"},
		{"201\n{\"status\":{\"token\":\"" TOKEN "\",\"expirationTimestamp\":\"soon\"}}",
		 -EPROTO, "no TokenRequest"},
		{"201\n{\"status\": {\"token\": \"" TOKEN, -EPROTO, "TokenRequest"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask(rows[i].answer);
		if (told.error != rows[i].error || !strstr(told.why, rows[i].why))
			fail_msg("%s: %d, %s", rows[i].answer, told.error, told.why);
		assert_null(strstr(told.why, TOKEN));
	}
}

/* Names become part of a path. */
static void test_names(void **state)
{
	struct kube_token_request *request;

	(void)state;
	assert_int_equal(start("shop/../x", "web", &request), -EINVAL);
	assert_int_equal(start("shop", "web/token?x", &request), -EINVAL);
	assert_int_equal(start("", "web", &request), -EINVAL);
}

static void test_cancel(void **state)
{
	struct kube_token_request *request;

	(void)state;
	assert_int_equal(start("shop", "web", &request), 0);
	assert_null(kube_token_request_cancel(request));
	assert_null(kube_token_request_cancel(NULL));
	assert_int_equal(told.dones, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_granted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, fake_kube_start, fake_kube_stop);
}
