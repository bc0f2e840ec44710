// SPDX-License-Identifier: Apache-2.0
/* The version of an API server, and each way in which it does not say it. */
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
#include "kube/version.h"

static struct {
	unsigned dones;
	int error;
	char why[512], version[KUBE_VERSION_SIZE];
} told;

static void on_done(void *arg, const struct kube_version_result *result)
{
	assert_ptr_equal(arg, &told);
	told.dones++;
	told.error = result->error;
	snprintf(told.why, sizeof(told.why), "%s", result->why);
	memcpy(told.version, result->version, sizeof(told.version));
	loop_stop(fake_kube.loop, 0);
}

static void ask(const char *answer)
{
	struct kube_version *version;
	struct pc_err err = {};

	memset(&told, 0, sizeof(told));
	fake_http_write("answer_version", answer, 0600);
	assert_int_equal(kube_version_start(fake_kube.client, on_done, &told, &version, &err), 0);
	assert_int_equal(told.dones, 0);
	while (!told.dones)
		assert_int_equal(loop_run(fake_kube.loop), 0);
}

static void test_said(void **state)
{
	(void)state;
	ask("200\n{\"major\":\"1\",\"minor\":\"34\",\"gitVersion\":\"v1.34.4\",\"more\":{}}");
	assert_int_equal(told.error, 0);
	assert_string_equal(told.why, "");
	assert_string_equal(told.version, "1.34");
	ask("200\n{\"major\":\"1\",\"minor\":\"34+\"}");
	assert_int_equal(told.error, 0);
	assert_string_equal(told.version, "1.34");
	assert_non_null(strstr(kube_client_authority(fake_kube.client), "BEGIN CERTIFICATE"));
}

static void test_not_said(void **state)
{
	static const struct {
		const char *answer;
		int error;
		const char *why;
	} rows[] = {
		{"403\n{}", -EPERM, "system:public-info-viewer"},
		{"404\n{}", -ENOENT, "does not know its version"},
		{"503\n{}", -EAGAIN, "status 503"},
		{"200\n<html>", -EPROTO, "as its version"},
		{"200\n{}", -EPROTO, "no major and minor"},
		{"200\n{\"major\":\"1\",\"minor\":\"+\"}", -EPROTO, "no major and minor"},
		{"200\n{\"major\":\"1\",\"minor\":{}}", -EPROTO, "no major and minor"},
		{"200\n{\"major\":\"1\",\"minor\":\"12345678901234567890\"}", -EPROTO,
		 "no major and minor"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ask(rows[i].answer);
		if (told.error != rows[i].error || !strstr(told.why, rows[i].why))
			fail_msg("%s: %d, %s", rows[i].answer, told.error, told.why);
		assert_string_equal(told.version, "");
	}
}

static void test_cancelled(void **state)
{
	struct kube_version *version;
	struct pc_err err = {};

	(void)state;
	memset(&told, 0, sizeof(told));
	assert_int_equal(kube_version_start(fake_kube.client, on_done, &told, &version, &err), 0);
	assert_null(kube_version_cancel(version));
	assert_null(kube_version_cancel(NULL));
	assert_int_equal(told.dones, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_said),
		cmocka_unit_test(test_not_said),
		cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, fake_kube_start, fake_kube_stop);
}
