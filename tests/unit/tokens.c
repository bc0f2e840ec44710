// SPDX-License-Identifier: Apache-2.0
#include "tokens.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 16

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tokens: cannot %s\n", what);
	abort();
}

EVP_PKEY *tokens_key(const char *name)
{
	static struct {
		char name[16];
		EVP_PKEY *key;
	} keys[KEYS];
	size_t i;

	for (i = 0; i < KEYS && keys[i].key; i++)
		if (!strcmp(keys[i].name, name))
			return keys[i].key;
	must(i < KEYS, "keep more keys");
	snprintf(keys[i].name, sizeof(keys[i].name), "%s", name);
	/* "P-256/2" is another one */
	if (!strncmp(name, "RSA-", 4))
		keys[i].key = EVP_RSA_gen(strtoul(name + 4, NULL, 10));
	else
		keys[i].key = EVP_EC_gen(strndupa(name, strcspn(name, "/")));
	must(keys[i].key, "make a key");
	return keys[i].key;
}

char *tokens_encode(const void *data, size_t len)
{
	unsigned char *out = malloc(len / 3 * 4 + 5);
	int n = EVP_EncodeBlock(out, data, (int)len);

	while (n && out[n - 1] == '=')
		n--;
	out[n] = '\0';
	for (int i = 0; i < n; i++)
		out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
	return (char *)out;
}

static void set_number(json_t *jwk, const char *name, EVP_PKEY *key, const char *param, int width)
{
	uint8_t bytes[1100];
	BIGNUM *n = NULL;
	char *text;

	must(EVP_PKEY_get_bn_param(key, param, &n) == 1, "read a key");
	width = width ?: BN_num_bytes(n);
	BN_bn2binpad(n, bytes, width);
	text = tokens_encode(bytes, (size_t)width);
	json_object_set_new(jwk, name, json_string(text));
	free(text);
	BN_free(n);
}

json_t *tokens_jwk(EVP_PKEY *key, const char *kid, const char *alg)
{
	json_t *jwk = json_pack("{s:s}", "use", "sig");
	char curve[16];
	int width = (EVP_PKEY_bits(key) + 7) / 8;

	if (kid)
		json_object_set_new(jwk, "kid", json_string(kid));
	if (alg)
		json_object_set_new(jwk, "alg", json_string(alg));
	if (EVP_PKEY_is_a(key, "RSA")) {
		json_object_set_new(jwk, "kty", json_string("RSA"));
		set_number(jwk, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
		set_number(jwk, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
		return jwk;
	}
	snprintf(curve, sizeof(curve), "P-%d", EVP_PKEY_bits(key));
	json_object_set_new(jwk, "kty", json_string("EC"));
	json_object_set_new(jwk, "crv", json_string(curve));
	set_number(jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, width);
	set_number(jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
	return jwk;
}

char *tokens_jwks(json_t *jwk, ...)
{
	json_t *list = json_array(), *set = json_pack("{s:o}", "keys", list);
	va_list ap;
	char *text;

	va_start(ap, jwk);
	for (; jwk; jwk = va_arg(ap, json_t *))
		json_array_append_new(list, jwk);
	va_end(ap);
	text = json_dumps(set, 0);
	json_decref(set);
	return text;
}

char *tokens_join(const char *header, const char *claims, const void *signature, size_t len)
{
	char *h = tokens_encode(header, strlen(header)), *c = tokens_encode(claims, strlen(claims));
	char *s = tokens_encode(signature, len), *token;

	must(asprintf(&token, "%s.%s.%s", h, c, s) > 0, "join");
	free(h);
	free(c);
	free(s);
	return token;
}

static size_t to_raw(EVP_PKEY *key, uint8_t *signature, size_t len)
{
	const uint8_t *p = signature;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	int half = (EVP_PKEY_bits(key) + 7) / 8;

	must(sig, "read a signature");
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, half);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + half, half);
	ECDSA_SIG_free(sig);
	return 2 * (size_t)half;
}

char *tokens_sign(EVP_PKEY *key, unsigned bits, enum tokens_shape shape, const char *header,
		  const char *claims)
{
	char digest[8], *text = tokens_join(header, claims, "", 0), *token;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[1100];
	size_t len = sizeof(signature);

	snprintf(digest, sizeof(digest), "SHA%u", bits);
	must(EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL) == 1 &&
		     EVP_DigestSign(ctx, signature, &len, (uint8_t *)text, strlen(text) - 1) == 1,
	     "sign");
	if (EVP_PKEY_is_a(key, "EC") && shape == TOKENS_RAW)
		len = to_raw(key, signature, len);
	token = tokens_join(header, claims, signature, len);
	EVP_MD_CTX_free(ctx);
	free(text);
	return token;
}

static void patch_object(json_t *target, json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach (patch, key, value) {
		json_t *old = json_object_get(target, key);

		if (json_is_null(value))
			json_object_del(target, key);
		else if (json_is_object(value) && json_is_object(old))
			patch_object(old, value);
		else
			json_object_set(target, key, value);
	}
}

char *tokens_patch(const char *base, const char *patch)
{
	json_t *target = json_loads(base, 0, NULL), *change = json_loads(patch, 0, NULL);
	char *text;

	must(target && change, "read a patch");
	patch_object(target, change);
	text = json_dumps(target, JSON_COMPACT);
	json_decref(target);
	json_decref(change);
	return text;
}
