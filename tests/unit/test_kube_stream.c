// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube identity base */
/* LIBS: -ljansson */
/* Lists and watches cut into objects: what is inside and around them, their size, and where the bytes
 * are split. What is no list is refused. The fuzz target does the same with what nobody thought of. */
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
#include "base/err.h"
#include "kube/stream.h"

/* What came of an answer, as text: "OBJECT|OBJECT|" and how it ended. */
struct seen {
	char text[4096];
	size_t len, skipped, largest;
	int refuse; /* what object() returns */
	int r;
	struct pc_err err;
};

static int on_object(void *arg, const char *json, size_t len, struct pc_err *err)
{
	struct seen *seen = arg;

	if (len > seen->largest)
		seen->largest = len;
	if (seen->len + len + 1 < sizeof(seen->text)) {
		memcpy(seen->text + seen->len, json, len);
		seen->len += len;
		seen->text[seen->len++] = '|';
	}
	return seen->refuse ? pc_err_set(err, seen->refuse, "refused") : 0;
}

static void on_skipped(void *arg)
{
	struct seen *seen = arg;

	seen->skipped++;
}

static const struct kube_stream_events events = {.object = on_object, .skipped = on_skipped};

/* step: bytes at a time; 0: all at once. */
static void read_answer(enum kube_stream_kind kind, const char *text, size_t len, size_t step,
			struct seen *seen)
{
	struct kube_stream_list list = {};
	struct kube_stream *stream;

	assert_int_equal(kube_stream_new(kind, &events, seen, &stream), 0);
	for (size_t at = 0; at < len && seen->r == 0;) {
		size_t n = step && step < len - at ? step : len - at;

		seen->r = kube_stream_feed(stream, text + at, n, &seen->err);
		at += n;
	}
	if (seen->r == 0)
		seen->r = kube_stream_end(stream, &list, &seen->err);
	else
		assert_int_equal(kube_stream_end(stream, &list, &seen->err), seen->r);
	if (seen->r == 0 && kind == KUBE_STREAM_LIST)
		seen->len +=
			(size_t)snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len,
					 " %s %s %s", list.kind, list.version, list.next);
	kube_stream_free(stream);
}

/* Whole, and in pieces of one to nine bytes. */
static void check(enum kube_stream_kind kind, const char *text, const char *want)
{
	for (size_t step = 0; step < 10; step++) {
		struct seen seen = {};

		read_answer(kind, text, strlen(text), step, &seen);
		if (seen.r < 0)
			fail_msg("%s\nin steps of %zu of:\n%s", seen.err.msg, step, text);
		assert_string_equal(seen.text, want);
	}
}

static void check_bad(enum kube_stream_kind kind, const char *text, const char *want)
{
	for (size_t step = 0; step < 10; step++) {
		struct seen seen = {};

		read_answer(kind, text, strlen(text), step, &seen);
		if (seen.r != -EINVAL || !strstr(seen.err.msg, want))
			fail_msg("%d: \"%s\", not \"%s\", in steps of %zu of:\n%s", seen.r,
				 seen.err.msg, want, step, text);
	}
}

static void test_lists(void **state)
{
	(void)state;
	check(KUBE_STREAM_LIST,
	      "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"7\","
	      "\"continue\":\"abc\",\"remainingItemCount\":3},\"items\":[{\"a\":1},{\"b\":[2]}]}\n",
	      "{\"a\":1}|{\"b\":[2]}| PodList 7 abc");
	/* any order, any space, members that nobody knows */
	check(KUBE_STREAM_LIST,
	      " {\n \"items\" : [ {\"a\" : \"}]\\\"\" } ,\t{ } , null , 1 , \"x\\\\\" ] , \"x\" : "
	      "[[{}],-1e9],"
	      "\"y\":true , \"metadata\" : { \"resourceVersion\" : \"8\" }, \"kind\" : \"PodList\" "
	      "} \r\n",
	      "{\"a\" : \"}]\\\"\" }|{ }|null|1|\"x\\\\\"| PodList 8 ");
	check(KUBE_STREAM_LIST, "{\"items\":[]}", "   ");
	check(KUBE_STREAM_LIST, "{\"items\":null,\"kind\":7,\"metadata\":{\"resourceVersion\":9}}",
	      "   ");
	/* what is inside of an object is not for here */
	check(KUBE_STREAM_LIST, "{\"items\":[{:,, \"\x01\xff\"},x]}", "{:,, \"\x01\xff\"}|x|   ");
}

static void test_no_lists(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", "ends too early"},
		{"[]", "byte 0 of the answer: it is no JSON object"},
		{"<html>", "no JSON object"},
		{"{\"items\":[{}", "ends too early"},
		{"{\"items\":[{},", "ends too early"},
		{"{\"items\":[{}]", "ends too early"},
		{"{\"items\":[\"", "ends too early"},
		{"{\"items\":[1", "ends too early"},
		{"{\"items\":{}}", "byte 9 of the answer: items is no list"},
		{"{\"items\":[],\"items\":[]}", "a second list"},
		{"{\"kind\":\"a\",\"kind\":\"b\"}", "a second kind"},
		{"{\"metadata\":{},\"metadata\":{}}", "a second"},
		{"{\"metadata\":{:}}", "a key is missing"},
		{"{\"kind\":\"Status\",\"code\":403}", "it has no items"},
		{"{}", "it has no items"},
		{"{,}", "a key is missing"},
		{"{\"a\":1,}", "a key is missing"},
		{"{\"a\" 1}", "a colon"},
		{"{\"a\":}", "a value is missing"},
		{"{\"a\":1 2}", "a comma or a bracket"},
		{"{\"items\":[,]}", "a value is missing"},
		{"{\"items\":[1,]}", "a value is missing"},
		{"{\"items\":[1 2]}", "a comma or a bracket"},
		{"{\"items\":[}]}", "a value is missing"},
		{"{\"items\":[{]}]}", "byte 11 of the answer: a closing bracket of the other kind"},
		{"{\"items\":[[}]]}", "of the other kind"},
		{"{\"items\":[]} x", "something behind its end"},
		{"{\"items\":[]}{", "something behind its end"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_bad(KUBE_STREAM_LIST, cases[i].text, cases[i].want);
}

static void test_lines(void **state)
{
	(void)state;
	check(KUBE_STREAM_LINES, "{\"a\":1}\n\n \r\n  [2] \r\nnot json\n",
	      "{\"a\":1}|[2]|not json|");
	check(KUBE_STREAM_LINES, "", "");
	check_bad(KUBE_STREAM_LINES, "{\"a\":1}\n{\"a\"",
		  "byte 12 of the answer: it ends too early");
}

/* An answer with an object of that many bytes between two small ones. */
static char *around(enum kube_stream_kind kind, size_t size, size_t *ret_len)
{
	const char *before = kind == KUBE_STREAM_LIST ? "{\"items\":[1,\"" : "1\n\"";
	const char *after = kind == KUBE_STREAM_LIST ? "\",2]}" : "\"\n2\n";
	char *text = malloc(size + 32);

	assert_non_null(text);
	memset(text, 'x', size + 32);
	memcpy(text, before, strlen(before));
	memcpy(text + strlen(before) + size - 2, after, strlen(after));
	*ret_len = strlen(before) + size - 2 + strlen(after);
	return text;
}

static void check_size(enum kube_stream_kind kind, size_t size, size_t step)
{
	size_t len;
	_cleanup_free_ char *text = around(kind, size, &len);
	struct seen seen = {};

	read_answer(kind, text, len, step, &seen);
	assert_int_equal(seen.r, 0);
	assert_int_equal(seen.skipped, size > KUBE_STREAM_MAX);
	assert_int_equal(seen.largest, size > KUBE_STREAM_MAX ? 1 : size);
	assert_memory_equal(seen.text, "1|2|", 4);
}

/* It costs itself only. */
static void test_large(void **state)
{
	static const size_t steps[] = {0, 1 << 14, 4095, KUBE_STREAM_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		for (size_t size = KUBE_STREAM_MAX - 1; size < KUBE_STREAM_MAX + 3; size++) {
			check_size(KUBE_STREAM_LIST, size, steps[i]);
			check_size(KUBE_STREAM_LINES, size, steps[i]);
		}
	for (int kind = KUBE_STREAM_LIST; kind <= KUBE_STREAM_LINES; kind++) {
		check_size(kind, 5 * KUBE_STREAM_MAX, 1 << 14);
		check_size(kind, 2 * KUBE_STREAM_MAX, KUBE_STREAM_MAX + 32);
	}
}

static void check_deep(size_t depth, int want)
{
	static char text[2 * KUBE_STREAM_DEPTH + 64];
	struct seen seen = {};
	size_t len = 0;

	len += (size_t)sprintf(text, "{\"items\":[");
	for (size_t i = 0; i < depth; i++)
		text[len++] = '[';
	for (size_t i = 0; i < depth; i++)
		text[len++] = ']';
	len += (size_t)sprintf(text + len, "]}");
	read_answer(KUBE_STREAM_LIST, text, len, 0, &seen);
	assert_int_equal(seen.r, want);
}

static void test_deep(void **state)
{
	(void)state;
	check_deep(KUBE_STREAM_DEPTH, 0);
	check_deep(KUBE_STREAM_DEPTH + 1, -EINVAL);
}

/* Who takes the objects may end it; nothing is handed over after that. */
static void test_refused(void **state)
{
	static const char *const answers[] = {"{\"items\":[1,2,3]}", "1\n2\n3\n"};

	(void)state;
	for (size_t step = 0; step < 4; step++)
		for (int kind = KUBE_STREAM_LIST; kind <= KUBE_STREAM_LINES; kind++) {
			struct seen seen = {.refuse = -ENOMEM};

			read_answer(kind, answers[kind], strlen(answers[kind]), step, &seen);
			assert_int_equal(seen.r, -ENOMEM);
			assert_string_equal(seen.err.msg, "refused");
			assert_string_equal(seen.text, "1|");
		}
}

/* A list must not be able to make a reader keep much of what it says of itself. */
static void test_long_metadata(void **state)
{
	size_t len;
	_cleanup_free_ char *text = around(KUBE_STREAM_LIST, 1 << 17, &len);
	struct seen seen = {};

	(void)state;
	memcpy(text, "{\"kind\":    ", 12);
	read_answer(KUBE_STREAM_LIST, text, len, 0, &seen);
	assert_int_equal(seen.r, -EINVAL);
	assert_non_null(strstr(seen.err.msg, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),	      cmocka_unit_test(test_no_lists),
		cmocka_unit_test(test_lines),	      cmocka_unit_test(test_large),
		cmocka_unit_test(test_deep),	      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
