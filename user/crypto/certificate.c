// SPDX-License-Identifier: Apache-2.0
#include "crypto/certificate.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define MAX_CERTIFICATES 10
#define TEXT_MAX_BYTES	 (64U << 10)

struct crypto_certificate {
	X509 *leaf;
	char *serial, *text, *chain;
};

struct crypto_key {
	EVP_PKEY *pkey;
	enum crypto_key_kind kind;
};

static void free_bio(BIO **bio)
{
	BIO_free(*bio);
}

static void free_x509(X509 **x)
{
	X509_free(*x);
}

static void free_bytes(unsigned char **der)
{
	OPENSSL_free(*der);
}

/* The library would ask the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static BIO *open_text(const char *pem)
{
	size_t len = strlen(pem);

	return len <= TEXT_MAX_BYTES ? BIO_new_mem_buf(pem, (int)len) : NULL;
}

/* ---- certificates ---- */

struct crypto_certificate *crypto_certificate_free(struct crypto_certificate *certificate)
{
	if (!certificate)
		return NULL;
	X509_free(certificate->leaf);
	OPENSSL_free(certificate->serial);
	free(certificate->text);
	free(certificate->chain);
	free(certificate);
	return NULL;
}

static char *serial_of(const X509 *x)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	char *text = number ? BN_bn2dec(number) : NULL;

	BN_free(number);
	return text;
}

static int add_base64(X509 *x, struct text *t)
{
	_cleanup_(free_bytes) unsigned char *der = NULL;
	_cleanup_free_ unsigned char *text = NULL;
	int len = i2d_X509(x, &der), n;

	if (len < 0)
		return -EINVAL;
	text = malloc((size_t)len / 3 * 4 + 5);
	if (!text)
		return -ENOMEM;
	n = EVP_EncodeBlock(text, der, len);
	text_add_bytes(t, text, (size_t)n);
	return text_error(t);
}

static int take_leaf(struct crypto_certificate *certificate, X509 *x)
{
	_cleanup_(text_done) struct text t = {.max = TEXT_MAX_BYTES};
	int r = add_base64(x, &t);

	certificate->leaf = x;
	certificate->serial = serial_of(x);
	certificate->text = text_string(&t);
	return r ?: certificate->serial && certificate->text ? 0 : -ENOMEM;
}

static int add_to_chain(X509 *x, struct text *chain)
{
	_cleanup_(free_x509) X509 *owned = x;

	if (chain->len)
		text_add(chain, ",");
	return add_base64(owned, chain);
}

static int read_all(BIO *bio, struct crypto_certificate *certificate)
{
	_cleanup_(text_done) struct text chain = {.max = TEXT_MAX_BYTES};
	int r = 0;
	X509 *x;

	for (size_t n = 0; r == 0 && (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)); n++) {
		if (n == 0)
			r = take_leaf(certificate, x);
		else if (n < MAX_CERTIFICATES)
			r = add_to_chain(x, &chain);
		else {
			X509_free(x);
			r = -EINVAL;
		}
	}
	if (r < 0)
		return r;
	/* what ends the loop: no further one, or one that is broken */
	if (!certificate->leaf || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return -EINVAL;
	certificate->chain = text_string(&chain);
	return certificate->chain ? 0 : -ENOMEM;
}

int crypto_certificate_parse(const char *pem, struct crypto_certificate **ret)
{
	_cleanup_(free_bio) BIO *bio = open_text(pem);
	_cleanup_(crypto_certificate_freep) struct crypto_certificate *certificate =
		calloc(1, sizeof(*certificate));
	int r;

	if (!bio)
		return -EINVAL;
	if (!certificate)
		return -ENOMEM;
	r = read_all(bio, certificate);
	ERR_clear_error();
	if (r < 0)
		return r;
	*ret = TAKE_PTR(certificate);
	return 0;
}

const char *crypto_certificate_serial(const struct crypto_certificate *certificate)
{
	return certificate->serial;
}

const char *crypto_certificate_text(const struct crypto_certificate *certificate)
{
	return certificate->text;
}

const char *crypto_certificate_chain(const struct crypto_certificate *certificate)
{
	return certificate->chain;
}

/* ---- keys ---- */

struct crypto_key *crypto_key_free(struct crypto_key *key)
{
	if (!key)
		return NULL;
	EVP_PKEY_free(key->pkey);
	free(key);
	return NULL;
}

static int kind_of(const EVP_PKEY *pkey, enum crypto_key_kind *ret)
{
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		*ret = CRYPTO_KEY_RSA;
		break;
	case EVP_PKEY_EC:
		*ret = CRYPTO_KEY_EC;
		break;
	default:
		return -EINVAL;
	}
	return EVP_PKEY_get_size(pkey) <= CRYPTO_SIGNATURE_MAX ? 0 : -EINVAL;
}

int crypto_key_parse(const char *pem, struct crypto_key **ret)
{
	_cleanup_(free_bio) BIO *bio = open_text(pem);
	_cleanup_(crypto_key_freep) struct crypto_key *key = calloc(1, sizeof(*key));

	if (!bio)
		return -EINVAL;
	if (!key)
		return -ENOMEM;
	key->pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	ERR_clear_error();
	if (!key->pkey || kind_of(key->pkey, &key->kind) < 0)
		return -EINVAL;
	*ret = TAKE_PTR(key);
	return 0;
}

enum crypto_key_kind crypto_key_kind(const struct crypto_key *key)
{
	return key->kind;
}

int crypto_key_check(const struct crypto_key *key, const struct crypto_certificate *certificate)
{
	int ok = X509_check_private_key(certificate->leaf, key->pkey);

	ERR_clear_error();
	return ok == 1 ? 0 : -ENOKEY;
}

int crypto_key_sign(const struct crypto_key *key, const void *data, size_t len,
		    uint8_t ret[CRYPTO_SIGNATURE_MAX], size_t *ret_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = CRYPTO_SIGNATURE_MAX;
	bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
		  EVP_DigestSign(ctx, ret, &n, data, len) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (!ok)
		return -EIO;
	*ret_len = n;
	return 0;
}
