// SPDX-License-Identifier: Apache-2.0
#include "crypto/jwks.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/internal.h"

#define RSA_MIN_BITS	  2048
#define RSA_MAX_BITS	  8192
#define EXPONENT_MAX_BITS 32
#define NUMBER_MAX	  (RSA_MAX_BITS / 8 + 1) /* bytes, with a zero in front */
#define HALF_MAX	  66

struct crypto_jwks {
	atomic_uint owners;
	size_t n, usable, unusable;
	char defect[CRYPTO_DEFECT_SIZE];
	struct jwk keys[CRYPTO_JWKS_MAX_KEYS];
};

static const struct jws_algorithm algorithms[] = {
	{"RS256", "RSA", NULL, NULL, 0, "SHA256"},
	{"RS384", "RSA", NULL, NULL, 0, "SHA384"},
	{"RS512", "RSA", NULL, NULL, 0, "SHA512"},
	{"ES256", "EC", "P-256", "P-256", 32, "SHA256"},
	{"ES384", "EC", "P-384", "P-384", 48, "SHA384"},
	{"ES512", "EC", "P-521", "P-521", HALF_MAX, "SHA512"},
};

struct parser {
	struct crypto_jwks *keys;
	size_t number; /* of the key, from 1 */
};

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

/* This key cannot be used; another may. */
__attribute__((format(printf, 2, 3))) static int unusable(struct parser *p, const char *fmt, ...)
{
	char *defect = p->keys->defect;
	size_t len;
	va_list ap;

	p->keys->unusable++;
	if (defect[0])
		return -EINVAL;
	len = (size_t)snprintf(defect, CRYPTO_DEFECT_SIZE, "key %zu ", p->number);
	va_start(ap, fmt);
	vsnprintf(defect + len, CRYPTO_DEFECT_SIZE - len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* NULL: none, or it is no text. */
static const char *member(const json_t *jwk, const char *name)
{
	return json_string_value(json_object_get(jwk, name));
}

static bool is(const char *text, const char *wanted)
{
	return text && !strcmp(text, wanted);
}

/* ---- RSA ---- */

static void cleanup_bn(BIGNUM **n)
{
	BN_free(*n);
}

static void cleanup_build(OSSL_PARAM_BLD **build)
{
	OSSL_PARAM_BLD_free(*build);
}

static void cleanup_params(OSSL_PARAM **params)
{
	OSSL_PARAM_free(*params);
}

static void cleanup_ctx(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM *params)
{
	_cleanup_(cleanup_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}

static BIGNUM *number(const json_t *jwk, const char *name)
{
	const char *text = member(jwk, name);
	uint8_t bytes[BASE64_URL_ROOM((NUMBER_MAX * 4 + 2) / 3)];
	size_t len = text ? strlen(text) : 0;

	if (!len || len > (NUMBER_MAX * 4 + 2) / 3 || base64_url_decode(text, len, bytes, &len) < 0)
		return NULL;
	return BN_bin2bn(bytes, (int)len, NULL);
}

static int make_rsa(struct parser *p, const json_t *jwk, EVP_PKEY **ret)
{
	_cleanup_(cleanup_bn) BIGNUM *n = number(jwk, "n"), *e = number(jwk, "e");
	_cleanup_(cleanup_build) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	_cleanup_(cleanup_params) OSSL_PARAM *params = NULL;

	if (!n || !e)
		return unusable(p, "has no n and e that can be read");
	if (BN_num_bits(n) < RSA_MIN_BITS || BN_num_bits(n) > RSA_MAX_BITS)
		return unusable(p, "has %d bits; RSA keys have %d to %d", BN_num_bits(n),
				RSA_MIN_BITS, RSA_MAX_BITS);
	if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > EXPONENT_MAX_BITS)
		return unusable(p, "has an n or e that no RSA key has");
	if (build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	*ret = params ? make_key("RSA", params) : NULL;
	return *ret ? 0 : unusable(p, "is refused by the crypto library");
}

/* ---- EC ---- */

/* RFC 7518: always as many bytes as the field has. */
static bool take_half(const json_t *jwk, const char *name, size_t half, uint8_t *ret)
{
	const char *text = member(jwk, name);
	uint8_t bytes[BASE64_URL_ROOM(HALF_MAX * 2)];
	size_t len = text ? strlen(text) : 0;

	if (!len || len > HALF_MAX * 2 || base64_url_decode(text, len, bytes, &len) < 0 ||
	    len != half)
		return false;
	memcpy(ret, bytes, half);
	return true;
}

static bool is_on_curve(EVP_PKEY *key)
{
	_cleanup_(cleanup_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	return ctx && EVP_PKEY_public_check(ctx) == 1;
}

static int make_ec(struct parser *p, const json_t *jwk, const struct jws_algorithm *algorithm,
		   EVP_PKEY **ret)
{
	uint8_t point[1 + 2 * HALF_MAX] = {0x04}; /* not compressed */
	size_t half = algorithm->half;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
						 (char *)algorithm->group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half),
		OSSL_PARAM_construct_end(),
	};

	if (!take_half(jwk, "x", half, point + 1) || !take_half(jwk, "y", half, point + 1 + half))
		return unusable(p, "has no x and y of %zu bytes", half);
	*ret = make_key("EC", params);
	if (*ret && is_on_curve(*ret))
		return 0;
	EVP_PKEY_free(*ret);
	*ret = NULL;
	return unusable(p, "is no point of %s", algorithm->curve);
}

/* ---- a key ---- */

/* The curve has one algorithm; an RSA key says it, and RS256 is what a missing alg means. */
static const struct jws_algorithm *algorithm_of(const json_t *jwk)
{
	const char *type = member(jwk, "kty"), *curve = member(jwk, "crv");
	const json_t *alg = json_object_get(jwk, "alg");

	for (size_t i = 0; type && i < ARRAY_SIZE(algorithms); i++) {
		const struct jws_algorithm *a = &algorithms[i];

		if (!strcmp(a->type, type) && (!a->curve || is(curve, a->curve)) &&
		    (!alg || is(json_string_value(alg), a->name)))
			return a;
	}
	return NULL;
}

static bool is_for_signatures(const json_t *jwk)
{
	const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops"),
		     *op;
	bool verifies = !ops;
	size_t i;

	json_array_foreach (ops, i, op)
		verifies = verifies || is(json_string_value(op), "verify");
	return verifies && (!use || is(json_string_value(use), "sig"));
}

static int make(struct parser *p, const json_t *jwk, const struct jws_algorithm **ret_algorithm,
		EVP_PKEY **ret)
{
	const char *kid = member(jwk, "kid");
	const struct jws_algorithm *algorithm = algorithm_of(jwk);

	if (!kid || !kid[0] || strlen(kid) >= CRYPTO_KID_SIZE)
		return unusable(p, "has no kid of 1 to %d bytes", CRYPTO_KID_SIZE - 1);
	if (!algorithm)
		return unusable(p, "is of a kind that is not known here (kty, crv, alg)");
	if (!is_for_signatures(jwk))
		return unusable(p, "is not for signatures (use, key_ops)");
	if (json_object_get(jwk, "d"))
		return unusable(p, "has a private part");
	*ret_algorithm = algorithm;
	return algorithm->half ? make_ec(p, jwk, algorithm, ret) : make_rsa(p, jwk, ret);
}

/* The same key may be listed twice. Of two that differ nobody knows which one is meant. */
static void add_again(struct parser *p, struct jwk *there, EVP_PKEY *key,
		      const struct jws_algorithm *algorithm)
{
	bool same =
		there->key && there->algorithm == algorithm && EVP_PKEY_eq(there->key, key) == 1;

	EVP_PKEY_free(key);
	if (same)
		return;
	if (there->key) {
		p->keys->usable--;
		p->keys->unusable++;
		EVP_PKEY_free(TAKE_PTR(there->key));
	}
	unusable(p, "has the kid of another one");
}

static void add(struct parser *p, const json_t *jwk)
{
	struct crypto_jwks *keys = p->keys;
	const struct jws_algorithm *algorithm = NULL;
	EVP_PKEY *key = NULL;
	struct jwk *slot;

	if (make(p, jwk, &algorithm, &key) < 0)
		return;
	for (size_t i = 0; i < keys->n; i++)
		if (!strcmp(keys->keys[i].kid, member(jwk, "kid"))) {
			add_again(p, &keys->keys[i], key, algorithm);
			return;
		}
	slot = &keys->keys[keys->n++];
	snprintf(slot->kid, sizeof(slot->kid), "%s", member(jwk, "kid"));
	slot->key = key;
	slot->algorithm = algorithm;
	keys->usable++;
}

/* ---- the set ---- */

static int add_all(const json_t *list, struct parser *p, struct pc_err *err)
{
	const json_t *jwk;
	size_t i;

	if (!json_is_array(list))
		return pc_err_set(err, -EINVAL, "not a key set: it has no list \"keys\"");
	if (json_array_size(list) > CRYPTO_JWKS_MAX_KEYS)
		return pc_err_set(err, -E2BIG, "it has more than %d keys", CRYPTO_JWKS_MAX_KEYS);
	json_array_foreach (list, i, jwk) {
		p->number = i + 1;
		add(p, jwk);
	}
	if (!p->keys->usable)
		return pc_err_set(err, -EINVAL, "none of its keys can be used%s%s",
				  p->keys->defect[0] ? ": " : "", p->keys->defect);
	return 0;
}

int crypto_jwks_parse(const char *text, size_t len, struct crypto_jwks **ret, struct pc_err *err)
{
	_cleanup_(crypto_jwks_unrefp) struct crypto_jwks *keys = NULL;
	_cleanup_(cleanup_json) json_t *json = NULL;
	struct parser parser = {};
	json_error_t error;
	int r;

	if (len > CRYPTO_JWKS_MAX_SIZE)
		return pc_err_set(err, -E2BIG, "it has more than %d bytes", CRYPTO_JWKS_MAX_SIZE);
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		return pc_err_set(err, -EINVAL, "line %d: not JSON, or a key is there twice",
				  error.line);
	keys = calloc(1, sizeof(*keys));
	if (!keys)
		return pc_err_set(err, -ENOMEM, "no memory");
	atomic_init(&keys->owners, 1);
	parser.keys = keys;
	r = add_all(json_object_get(json, "keys"), &parser, err);
	if (r == 0)
		*ret = TAKE_PTR(keys);
	return r;
}

struct crypto_jwks *crypto_jwks_ref(struct crypto_jwks *keys)
{
	if (keys)
		atomic_fetch_add(&keys->owners, 1);
	return keys;
}

struct crypto_jwks *crypto_jwks_unref(struct crypto_jwks *keys)
{
	if (!keys || atomic_fetch_sub(&keys->owners, 1) != 1)
		return NULL;
	for (size_t i = 0; i < keys->n; i++)
		EVP_PKEY_free(keys->keys[i].key);
	free(keys);
	return NULL;
}

size_t crypto_jwks_count(const struct crypto_jwks *keys)
{
	return keys->usable;
}

size_t crypto_jwks_unusable(const struct crypto_jwks *keys)
{
	return keys->unusable;
}

const char *crypto_jwks_defect(const struct crypto_jwks *keys)
{
	return keys->defect;
}

const struct jwk *crypto_jwks_find(const struct crypto_jwks *keys, const char *kid)
{
	for (size_t i = 0; i < keys->n; i++)
		if (!strcmp(keys->keys[i].kid, kid))
			return keys->keys[i].key ? &keys->keys[i] : NULL;
	return NULL;
}
