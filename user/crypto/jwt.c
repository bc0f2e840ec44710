// SPDX-License-Identifier: Apache-2.0
#include "crypto/jwt.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "crypto/internal.h"

#define LAST_SECOND   253402300799LL /* of the year 9999 */
#define SIGNATURE_MAX 1024 /* bytes: RSA with 8192 bits */
#define DER_MAX	      160 /* two numbers of 66 bytes, and what goes around them */

struct crypto_jwt {
	json_t *claims;
};

enum { HEADER, PAYLOAD, SIGNATURE, PARTS };

struct token {
	const char *text;
	const char *part[PARTS];
	size_t len[PARTS];
	size_t signed_len; /* header, dot and payload */
};

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

/* ---- the text ---- */

static int split(const char *text, size_t len, struct token *ret)
{
	const char *end = text + len;

	if (len > CRYPTO_JWT_MAX_SIZE)
		return -EINVAL;
	ret->text = text;
	for (int i = 0; i < PARTS; i++) {
		const char *dot = i < SIGNATURE ? memchr(text, '.', (size_t)(end - text)) : end;

		if (!dot)
			return -EINVAL;
		ret->part[i] = text;
		ret->len[i] = (size_t)(dot - text);
		text = dot + 1;
	}
	ret->signed_len = (size_t)(ret->part[SIGNATURE] - ret->text) - 1;
	return ret->len[HEADER] && ret->len[PAYLOAD] ? 0 : -EINVAL;
}

/* An object in which nothing is there twice: else two readers might see two tokens. */
static int decode_object(const char *text, size_t len, json_t **ret)
{
	size_t room = BASE64_URL_ROOM(len);
	uint8_t *bytes = malloc(room);
	json_t *json = NULL;
	json_error_t error;
	int r;

	if (!bytes)
		return -ENOMEM;
	r = base64_url_decode(text, len, bytes, &len);
	if (r == 0)
		json = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, &error);
	if (r == 0 && !json)
		r = json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
	explicit_bzero(bytes, room);
	free(bytes);
	if (r == 0 && !json_is_object(json)) {
		json_decref(json);
		r = -EINVAL;
	}
	if (r == 0)
		*ret = json;
	return r;
}

/* ---- the signature ---- */

static void cleanup_md(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static int check_signature(const struct token *token, const struct jwk *jwk,
			   const uint8_t *signature, size_t len)
{
	_cleanup_(cleanup_md) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!ctx)
		return -ENOMEM;
	if (EVP_DigestVerifyInit_ex(ctx, NULL, jwk->algorithm->digest, NULL, NULL, jwk->key,
				    NULL) != 1)
		return -EIO;
	return EVP_DigestVerify(ctx, signature, len, (const uint8_t *)token->text,
				token->signed_len) == 1
		       ? 0
		       : -EKEYREJECTED;
}

/* From r and s of fixed width to what OpenSSL wants: a DER SEQUENCE of two INTEGERs. -ENOMEM. */
static int encode_ecdsa(const uint8_t *signature, size_t half, uint8_t ret[DER_MAX],
			size_t *ret_len)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, (int)half, NULL);
	BIGNUM *s = BN_bin2bn(signature + half, (int)half, NULL);
	int len = 0;

	if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
		BN_free(r);
		BN_free(s);
	} else if (i2d_ECDSA_SIG(sig, NULL) <= DER_MAX) {
		len = i2d_ECDSA_SIG(sig, &ret);
	}
	ECDSA_SIG_free(sig);
	*ret_len = (size_t)len;
	return len > 0 ? 0 : -ENOMEM;
}

static int verify(const struct token *token, const struct jwk *jwk)
{
	uint8_t raw[BASE64_URL_ROOM(SIGNATURE_MAX * 2)], der[DER_MAX];
	size_t half = jwk->algorithm->half, len = token->len[SIGNATURE];

	if (len > SIGNATURE_MAX * 2)
		return -EINVAL;
	if (base64_url_decode(token->part[SIGNATURE], len, raw, &len) < 0)
		return -EINVAL;
	if (!half)
		return check_signature(token, jwk, raw, len);
	if (len != 2 * half)
		return -EKEYREJECTED;
	return encode_ecdsa(raw, half, der, &len) ?: check_signature(token, jwk, der, len);
}

/* ---- the token ---- */

/* crit names extensions that a reader has to know, and there is none that we know. */
static int find_key(const struct crypto_jwks *keys, const json_t *header, const struct jwk **ret)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const char *kid = json_string_value(json_object_get(header, "kid"));

	if (!alg || !kid || !kid[0] || json_object_get(header, "crit"))
		return -EINVAL;
	*ret = crypto_jwks_find(keys, kid);
	if (!*ret)
		return -ENOKEY;
	return strcmp(alg, (*ret)->algorithm->name) == 0 ? 0 : -EKEYREJECTED;
}

int crypto_jwt_verify(const struct crypto_jwks *keys, const char *text, size_t len,
		      struct crypto_jwt **ret)
{
	_cleanup_(cleanup_json) json_t *header = NULL, *claims = NULL;
	const struct jwk *jwk = NULL;
	struct token token;
	int r = split(text, len, &token);

	r = r ?: decode_object(token.part[HEADER], token.len[HEADER], &header);
	r = r ?: find_key(keys, header, &jwk);
	r = r ?: verify(&token, jwk);
	r = r ?: decode_object(token.part[PAYLOAD], token.len[PAYLOAD], &claims);
	if (r < 0)
		return r;
	*ret = malloc(sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->claims = TAKE_PTR(claims);
	return 0;
}

void crypto_jwt_free(struct crypto_jwt *jwt)
{
	if (!jwt)
		return;
	json_decref(jwt->claims);
	free(jwt);
}

/* ---- claims ---- */

int crypto_jwt_text(const struct crypto_jwt *jwt, const char *const path[], const char **ret)
{
	const json_t *at = jwt->claims;

	for (; *path; path++) {
		if (!json_is_object(at))
			return -EINVAL;
		at = json_object_get(at, *path);
		if (!at)
			return -ENOENT;
	}
	if (!json_is_string(at))
		return -EINVAL;
	*ret = json_string_value(at);
	return 0;
}

int crypto_jwt_time(const struct crypto_jwt *jwt, const char *claim, time_t *ret)
{
	const json_t *value = json_object_get(jwt->claims, claim);
	json_int_t seconds = json_integer_value(value);

	if (!value)
		return -ENOENT;
	if (!json_is_integer(value) || seconds < 0 || seconds > LAST_SECOND)
		return -EINVAL;
	*ret = (time_t)seconds;
	return 0;
}

static bool is(const json_t *value, const char *text)
{
	return json_is_string(value) && !strcmp(json_string_value(value), text);
}

bool crypto_jwt_is_for(const struct crypto_jwt *jwt, const char *audience)
{
	const json_t *aud = json_object_get(jwt->claims, "aud"), *one;
	size_t i;

	json_array_foreach (aud, i, one)
		if (is(one, audience))
			return true;
	return is(aud, audience);
}
