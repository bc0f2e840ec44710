/* SPDX-License-Identifier: Apache-2.0 */
/* An X.509 certificate with the private key that belongs to it, and what the key signs. Nobody is
 * asked for a passphrase. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct crypto_certificate;
struct crypto_key;

/* PEM: the certificate, followed by its chain. -EINVAL, -ENOMEM. */
int crypto_certificate_parse(const char *pem, struct crypto_certificate **ret);

/* Returns NULL; NULL is fine. */
struct crypto_certificate *crypto_certificate_free(struct crypto_certificate *certificate);
static inline void crypto_certificate_freep(struct crypto_certificate **certificate)
{
	crypto_certificate_free(*certificate);
}

/* Its serial number, decimal. */
const char *crypto_certificate_serial(const struct crypto_certificate *certificate);

/* Its DER form in base64, without line feeds. */
const char *crypto_certificate_text(const struct crypto_certificate *certificate);

/* Those behind it, likewise, with commas between; "" without any. */
const char *crypto_certificate_chain(const struct crypto_certificate *certificate);

enum crypto_key_kind {
	CRYPTO_KEY_RSA,
	CRYPTO_KEY_EC,
};

#define CRYPTO_SIGNATURE_MAX 512 /* bytes; RSA with 4096 bits */

/* PEM. -EINVAL: no private key, one with a passphrase, or of another kind or size; -ENOMEM. */
int crypto_key_parse(const char *pem, struct crypto_key **ret);

/* Returns NULL; NULL is fine. */
struct crypto_key *crypto_key_free(struct crypto_key *key);
static inline void crypto_key_freep(struct crypto_key **key)
{
	crypto_key_free(*key);
}

enum crypto_key_kind crypto_key_kind(const struct crypto_key *key);

/* 0, or -ENOKEY: they are no pair. */
int crypto_key_check(const struct crypto_key *key, const struct crypto_certificate *certificate);

/* SHA-256 with PKCS #1 v1.5 (RSA), or with ECDSA in DER. -EIO. */
int crypto_key_sign(const struct crypto_key *key, const void *data, size_t len,
		    uint8_t ret[CRYPTO_SIGNATURE_MAX], size_t *ret_len);
