// SPDX-License-Identifier: Apache-2.0
/* MODULES: http base */
/* Small total functions of the agent: request paths, time stamps, JSON text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "http/path.h"

static const struct {
	const char *target;
	const char *path; /* NULL: refused */
} paths[] = {
	{"/", "/"},
	{"/v1/credentials", "/v1/credentials"},
	{"/v1/credentials?id=1/../x", "/v1/credentials"},
	{"/v1/credentials#x", "/v1/credentials"},
	{"//latest///meta-data//", "/latest/meta-data/"},
	{"/latest/./meta-data/.", "/latest/meta-data/"},
	{"/latest/x/../meta-data", "/latest/meta-data"},
	{"/latest/x/..", "/latest/"},
	{"/latest/%2e%2e/a", "/a"},
	{"/latest/%2E/a", "/latest/a"},
	{"/a/%252e%252e/b", "/a/%2e%2e/b"},
	{"/%6Catest", "/latest"},
	{"/LATEST/Meta", "/LATEST/Meta"},
	{"/a/my+role=a,b.c@d_e-f", "/a/my+role=a,b.c@d_e-f"},
	{"/a/%2B", "/a/+"},
	{"/...", "/..."},
	{"/..a/.b", "/..a/.b"},
	{"/a/%C3%A9", "/a/\xc3\xa9"},
	{"/?x", "/"},
	{"", NULL},
	{"*", NULL},
	{"http://169.254.169.254/latest/", NULL},
	{"latest", NULL},
	{"?x", NULL},
	{"/..", NULL},
	{"/a/../..", NULL},
	{"/a/%2e%2e/%2e%2e/b", NULL},
	{"/a%2Fb", NULL},
	{"/a%2fb", NULL},
	{"/a%00b", NULL},
	{"/a%0ab", NULL},
	{"/a%7f", NULL},
	{"/a\x01", NULL},
	{"/%", NULL},
	{"/%2", NULL},
	{"/%zz", NULL},
	{"/%2?", NULL},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		char out[HTTP_PATH_SIZE] = "untouched";
		int r = http_path_normalise(paths[i].target, out, sizeof(out));

		if (!paths[i].path) {
			if (r != -EINVAL)
				fail_msg("%s gave %d, %s", paths[i].target, r, out);
			continue;
		}
		if (r != 0 || strcmp(out, paths[i].path) != 0)
			fail_msg("%s gave %d, %s", paths[i].target, r, out);
	}
}

/* Every buffer that is too small says so and is not overrun (the sanitizer watches). */
static void test_path_sizes(void **state)
{
	static const char *const targets[] = {"/", "/abc", "/abc/", "/abc/def", "/abc/def/./"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		char full[64];

		assert_int_equal(http_path_normalise(targets[i], full, sizeof(full)), 0);
		for (size_t size = 0; size <= strlen(full) + 2; size++) {
			char *out = malloc(size + !size);
			int r = http_path_normalise(targets[i], out, size);

			if (r == 0)
				assert_string_equal(out, full);
			else
				assert_int_equal(r, -ENAMETOOLONG);
			if (size <= strlen(full))
				assert_int_equal(r, -ENAMETOOLONG);
			free(out);
		}
	}
}

static void test_timestamp_format(void **state)
{
	char text[TIMESTAMP_SIZE];

	(void)state;
	assert_int_equal(timestamp_format(0, text), 0);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	assert_int_equal(timestamp_format(1767323045, text), 0);
	assert_string_equal(text, "2026-01-02T03:04:05Z");
	assert_int_equal(timestamp_format(253402300799, text), 0);
	assert_string_equal(text, "9999-12-31T23:59:59Z");
	assert_int_equal(timestamp_format(253402300800, text), -ERANGE);
}

static void test_timestamp_parse(void **state)
{
	static const char *const bad[] = {
		"",
		"2026-01-02",
		"2026-01-02T03:04:05",
		"2026-01-02T03:04:05z",
		"2026-01-02t03:04:05Z",
		"2026-01-02T03:04:05+00:00",
		"2026-01-02T03:04:05.000Z",
		"20260102T030405Z",
		"2026-1-2T03:04:05Z",
		"2026-02-30T00:00:00Z",
		"2026-13-01T00:00:00Z",
		"2026-01-02T24:00:00Z",
		"2026-01-02T03:04:05Z ",
		" 2026-01-02T03:04:05Z",
		"2026-01-02T03:04:60Z",
		"1767323045",
	};
	time_t when = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (timestamp_parse(bad[i], &when) != -EINVAL)
			fail_msg("accepted %s", bad[i]);
	assert_int_equal(when, 7);
	assert_int_equal(timestamp_parse("2026-01-02T03:04:05Z", &when), 0);
	assert_int_equal(when, 1767323045);
	assert_int_equal(timestamp_parse("2028-02-29T00:00:00Z", &when), 0);
}

static void test_text(void **state)
{
	static const char want[] = "{\"a\":\"x\\\"\\\\\\u000a\",\"b\":\"\"}";
	struct text t = {};

	(void)state;
	text_add(&t, "{");
	text_add_member(&t, "a", "x\"\\\n");
	text_add_member(&t, "b", "");
	text_add(&t, "}");
	assert_int_equal(text_error(&t), 0);
	assert_int_equal(t.len, sizeof(want) - 1);
	assert_memory_equal(t.data, want, t.len);
	text_done(&t);
	assert_null(t.data);
}

/* R4: below 10,000 bytes in all, and an error that sticks above. */
static void test_text_limit(void **state)
{
	struct text t = {};

	(void)state;
	for (int i = 0; i < 9999; i++)
		text_add(&t, "x");
	assert_int_equal(text_error(&t), 0);
	assert_int_equal(t.len, 9999);
	text_add(&t, "");
	assert_int_equal(text_error(&t), 0);
	text_add(&t, "x");
	assert_int_equal(text_error(&t), -E2BIG);
	text_add(&t, "");
	assert_int_equal(text_error(&t), -E2BIG);
	text_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_path_sizes),
		cmocka_unit_test(test_timestamp_format),
		cmocka_unit_test(test_timestamp_parse),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
