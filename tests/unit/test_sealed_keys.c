// SPDX-License-Identifier: Apache-2.0
/* MODULES: aws crypto base */
/* LIBS: -ljansson -lexpat -lcrypto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws/sealed_keys.h"
#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "base/err.h"

#define KEY1 "1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
#define KEY2 "2 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"

static const struct aws_sealed_scope scope = {"eks-auth", "demo"};

static struct aws_sealing *sealing_of(const char *text)
{
	struct aws_sealing *sealing = NULL;
	struct pc_err err = {};

	if (aws_sealing_parse(text, strlen(text), &sealing, &err) < 0)
		fail_msg("%s", err.msg);
	return sealing;
}

static int open_with(const char *masters, const struct aws_sealed_scope *with, const char *id,
		     const char *token, time_t now, struct aws_sealed_identity *ret)
{
	struct aws_sealing *sealing = sealing_of(masters);
	int r = aws_sealed_open(sealing, with, id, token, now, ret);

	aws_sealing_free(sealing);
	return r;
}

static struct aws_sealed_keys issue(const char *masters, const char *identity, time_t expires)
{
	struct aws_sealing *sealing = sealing_of(masters);
	struct aws_sealed_keys keys;

	assert_int_equal(
		aws_sealed_issue(sealing, &scope, identity, strlen(identity), expires, &keys), 0);
	aws_sealing_free(sealing);
	return keys;
}

static void test_there_and_back(void **state)
{
	struct aws_sealed_keys keys = issue(KEY1, "who", 1000);
	struct aws_sealed_identity got;

	(void)state;
	assert_true(aws_sealed_is_id(keys.access_key_id));
	assert_int_equal(open_with(KEY1, &scope, keys.access_key_id, keys.session_token, 999, &got),
			 0);
	assert_string_equal(got.identity, "who");
	assert_int_equal(got.expires, 1000);
	assert_string_equal(got.secret_access_key, keys.secret_access_key);
	assert_int_equal(
		open_with(KEY1, &scope, keys.access_key_id, keys.session_token, 1000, &got),
		-ETIME);
	aws_sealed_keys_done(&keys);
	assert_null(keys.session_token);
}

static void test_no_two_are_alike(void **state)
{
	struct aws_sealed_keys a = issue(KEY1, "who", 1000), b = issue(KEY1, "who", 1000);
	struct aws_sealed_identity got;

	(void)state;
	assert_string_not_equal(a.access_key_id, b.access_key_id);
	assert_string_not_equal(a.session_token, b.session_token);
	assert_string_not_equal(a.secret_access_key, b.secret_access_key);
	assert_int_equal(open_with(KEY1, &scope, a.access_key_id, b.session_token, 1, &got),
			 -EKEYREJECTED);
	aws_sealed_keys_done(&a);
	aws_sealed_keys_done(&b);
}

/* The new key first seals nothing, then everything; the old one opens until it is taken away. */
static void test_rotation(void **state)
{
	struct aws_sealed_keys old = issue(KEY1 KEY2, "who", 1000),
			       new = issue(KEY2 KEY1, "who", 1000);
	struct aws_sealed_identity got;

	(void)state;
	assert_int_equal(
		open_with(KEY2 KEY1, &scope, old.access_key_id, old.session_token, 1, &got), 0);
	assert_int_equal(
		open_with(KEY1 KEY2, &scope, new.access_key_id, new.session_token, 1, &got), 0);
	assert_int_equal(open_with(KEY2, &scope, new.access_key_id, new.session_token, 1, &got), 0);
	assert_int_equal(open_with(KEY2, &scope, old.access_key_id, old.session_token, 1, &got),
			 -EKEYREJECTED);
	aws_sealed_keys_done(&old);
	aws_sealed_keys_done(&new);
}

static void test_scope(void **state)
{
	const struct aws_sealed_scope purpose = {"eks", "demo"}, cluster = {"eks-auth", "prod"};
	struct aws_sealed_keys keys = issue(KEY1, "who", 1000);
	struct aws_sealed_identity got;

	(void)state;
	assert_int_equal(open_with(KEY1, &purpose, keys.access_key_id, keys.session_token, 1, &got),
			 -EKEYREJECTED);
	assert_int_equal(open_with(KEY1, &cluster, keys.access_key_id, keys.session_token, 1, &got),
			 -EKEYREJECTED);
	aws_sealed_keys_done(&keys);
}

static void test_each_byte_counts(void **state)
{
	struct aws_sealed_keys keys = issue(KEY1, "who", 1000);
	struct aws_sealed_identity got;

	(void)state;
	for (size_t i = 0; keys.session_token[i]; i++) {
		char before = keys.session_token[i];
		int r;

		keys.session_token[i] = before == 'A' ? 'B' : 'A';
		r = open_with(KEY1, &scope, keys.access_key_id, keys.session_token, 1, &got);
		if (r != -EKEYREJECTED)
			fail_msg("byte %zu: %d", i, r);
		keys.session_token[i] = before;
	}
	for (size_t len = strlen(keys.session_token); len-- > 0;) {
		keys.session_token[len] = '\0';
		assert_int_equal(
			open_with(KEY1, &scope, keys.access_key_id, keys.session_token, 1, &got),
			-EKEYREJECTED);
	}
	aws_sealed_keys_done(&keys);
}

static void test_size(void **state)
{
	struct aws_sealing *sealing = sealing_of(KEY1);
	char *large = calloc(1, AWS_SEALED_MAX + 1);
	struct aws_sealed_keys keys;
	struct aws_sealed_identity got;

	(void)state;
	assert_non_null(large);
	memset(large, 'x', AWS_SEALED_MAX);
	assert_int_equal(aws_sealed_issue(sealing, &scope, large, AWS_SEALED_MAX, 9, &keys), 0);
	assert_int_equal(
		aws_sealed_open(sealing, &scope, keys.access_key_id, keys.session_token, 1, &got),
		0);
	assert_int_equal(got.len, AWS_SEALED_MAX);
	assert_memory_equal(got.identity, large, AWS_SEALED_MAX);
	aws_sealed_keys_done(&keys);
	assert_int_equal(aws_sealed_issue(sealing, &scope, large, AWS_SEALED_MAX + 1, 9, &keys),
			 -EINVAL);
	free(large);
	aws_sealing_free(sealing);
}

static void test_bad_masters(void **state)
{
	static const char *const texts[] = {
		"",
		"# none\n\n",
		"1\n",
		"1 \n",
		"0 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"256 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"1 AAAA\n",
		"1 ####\n",
		KEY1 KEY1,
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct aws_sealing *sealing = NULL;
		struct pc_err err = {};

		assert_int_equal(aws_sealing_parse(texts[i], strlen(texts[i]), &sealing, &err),
				 -EINVAL);
		assert_non_null(strchr(err.msg, ' '));
		assert_null(strstr(err.msg, "AAAA"));
	}
}

/* As a client of AWS uses them. */
static void test_signature(void **state)
{
	struct aws_sealed_keys keys = issue(KEY1, "who", 2000000000);
	const struct aws_keys client = {keys.access_key_id, keys.secret_access_key,
					keys.session_token};
	const struct aws_scope sigv4 = {"eu-west-1", "eks-auth"};
	struct aws_header headers[] = {{"Host", "127.0.0.1:8443"},
				       {"Content-Type", "application/json"},
				       {"X-Amz-Date", ""},
				       {"X-Amz-Security-Token", keys.session_token}};
	struct aws_request request = {"POST", "/clusters/demo/x", headers, 2, "{}", 2};
	struct aws_sealed_identity got;
	struct aws_signed s = {};
	struct aws_claim claim;

	(void)state;
	assert_int_equal(aws_sign(&request, &client, &sigv4, 1767323045, &s), 0);
	headers[2].value = s.date;
	request.n_headers = 4;
	assert_int_equal(aws_claim_parse(s.authorization, &claim), 0);
	assert_int_equal(
		open_with(KEY1, &scope, claim.access_key_id, keys.session_token, 1767323045, &got),
		0);
	assert_int_equal(aws_verify(&request, &claim, got.secret_access_key, &sigv4, 1767323045),
			 0);
	request.body = "[]";
	assert_int_equal(aws_verify(&request, &claim, got.secret_access_key, &sigv4, 1767323045),
			 -EKEYREJECTED);
	aws_signed_done(&s);
	aws_sealed_keys_done(&keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),	 cmocka_unit_test(test_no_two_are_alike),
		cmocka_unit_test(test_rotation),	 cmocka_unit_test(test_scope),
		cmocka_unit_test(test_each_byte_counts), cmocka_unit_test(test_size),
		cmocka_unit_test(test_bad_masters),	 cmocka_unit_test(test_signature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
