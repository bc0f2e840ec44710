// SPDX-License-Identifier: Apache-2.0
/* MODULES: crypto base */
/* LIBS: -ljansson -lcrypto */
/* A key set: what is taken from it can be found, is for one algorithm, and no weak or private key is among it. */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>

#include "base/err.h"
#include "crypto/internal.h"
#include "crypto/jwks.h"

static void check_key(const struct jwk *jwk)
{
	bool rsa = EVP_PKEY_is_a(jwk->key, "RSA");

	MUST(jwk->kid[0] && strlen(jwk->kid) < CRYPTO_KID_SIZE);
	MUST(rsa == !jwk->algorithm->half);
	MUST(!rsa || (EVP_PKEY_bits(jwk->key) >= 2048 && EVP_PKEY_bits(jwk->key) <= 8192));
	MUST(rsa || (size_t)(EVP_PKEY_bits(jwk->key) + 7) / 8 == jwk->algorithm->half);
}

/* How many of the entries are found by their kid, each kid once. */
static size_t count(const struct crypto_jwks *keys, const json_t *list)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *kid =
			json_string_value(json_object_get(json_array_get(list, i), "kid"));
		const struct jwk *jwk = kid ? crypto_jwks_find(keys, kid) : NULL;
		bool again = false;

		for (size_t j = 0; j < i && jwk; j++) {
			const json_t *before = json_object_get(json_array_get(list, j), "kid");

			again |= json_is_string(before) && !strcmp(json_string_value(before), kid);
		}
		if (!jwk || again)
			continue;
		check_key(jwk);
		n++;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	struct crypto_jwks *keys = NULL;
	struct pc_err err = {};
	json_t *json;
	int r = crypto_jwks_parse(text, size, &keys, &err);

	MUST(r == 0 || r == -EINVAL || r == -E2BIG);
	MUST((r == 0) == (keys != NULL) && (r == 0) == !err.msg[0]);
	if (keys) {
		json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
		MUST(crypto_jwks_count(keys) > 0);
		MUST(crypto_jwks_count(keys) == count(keys, json_object_get(json, "keys")));
		MUST(!crypto_jwks_unusable(keys) == !crypto_jwks_defect(keys)[0]);
		MUST(crypto_jwks_count(keys) + crypto_jwks_unusable(keys) <=
		     json_array_size(json_object_get(json, "keys")));
		json_decref(json);
	}
	crypto_jwks_unref(keys);
	free(text);
	return 0;
}
