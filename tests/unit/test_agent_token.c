// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent crypto base */
/* LIBS: -ljansson -lcrypto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/token.h"

#define NOW 1767323045
#define POD "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11"

static const uint8_t key[AGENT_TOKEN_KEY_SIZE] = {1, 2, 3, 4};
static const uint8_t other_key[AGENT_TOKEN_KEY_SIZE] = {1, 2, 3, 5};

static void test_round_trip(void **state)
{
	char token[TOKEN_SIZE], again[TOKEN_SIZE];
	time_t left = 0;

	(void)state;
	assert_int_equal(agent_token_make(key, POD, NOW + 60, token), 0);
	assert_int_equal(strlen(token), TOKEN_SIZE - 1);
	assert_int_equal(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_"),
			 TOKEN_SIZE - 1);
	assert_int_equal(agent_token_check(key, POD, token, NOW, &left), 0);
	assert_int_equal(left, 60);
	/* stateless: the same after a restart with the same key */
	assert_int_equal(agent_token_make(key, POD, NOW + 60, again), 0);
	assert_string_equal(token, again);
}

static void test_expiry(void **state)
{
	char token[TOKEN_SIZE];
	time_t left = 7;

	(void)state;
	assert_int_equal(agent_token_make(key, POD, NOW + 1, token), 0);
	assert_int_equal(agent_token_check(key, POD, token, NOW + 1, &left), -EKEYEXPIRED);
	assert_int_equal(agent_token_check(key, POD, token, NOW + 100, &left), -EKEYEXPIRED);
	assert_int_equal(left, 7);
	assert_int_equal(agent_token_check(key, POD, token, NOW, &left), 0);
	assert_int_equal(left, 1);
}

static void test_other_pod_or_key(void **state)
{
	char token[TOKEN_SIZE];
	time_t left;

	(void)state;
	assert_int_equal(agent_token_make(key, POD, NOW + 60, token), 0);
	assert_int_equal(
		agent_token_check(key, "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c12", token, NOW, &left),
		-EBADMSG);
	assert_int_equal(agent_token_check(key, "", token, NOW, &left), -EBADMSG);
	assert_int_equal(agent_token_check(other_key, POD, token, NOW, &left), -EBADMSG);
	assert_int_equal(agent_token_make(key, "", NOW + 60, token), -EINVAL);
}

/* Any other character in any place, any shorter or longer text. */
static void test_changed(void **state)
{
	char token[TOKEN_SIZE + 1] = "", changed[TOKEN_SIZE + 1];
	time_t left;

	(void)state;
	assert_int_equal(agent_token_make(key, POD, NOW + 60, token), 0);
	for (size_t i = 0; i < TOKEN_SIZE - 1; i++) {
		static const char wrong[] = "Ab0-_=+/ \n.\x80";

		for (const char *w = wrong; *w; w++) {
			memcpy(changed, token, sizeof(changed));
			changed[i] = *w;
			if (*w == token[i])
				continue;
			assert_int_equal(agent_token_check(key, POD, changed, NOW, &left),
					 -EBADMSG);
		}
		memcpy(changed, token, sizeof(changed));
		changed[i] = '\0';
		assert_int_equal(agent_token_check(key, POD, changed, NOW, &left), -EBADMSG);
	}
	memcpy(changed, token, sizeof(changed));
	changed[TOKEN_SIZE - 1] = 'A';
	assert_int_equal(agent_token_check(key, POD, changed, NOW, &left), -EBADMSG);
}

/* The unused bits of the last character are not a second spelling. */
static void test_one_spelling(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char token[TOKEN_SIZE];
	unsigned accepted = 0;
	time_t left;

	(void)state;
	assert_int_equal(agent_token_make(key, POD, NOW + 60, token), 0);
	for (const char *c = alphabet; *c; c++) {
		token[TOKEN_SIZE - 2] = *c;
		accepted += agent_token_check(key, POD, token, NOW, &left) == 0;
	}
	assert_int_equal(accepted, 1);
}

/* Each boot counts its seconds from 0 again. */
static void test_boots(void **state)
{
	uint8_t one[AGENT_TOKEN_KEY_SIZE], same[AGENT_TOKEN_KEY_SIZE], two[AGENT_TOKEN_KEY_SIZE];
	char token[TOKEN_SIZE];
	time_t left;

	(void)state;
	assert_int_equal(agent_token_key_of_boot(key, "boot-1", one), 0);
	assert_int_equal(agent_token_key_of_boot(key, "boot-1", same), 0);
	assert_int_equal(agent_token_key_of_boot(key, "boot-2", two), 0);
	assert_int_equal(agent_token_make(one, POD, NOW + 60, token), 0);
	assert_int_equal(agent_token_check(same, POD, token, NOW, &left), 0);
	assert_int_equal(agent_token_check(two, POD, token, NOW, &left), -EBADMSG);
	assert_int_equal(agent_token_check(key, POD, token, NOW, &left), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	 cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_other_pod_or_key), cmocka_unit_test(test_changed),
		cmocka_unit_test(test_one_spelling),	 cmocka_unit_test(test_boots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
