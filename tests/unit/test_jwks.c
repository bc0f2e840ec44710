// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/tokens.c */
/* MODULES: crypto base */
/* LIBS: -ljansson -lcrypto */
/* Key sets: each kind of key that can be used, and each that cannot. */
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
#include "crypto/internal.h"
#include "crypto/jwks.h"
#include "tokens.h"

static int parse(const char *text, struct crypto_jwks **ret, struct pc_err *err)
{
	return crypto_jwks_parse(text, strlen(text), ret, err);
}

/* ---- keys that can be used ---- */

static void keys_of_each_algorithm_are_found_by_kid(void **state)
{
	static const struct {
		const char *key, *alg, *is;
	} rows[] = {
		{"RSA-2048", "RS256", "RS256"}, {"RSA-2048", "RS384", "RS384"},
		{"RSA-2048", "RS512", "RS512"}, {"RSA-2048", NULL, "RS256"},
		{"RSA-3072", "RS256", "RS256"}, {"P-256", "ES256", "ES256"},
		{"P-256", NULL, "ES256"},	{"P-384", "ES384", "ES384"},
		{"P-384", NULL, "ES384"},	{"P-521", "ES512", "ES512"},
		{"P-521", NULL, "ES512"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text =
			tokens_jwks(tokens_jwk(tokens_key(rows[i].key), "one", rows[i].alg), NULL);
		struct crypto_jwks *keys;
		struct pc_err err = {};

		if (parse(text, &keys, &err) < 0)
			fail_msg("%s %s: %s", rows[i].key, rows[i].alg, err.msg);
		assert_int_equal(crypto_jwks_count(keys), 1);
		assert_int_equal(crypto_jwks_unusable(keys), 0);
		assert_string_equal(crypto_jwks_defect(keys), "");
		assert_non_null(crypto_jwks_find(keys, "one"));
		assert_string_equal(crypto_jwks_find(keys, "one")->algorithm->name, rows[i].is);
		assert_int_equal(
			EVP_PKEY_eq(crypto_jwks_find(keys, "one")->key, tokens_key(rows[i].key)),
			1);
		assert_null(crypto_jwks_find(keys, "On"));
		assert_null(crypto_jwks_find(keys, ""));
		crypto_jwks_unref(keys);
		free(text);
	}
}

static void a_set_is_shared(void **state)
{
	char *text = tokens_jwks(tokens_jwk(tokens_key("P-256"), "one", NULL), NULL);
	struct crypto_jwks *keys;

	(void)state;
	assert_int_equal(parse(text, &keys, NULL), 0);
	assert_ptr_equal(crypto_jwks_ref(keys), keys);
	assert_null(crypto_jwks_unref(keys));
	assert_int_equal(crypto_jwks_count(keys), 1);
	assert_null(crypto_jwks_unref(keys));
	assert_null(crypto_jwks_ref(NULL));
	assert_null(crypto_jwks_unref(NULL));
	free(text);
}

/* ---- keys that cannot ---- */

/* The second of two keys, which the first does not suffer from. patch: of that key. */
struct bad {
	const char *key, *patch, *defect;
};

static char *patched(const char *key, const char *patch)
{
	json_t *jwk = tokens_jwk(tokens_key(key), "two", NULL);
	char *base = json_dumps(jwk, 0), *text = tokens_patch(base, patch);

	json_decref(jwk);
	free(base);
	return text;
}

static void check_bad(const struct bad *row)
{
	char *jwk = patched(row->key, row->patch);
	char *text = tokens_jwks(tokens_jwk(tokens_key("P-256/good"), "one", NULL),
				 json_loads(jwk, 0, NULL), NULL);
	struct crypto_jwks *keys;
	struct pc_err err = {};

	if (parse(text, &keys, &err) < 0)
		fail_msg("%s %s: %s", row->key, row->patch, err.msg);
	if (crypto_jwks_count(keys) != 1 || crypto_jwks_unusable(keys) != 1 ||
	    strncmp(crypto_jwks_defect(keys), "key 2 ", 6) != 0 ||
	    !strstr(crypto_jwks_defect(keys), row->defect))
		fail_msg("%s %s: %zu, %zu, %s", row->key, row->patch, crypto_jwks_count(keys),
			 crypto_jwks_unusable(keys), crypto_jwks_defect(keys));
	assert_null(crypto_jwks_find(keys, "two"));
	assert_non_null(crypto_jwks_find(keys, "one"));
	crypto_jwks_unref(keys);
	free(text);
	free(jwk);
}

#define HALF "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* 32 zero bytes */

static void what_cannot_be_used_is_left_out_and_counted(void **state)
{
	static const struct bad rows[] = {
		{"RSA-1024", "{}", "has 1024 bits"},
		{"RSA-2047", "{}", "has 2047 bits"},
		{"RSA-2048", "{\"e\":\"AQ\"}", "n or e"},
		{"RSA-2048", "{\"e\":\"AAAA\"}", "n or e"},
		{"RSA-2048", "{\"e\":\"AQAA\"}", "n or e"},
		{"RSA-2048", "{\"e\":\"AQAAAAE\"}", "n or e"},
		{"RSA-2048", "{\"e\":\"\"}", "no n and e"},
		{"RSA-2048", "{\"e\":null}", "no n and e"},
		{"RSA-2048", "{\"e\":65537}", "no n and e"},
		{"RSA-2048", "{\"e\":\"AQAB=\"}", "no n and e"},
		{"RSA-2048", "{\"n\":\"AQAB\"}", "has 17 bits"},
		{"RSA-2048", "{\"n\":\"####\"}", "no n and e"},
		{"RSA-2048", "{\"d\":\"AQAB\"}", "private"},
		{"RSA-2048", "{\"alg\":\"HS256\"}", "kind"},
		{"RSA-2048", "{\"alg\":\"none\"}", "kind"},
		{"RSA-2048", "{\"alg\":\"PS256\"}", "kind"},
		{"RSA-2048", "{\"alg\":\"ES256\"}", "kind"},
		{"RSA-2048", "{\"alg\":5}", "kind"},
		{"RSA-2048", "{\"kty\":\"EC\"}", "kind"},
		{"RSA-2048", "{\"kty\":\"oct\",\"k\":\"AAAA\"}", "kind"},
		{"RSA-2048", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", "kind"},
		{"RSA-2048", "{\"kty\":null}", "kind"},
		{"RSA-2048", "{\"kty\":\"rsa\"}", "kind"},
		{"RSA-2048", "{\"use\":\"enc\"}", "signatures"},
		{"RSA-2048", "{\"use\":1}", "signatures"},
		{"RSA-2048", "{\"key_ops\":[\"sign\"]}", "signatures"},
		{"RSA-2048", "{\"key_ops\":[]}", "signatures"},
		{"RSA-2048", "{\"key_ops\":\"verify\"}", "signatures"},
		{"RSA-2048", "{\"kid\":null}", "no kid"},
		{"RSA-2048", "{\"kid\":\"\"}", "no kid"},
		{"RSA-2048", "{\"kid\":2}", "no kid"},
		{"P-256", "{\"kty\":\"RSA\"}", "no n and e"},
		{"P-256", "{\"crv\":\"P-384\"}", "48 bytes"},
		{"P-256", "{\"crv\":\"secp256k1\"}", "kind"},
		{"P-256", "{\"crv\":null}", "kind"},
		{"P-256", "{\"alg\":\"ES384\"}", "kind"},
		{"P-256", "{\"alg\":\"RS256\"}", "kind"},
		{"P-256", "{\"x\":\"" HALF "\"}", "no point of P-256"},
		{"P-256", "{\"x\":\"" HALF "\",\"y\":\"" HALF "\"}", "no point of P-256"},
		{"P-256", "{\"x\":\"AAAA\"}", "32 bytes"},
		{"P-256", "{\"y\":null}", "32 bytes"},
		{"P-256", "{\"d\":\"AAAA\"}", "private"},
		{"P-224", "{}", "kind"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_bad(&rows[i]);
}

/* An RSA key whose n has size bytes, all but the last one 0xff. */
static void check_n(size_t size, uint8_t last, const char *defect)
{
	uint8_t n[1025];
	char *text, patch[1500];
	struct bad row = {"RSA-2048", patch, defect};

	memset(n, 0xff, size - 1);
	n[size - 1] = last;
	text = tokens_encode(n, size);
	snprintf(patch, sizeof(patch), "{\"n\":\"%s\"}", text);
	check_bad(&row);
	free(text);
}

static void no_rsa_key_has_such_an_n(void **state)
{
	(void)state;
	check_n(1025, 0xff, "has 8200 bits");
	check_n(256, 0xfe, "n or e");
}

static void a_kid_has_a_bound(void **state)
{
	(void)state;
	for (size_t len = CRYPTO_KID_SIZE - 1; len <= CRYPTO_KID_SIZE; len++) {
		char kid[CRYPTO_KID_SIZE + 1] = {}, *text;
		struct crypto_jwks *keys = NULL;

		memset(kid, 'k', len);
		text = tokens_jwks(tokens_jwk(tokens_key("P-256"), kid, NULL), NULL);
		assert_int_equal(parse(text, &keys, NULL), len < CRYPTO_KID_SIZE ? 0 : -EINVAL);
		if (keys)
			assert_non_null(crypto_jwks_find(keys, kid));
		crypto_jwks_unref(keys);
		free(text);
	}
}

static void of_two_keys_with_one_kid_none_is_used(void **state)
{
	char *text = tokens_jwks(tokens_jwk(tokens_key("P-256"), "one", NULL),
				 tokens_jwk(tokens_key("P-384"), "one", NULL),
				 tokens_jwk(tokens_key("P-256"), "one", NULL),
				 tokens_jwk(tokens_key("P-521"), "two", NULL), NULL);
	struct crypto_jwks *keys;

	(void)state;
	assert_int_equal(parse(text, &keys, NULL), 0);
	assert_int_equal(crypto_jwks_count(keys), 1);
	assert_int_equal(crypto_jwks_unusable(keys), 3);
	assert_null(crypto_jwks_find(keys, "one"));
	assert_non_null(crypto_jwks_find(keys, "two"));
	crypto_jwks_unref(keys);
	free(text);
}

static void a_key_may_be_there_twice(void **state)
{
	char *text = tokens_jwks(tokens_jwk(tokens_key("P-256"), "one", NULL),
				 tokens_jwk(tokens_key("P-256"), "one", NULL), NULL);
	struct crypto_jwks *keys;

	(void)state;
	assert_int_equal(parse(text, &keys, NULL), 0);
	assert_int_equal(crypto_jwks_count(keys), 1);
	assert_int_equal(crypto_jwks_unusable(keys), 0);
	assert_non_null(crypto_jwks_find(keys, "one"));
	crypto_jwks_unref(keys);
	free(text);
}

/* ---- what is no set ---- */

static void what_is_no_set_is_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"", "line 1: not JSON"},
		{"\n\n{", "line 3: not JSON"},
		{"null", "not JSON"},
		{"[]", "\"keys\""},
		{"{}", "\"keys\""},
		{"{\"keys\":{}}", "\"keys\""},
		{"{\"keys\":null}", "\"keys\""},
		{"{\"keys\":[]}", "none of its keys can be used"},
		{"{\"keys\":[1]}", "none of its keys can be used: key 1 has no kid"},
		{"{\"keys\":[{\"kid\":\"a\"},{}]}",
		 "none of its keys can be used: key 1 is of a kind"},
		{"{\"keys\":[],\"keys\":[]}", "twice"},
		{"{\"keys\":[]} {}", "not JSON"},
		{"{\"keys\":[\"\\u0000\"]}", "not JSON"},
		{"{\"keys\":[\"\xff\"]}", "not JSON"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct crypto_jwks *keys = NULL;
		struct pc_err err = {};

		if (parse(rows[i].text, &keys, &err) != -EINVAL ||
		    !strstr(err.msg, rows[i].message))
			fail_msg("%s: %s", rows[i].text, err.msg);
		assert_null(keys);
	}
}

static void a_set_has_bounds(void **state)
{
	json_t *list = json_array(), *set = json_pack("{s:o}", "keys", list);
	char *text, *padded = malloc(CRYPTO_JWKS_MAX_SIZE + 2);
	struct crypto_jwks *keys = NULL;

	(void)state;
	for (int i = 0; i < CRYPTO_JWKS_MAX_KEYS; i++) {
		char kid[16];

		snprintf(kid, sizeof(kid), "%d", i);
		json_array_append_new(list, tokens_jwk(tokens_key("P-256"), kid, NULL));
	}
	text = json_dumps(set, 0);
	assert_int_equal(parse(text, &keys, NULL), 0);
	assert_int_equal(crypto_jwks_count(keys), CRYPTO_JWKS_MAX_KEYS);
	crypto_jwks_unref(keys);
	memset(padded, ' ', CRYPTO_JWKS_MAX_SIZE + 1);
	memcpy(padded, text, strlen(text));
	assert_int_equal(crypto_jwks_parse(padded, CRYPTO_JWKS_MAX_SIZE, &keys, NULL), 0);
	crypto_jwks_unref(keys);
	assert_int_equal(crypto_jwks_parse(padded, CRYPTO_JWKS_MAX_SIZE + 1, &keys, NULL), -E2BIG);
	free(text);
	json_array_append_new(list, json_object());
	text = json_dumps(set, 0);
	assert_int_equal(parse(text, &keys, NULL), -E2BIG);
	free(text);
	free(padded);
	json_decref(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_each_algorithm_are_found_by_kid),
		cmocka_unit_test(a_set_is_shared),
		cmocka_unit_test(what_cannot_be_used_is_left_out_and_counted),
		cmocka_unit_test(no_rsa_key_has_such_an_n),
		cmocka_unit_test(a_kid_has_a_bound),
		cmocka_unit_test(of_two_keys_with_one_kid_none_is_used),
		cmocka_unit_test(a_key_may_be_there_twice),
		cmocka_unit_test(what_is_no_set_is_refused),
		cmocka_unit_test(a_set_has_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
