// SPDX-License-Identifier: Apache-2.0
#include "crypto/signer.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "crypto/hash.h"

#define RSA_MIN_BITS  2048
#define RSA_MAX_BITS  4096
#define SIGNATURE_MAX (RSA_MAX_BITS / 8)
#define HALF	      32 /* bytes of x, y, r and s of P-256 */

struct signer_key {
	EVP_PKEY *key;
	bool ec;
	char kid[CRYPTO_THUMBPRINT_SIZE];
};

struct crypto_signer {
	size_t n;
	struct signer_key keys[CRYPTO_SIGNER_MAX_KEYS];
};

static void cleanup_bio(BIO **bio)
{
	BIO_free(*bio);
}

static void cleanup_bn(BIGNUM **n)
{
	BN_free(*n);
}

static void cleanup_md(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static void cleanup_sig(ECDSA_SIG **sig)
{
	ECDSA_SIG_free(*sig);
}

/* ---- the public key, as JSON ---- */

/* "name":"BASE64"; size 0: as many bytes as the number has. */
static int add_number(struct text *t, const EVP_PKEY *key, const char *name, const char *param,
		      size_t size)
{
	_cleanup_(cleanup_bn) BIGNUM *n = NULL;
	uint8_t bytes[RSA_MAX_BITS / 8];

	if (EVP_PKEY_get_bn_param(key, param, &n) != 1)
		return -EIO;
	size = size ?: (size_t)BN_num_bytes(n);
	if (size > sizeof(bytes) || BN_bn2binpad(n, bytes, (int)size) < 0)
		return -EIO;
	text_addf(t, "\"%s\":\"", name);
	base64_url_encode(t, bytes, size);
	text_add(t, "\"");
	return 0;
}

/* The members that a thumbprint is made of, in the order of RFC 7638: by their names, and without blanks. */
static int add_members(struct text *t, const struct signer_key *key)
{
	int r;

	if (key->ec) {
		text_add(t, "\"crv\":\"P-256\",\"kty\":\"EC\",");
		r = add_number(t, key->key, "x", OSSL_PKEY_PARAM_EC_PUB_X, HALF);
		text_add(t, ",");
		return r ?: add_number(t, key->key, "y", OSSL_PKEY_PARAM_EC_PUB_Y, HALF);
	}
	r = add_number(t, key->key, "e", OSSL_PKEY_PARAM_RSA_E, 0);
	text_add(t, ",\"kty\":\"RSA\",");
	return r ?: add_number(t, key->key, "n", OSSL_PKEY_PARAM_RSA_N, 0);
}

static int name_key(struct signer_key *key)
{
	_cleanup_(text_done) struct text members = {}, kid = {};
	uint8_t digest[CRYPTO_SHA256_SIZE];
	int r;

	text_add(&members, "{");
	r = add_members(&members, key);
	text_add(&members, "}");
	r = r ?: text_error(&members) ?: crypto_sha256(members.data, members.len, digest);
	if (r < 0)
		return r;
	base64_url_encode(&kid, digest, sizeof(digest));
	r = text_error(&kid);
	if (r == 0)
		memcpy(key->kid, kid.data, kid.len);
	return r;
}

static const char *algorithm_of(const struct signer_key *key)
{
	return key->ec ? "ES256" : "RS256";
}

void crypto_signer_jwks(const struct crypto_signer *signer, struct text *t)
{
	text_add(t, "{\"keys\":[");
	for (size_t i = 0; i < signer->n; i++) {
		const struct signer_key *key = &signer->keys[i];

		text_add(t, i ? ",{" : "{");
		if (add_members(t, key) < 0 && !t->error)
			t->error = -EIO;
		text_add(t, ",\"use\":\"sig\"");
		text_add_member(t, "alg", algorithm_of(key));
		text_add_member(t, "kid", key->kid);
		text_add(t, "}");
	}
	text_add(t, "]}");
}

/* ---- the file ---- */

struct parser {
	struct crypto_signer *signer;
	size_t number; /* of the private key, from 1 */
	struct pc_err *err;
};

static bool is_p256(const EVP_PKEY *key)
{
	char group[32];
	size_t len;

	return EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
	       (!strcmp(group, "prime256v1") || !strcmp(group, "P-256"));
}

static int check_kind(const struct parser *p, struct signer_key *key)
{
	int bits = EVP_PKEY_get_bits(key->key);

	key->ec = EVP_PKEY_is_a(key->key, "EC");
	if (key->ec && is_p256(key->key))
		return 0;
	if (!EVP_PKEY_is_a(key->key, "RSA"))
		return pc_err_set(p->err, -EINVAL,
				  "private key %zu is neither of P-256 nor RSA; make one with "
				  "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
				  p->number);
	return bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS
		       ? 0
		       : pc_err_set(p->err, -EINVAL,
				    "private key %zu has %d bits; RSA keys have %d to %d here",
				    p->number, bits, RSA_MIN_BITS, RSA_MAX_BITS);
}

static int check_new(const struct parser *p, const struct signer_key *key)
{
	for (size_t i = 0; i < p->signer->n; i++)
		if (!strcmp(p->signer->keys[i].kid, key->kid))
			return pc_err_set(p->err, -EINVAL,
					  "private key %zu is key %zu again; remove one", p->number,
					  i + 1);
	return 0;
}

/* Takes pkey. */
static int add_key(const struct parser *p, EVP_PKEY *pkey)
{
	struct crypto_signer *signer = p->signer;
	struct signer_key *key = &signer->keys[signer->n];
	int r;

	*key = (struct signer_key){.key = pkey};
	r = check_kind(p, key);
	if (r == 0 && name_key(key) < 0)
		r = pc_err_set(p->err, -EIO, "private key %zu cannot be read by the crypto library",
			       p->number);
	r = r ?: check_new(p, key);
	if (r == 0)
		signer->n++;
	else
		EVP_PKEY_free(TAKE_PTR(key->key));
	return r;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && !strcmp(text + len - n, end);
}

/* A block of the file: a private key, or something else. */
static int take_block(struct parser *p, const char *name, const char *header,
		      const unsigned char *der, long len)
{
	EVP_PKEY *key;

	if (!ends_with(name, "PRIVATE KEY"))
		return 0;
	p->number++;
	if (p->number > CRYPTO_SIGNER_MAX_KEYS)
		return pc_err_set(p->err, -EINVAL,
				  "more than %d private keys; remove those that sign no more",
				  CRYPTO_SIGNER_MAX_KEYS);
	if (*header || !strcmp(name, "ENCRYPTED PRIVATE KEY"))
		return pc_err_set(p->err, -EINVAL,
				  "private key %zu has a passphrase, which nobody could give; "
				  "write it without one",
				  p->number);
	key = d2i_AutoPrivateKey(NULL, &der, len);
	return key ? add_key(p, key)
		   : pc_err_set(p->err, -EINVAL, "private key %zu is broken, or of another kind",
				p->number);
}

static int read_blocks(struct parser *p, BIO *bio)
{
	char *name, *header;
	unsigned char *der;
	long len;
	int r = 0;

	/* the flag has its copies wiped */
	while (r == 0 && PEM_read_bio_ex(bio, &name, &header, &der, &len, PEM_FLAG_SECURE) == 1) {
		r = take_block(p, name, header, der, len);
		OPENSSL_secure_clear_free(der, (size_t)len);
		OPENSSL_secure_free(name);
		OPENSSL_secure_free(header);
	}
	if (r < 0)
		return r;
	/* what ends the loop: no further one, or one that is broken */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return pc_err_set(p->err, -EINVAL, "what is behind private key %zu is no PEM",
				  p->number);
	return p->signer->n ? 0
			    : pc_err_set(p->err, -EINVAL, "there is no private key in it (PEM)");
}

int crypto_signer_parse(const char *pem, size_t len, struct crypto_signer **ret, struct pc_err *err)
{
	_cleanup_(crypto_signer_freep) struct crypto_signer *signer = calloc(1, sizeof(*signer));
	struct parser parser = {.signer = signer, .err = err};
	_cleanup_(cleanup_bio) BIO *bio = NULL;
	int r;

	if (len > CRYPTO_SIGNER_MAX_SIZE)
		return pc_err_set(err, -EINVAL, "it has more than %u bytes",
				  CRYPTO_SIGNER_MAX_SIZE);
	ERR_clear_error();
	bio = BIO_new_mem_buf(pem, (int)len);
	if (!signer || !bio)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = read_blocks(&parser, bio);
	ERR_clear_error();
	if (r == 0)
		*ret = TAKE_PTR(signer);
	return r;
}

struct crypto_signer *crypto_signer_free(struct crypto_signer *signer)
{
	if (!signer)
		return NULL;
	for (size_t i = 0; i < signer->n; i++)
		EVP_PKEY_free(signer->keys[i].key); /* which wipes its numbers */
	free(signer);
	return NULL;
}

size_t crypto_signer_count(const struct crypto_signer *signer)
{
	return signer->n;
}

const char *crypto_signer_kid(const struct crypto_signer *signer, size_t i)
{
	return signer->keys[i].kid;
}

const char *crypto_signer_algorithm(const struct crypto_signer *signer, size_t i)
{
	return algorithm_of(&signer->keys[i]);
}

/* ---- a token ---- */

/* From a DER SEQUENCE of two INTEGERs, in place, to r and s of fixed width. */
static int decode_ecdsa(uint8_t signature[SIGNATURE_MAX], size_t *len)
{
	const unsigned char *der = signature;
	_cleanup_(cleanup_sig) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)*len);

	if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, HALF) < 0 ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + HALF, HALF) < 0)
		return -EIO;
	*len = 2 * HALF;
	return 0;
}

static int sign(const struct signer_key *key, const struct text *t, uint8_t ret[SIGNATURE_MAX],
		size_t *ret_len)
{
	_cleanup_(cleanup_md) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	*ret_len = SIGNATURE_MAX;
	ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->key) == 1 &&
	     EVP_DigestSign(ctx, ret, ret_len, (const uint8_t *)t->data, t->len) == 1;
	if (!ok)
		return -EIO;
	return key->ec ? decode_ecdsa(ret, ret_len) : 0;
}

static int add_header(struct text *t, const struct signer_key *key)
{
	_cleanup_(text_done) struct text header = {};

	text_add(&header, "{\"typ\":\"JWT\"");
	text_add_member(&header, "alg", algorithm_of(key));
	text_add_member(&header, "kid", key->kid);
	text_add(&header, "}");
	base64_url_encode(t, header.data, header.len);
	return text_error(&header);
}

int crypto_signer_sign(const struct crypto_signer *signer, const char *claims, size_t len,
		       struct text *t)
{
	const struct signer_key *key = &signer->keys[0];
	uint8_t signature[SIGNATURE_MAX];
	size_t signature_len = 0;
	int r = add_header(t, key);

	text_add(t, ".");
	base64_url_encode(t, claims, len);
	r = r ?: text_error(t) ?: sign(key, t, signature, &signature_len);
	ERR_clear_error();
	if (r < 0)
		return r;
	text_add(t, ".");
	base64_url_encode(t, signature, signature_len);
	return text_error(t);
}
