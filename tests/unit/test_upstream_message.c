// SPDX-License-Identifier: Apache-2.0
/* MODULES: upstream base */
/* LIBS: -ljansson */
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
#include "upstream/message.h"

#define POD "\"namespace\":\"shop\",\"pod\":\"web-0\",\"podUid\":\"u-1\",\"serviceAccount\":\"web\""

/* One of each type, with all that it may have, as text. */
static const char *const complete[UPSTREAM_TYPES] = {
	[UPSTREAM_HELLO] = "{\"type\":\"hello\",\"version\":1,\"role\":\"fetch\"}",
	[UPSTREAM_CREDENTIALS] = "{\"type\":\"credentials\",\"id\":7," POD ",\"token\":\"a.b.c\"}",
	[UPSTREAM_REVIEW] = "{\"type\":\"review\",\"id\":9223372036854775807,\"token\":\"a.b.c\","
			    "\"for\":\"sts\"}",
	[UPSTREAM_METADATA] = "{\"type\":\"metadata\",\"id\":0,\"path\":\"/latest/meta-data/mac\"}",
	[UPSTREAM_GRANT] =
		"{\"type\":\"grant\",\"id\":7,\"accessKeyId\":\"ASIAX\",\"secretAccessKey\":"
		"\"s/+=\",\"sessionToken\":\"t\",\"expiration\":1767323045,\"refreshMs\":60000,"
		"\"role\":\"app\",\"roleArn\":\"arn:aws:iam::111122223333:role/app\","
		"\"accountId\":\"111122223333\",\"sessionName\":\"shop.web.web-0\","
		"\"roleId\":\"AROAX:shop.web.web-0\",\"source\":\"sts\","
		"\"cache\":\"stale\"}",
	[UPSTREAM_VERDICT] = "{\"type\":\"verdict\",\"id\":7,\"namespace\":\"shop\","
			     "\"serviceAccount\":\"web\",\"podUid\":\"u-1\",\"validMs\":86400000}",
	[UPSTREAM_DOCUMENT] = "{\"type\":\"document\",\"id\":7,\"contentType\":\"text/plain\","
			      "\"body\":\"a\\u000ab \\\"c\\\\\",\"validMs\":0}",
	[UPSTREAM_REFUSAL] =
		"{\"type\":\"refusal\",\"id\":7,\"reason\":\"denied\",\"message\":"
		"\"AWS says no\",\"retryMs\":30000,\"roleArn\":\"arn\",\"source\":\"sts\"}",
	[UPSTREAM_KEYS] =
		"{\"type\":\"keys\",\"verify\":\"jwks\",\"issuers\":[\"https://a\",\"b\"],"
		"\"audience\":\"pods.eks.amazonaws.com\",\"stsAudience\":\"sts.amazonaws.com\","
		"\"jwks\":\"{}\"}",
	[UPSTREAM_FLUSH] = "{\"type\":\"flush\",\"podUid\":\"u-1\"}",
	[UPSTREAM_WANT_KEYS] = "{\"type\":\"wantKeys\"}",
	[UPSTREAM_GONE] = "{\"type\":\"gone\",\"podUid\":\"u-1\"}",
};

static int decode(const char *text, struct upstream_decoded *ret, struct pc_err *err)
{
	return upstream_decode(text, strlen(text), ret, err);
}

static void assert_refused(const char *text, const char *why)
{
	struct upstream_decoded d = {.json = (void *)4711};
	struct pc_err err = {};

	if (decode(text, &d, &err) != -EINVAL)
		fail_msg("accepted: %s", text);
	assert_ptr_equal(d.json, (void *)4711);
	if (!strstr(err.msg, why))
		fail_msg("%s: \"%s\" and not \"%s\"", text, err.msg, why);
}

static void assert_encodes(const struct upstream_message *m, const char *want)
{
	_cleanup_(text_done) struct text text = {};

	assert_int_equal(upstream_encode(m, &text), 0);
	assert_int_equal(text.len, strlen(want));
	assert_memory_equal(text.data, want, text.len);
}

static void test_each_type_is_read_and_written(void **state)
{
	(void)state;
	for (unsigned type = 0; type < UPSTREAM_TYPES; type++) {
		struct upstream_decoded d;
		struct pc_err err = {};

		if (decode(complete[type], &d, &err) < 0)
			fail_msg("%s: %s", complete[type], err.msg);
		assert_int_equal(d.m.type, type);
		assert_encodes(&d.m, complete[type]);
		upstream_decoded_done(&d);
	}
}

static void test_values_arrive(void **state)
{
	struct upstream_decoded d;

	(void)state;
	assert_int_equal(decode(complete[UPSTREAM_GRANT], &d, NULL), 0);
	assert_int_equal(d.m.grant.id, 7);
	assert_string_equal(d.m.grant.secret_access_key, "s/+=");
	assert_int_equal(d.m.grant.expiration, 1767323045);
	assert_int_equal(d.m.grant.refresh_ms, 60000);
	assert_int_equal(d.m.grant.cache, UPSTREAM_CACHE_STALE);
	upstream_decoded_done(&d);
	assert_int_equal(decode(complete[UPSTREAM_KEYS], &d, NULL), 0);
	assert_int_equal(d.m.keys.issuers.n, 2);
	assert_string_equal(d.m.keys.issuers.v[1], "b");
	upstream_decoded_done(&d);
	assert_int_equal(decode(complete[UPSTREAM_DOCUMENT], &d, NULL), 0);
	assert_string_equal(d.m.document.body, "a\nb \"c\\");
	upstream_decoded_done(&d);
}

/* Without any one of its members a message is another one, or none. */
static void test_optional_members(void **state)
{
	struct upstream_decoded d;

	(void)state;
	assert_int_equal(decode("{\"type\":\"credentials\",\"id\":7," POD "}", &d, NULL), 0);
	assert_null(d.m.credentials.token);
	upstream_decoded_done(&d);
	assert_int_equal(decode("{\"type\":\"flush\"}", &d, NULL), 0);
	assert_null(d.m.flush.pod_uid);
	assert_encodes(&d.m, "{\"type\":\"flush\"}");
	upstream_decoded_done(&d);
	assert_int_equal(decode("{\"type\":\"keys\",\"verify\":\"off\"}", &d, NULL), 0);
	assert_int_equal(d.m.keys.issuers.n, 0);
	upstream_decoded_done(&d);
}

static void test_what_is_no_message(void **state)
{
	(void)state;
	assert_refused("", "not JSON");
	assert_refused("{", "not JSON");
	assert_refused("[]", "type that is not known");
	assert_refused("{}", "type that is not known");
	assert_refused("{\"type\":7}", "type that is not known");
	assert_refused("{\"type\":\"hello \"}", "type that is not known");
	assert_refused("{\"type\":\"gone\",\"podUid\":\"u\"} x", "not JSON");
	assert_refused("{\"type\":\"gone\",\"podUid\":\"u\",\"podUid\":\"v\"}", "not JSON");
	assert_refused("{\"type\":\"gone\",\"podUid\":\"\\u0000\"}", "not JSON");
	assert_refused("{\"type\":\"gone\",\"podUid\":\"\xff\"}", "not JSON");
}

static void test_members(void **state)
{
	(void)state;
	assert_refused("{\"type\":\"gone\"}", "without \"podUid\"");
	assert_refused("{\"type\":\"gone\",\"podUid\":\"u\",\"more\":1}", "that it has not");
	assert_refused("{\"type\":\"gone\",\"podUid\":null}", "a bad \"podUid\"");
	assert_refused("{\"type\":\"gone\",\"podUid\":\"\"}", "a bad \"podUid\"");
	assert_refused("{\"type\":\"gone\",\"podUid\":\"a\\nb\"}", "a bad \"podUid\"");
	assert_refused("{\"type\":\"gone\",\"podUid\":[\"u\"]}", "a bad \"podUid\"");
	assert_refused("{\"type\":\"review\",\"id\":-1,\"token\":\"t\"}", "a bad \"id\"");
	assert_refused("{\"type\":\"review\",\"id\":1.0,\"token\":\"t\"}", "a bad \"id\"");
	assert_refused("{\"type\":\"review\",\"id\":\"1\",\"token\":\"t\"}", "a bad \"id\"");
	assert_refused("{\"type\":\"review\",\"id\":9223372036854775808,\"token\":\"t\"}", "");
	assert_refused("{\"type\":\"hello\",\"version\":1,\"role\":\"serve\"}", "a bad \"role\"");
	assert_refused("{\"type\":\"keys\",\"verify\":\"off\",\"issuers\":[]}",
		       "a bad \"issuers\"");
	assert_refused("{\"type\":\"keys\",\"verify\":\"off\",\"issuers\":\"a\"}",
		       "a bad \"issuers\"");
	assert_refused("{\"type\":\"keys\",\"verify\":\"off\",\"issuers\":[\"a\",7]}",
		       "a bad \"issuers\"");
	assert_refused("{\"type\":\"keys\",\"verify\":\"off\",\"issuers\":[\"1\",\"2\",\"3\",\"4\","
		       "\"5\",\"6\",\"7\",\"8\",\"9\"]}",
		       "a bad \"issuers\"");
	assert_refused(
		"{\"type\":\"verdict\",\"id\":7,\"namespace\":\"a\",\"serviceAccount\":\"b\","
		"\"podUid\":\"c\",\"validMs\":86400001}",
		"a bad \"validMs\"");
}

/* No value of a message is in what is said of it: it may be a secret. */
static void test_errors_quote_nothing(void **state)
{
	struct upstream_decoded d;
	struct pc_err err = {};

	(void)state;
	assert_int_equal(decode("{\"type\":\"review\",\"id\":1,\"token\":\"hush\",\"x\":\"hush\"}",
				&d, &err),
			 -EINVAL);
	assert_null(strstr(err.msg, "hush"));
	assert_int_equal(decode("{\"type\":\"review\",\"id\":1,\"token\":\"hush", &d, &err),
			 -EINVAL);
	assert_null(strstr(err.msg, "hush"));
}

static char *filled(size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	text[len] = '\0';
	return text;
}

static int encode_token(const char *token)
{
	_cleanup_(text_done) struct text text = {};
	const struct upstream_message m = {.type = UPSTREAM_REVIEW, .review = {.token = token}};
	struct upstream_decoded d;
	int r = upstream_encode(&m, &text);

	if (r < 0)
		return r;
	r = upstream_decode(text.data, text.len, &d, NULL);
	if (r == 0)
		upstream_decoded_done(&d);
	return r;
}

static void test_sizes(void **state)
{
	_cleanup_free_ char *fits = filled(UPSTREAM_TOKEN_SIZE - 1);
	_cleanup_free_ char *too_long = filled(UPSTREAM_TOKEN_SIZE);

	(void)state;
	assert_int_equal(encode_token(fits), 0);
	assert_int_equal(encode_token(too_long), -EINVAL);
	assert_int_equal(encode_token(""), -EINVAL);
	assert_int_equal(encode_token(NULL), -EINVAL);
	assert_int_equal(encode_token("a\nb"), -EINVAL);
	assert_int_equal(encode_token("\xc3\x28"), -EINVAL);
}

/* Each byte of it becomes six. */
static void test_a_message_has_a_bound(void **state)
{
	_cleanup_free_ char *body = filled(UPSTREAM_BODY_SIZE - 1);
	struct upstream_message m = {.type = UPSTREAM_DOCUMENT, .document = {.body = body}};
	struct upstream_decoded d;
	struct text text = {};
	_cleanup_free_ char *spaces = filled(UPSTREAM_MESSAGE_MAX + 1);

	(void)state;
	assert_int_equal(upstream_encode(&m, &text), 0);
	text_done(&text);
	memset(body, '\n', strlen(body));
	assert_int_equal(upstream_encode(&m, &text), -EMSGSIZE);
	text_done(&text);
	memset(spaces, ' ', UPSTREAM_MESSAGE_MAX + 1);
	memcpy(spaces, "{\"type\":\"flush\"}", 16);
	assert_int_equal(upstream_decode(spaces, UPSTREAM_MESSAGE_MAX + 1, &d, NULL), -EINVAL);
	assert_int_equal(upstream_decode(spaces, UPSTREAM_MESSAGE_MAX, &d, NULL), 0);
	upstream_decoded_done(&d);
}

static void test_what_no_end_may_say(void **state)
{
	struct upstream_message m = {.type = UPSTREAM_REFUSAL,
				     .refusal = {.reason = UPSTREAM_REASON_MAX, .message = "m"}};
	struct text text = {};

	(void)state;
	assert_int_equal(upstream_encode(&m, &text), -EINVAL);
	text_done(&text);
	m.refusal.reason = UPSTREAM_DENIED;
	m.refusal.retry_ms = UPSTREAM_WAIT_MAX_MS + 1;
	assert_int_equal(upstream_encode(&m, &text), -EINVAL);
	text_done(&text);
	m.type = UPSTREAM_TYPES;
	assert_int_equal(upstream_encode(&m, &text), -EINVAL);
	text_done(&text);
}

static void test_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < UPSTREAM_TYPES; i++)
		assert_non_null(upstream_type_name(i));
	for (unsigned i = 0; i < UPSTREAM_REASON_MAX; i++)
		assert_non_null(upstream_reason_name(i));
	for (unsigned i = 0; i < UPSTREAM_CACHE_MAX; i++)
		assert_non_null(upstream_cache_name(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_type_is_read_and_written),
		cmocka_unit_test(test_values_arrive),
		cmocka_unit_test(test_optional_members),
		cmocka_unit_test(test_what_is_no_message),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_errors_quote_nothing),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_a_message_has_a_bound),
		cmocka_unit_test(test_what_no_end_may_say),
		cmocka_unit_test(test_words),
	};

	upstream_wipe_json();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
