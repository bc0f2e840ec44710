/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys that sign JSON web tokens, and the public ones for those who verify them: the other side of jwt.h and
 * jwks.h. The first key signs; the others are published, so that keys can be replaced.
 */
#pragma once

#include <stddef.h>

struct crypto_signer;
struct pc_err;
struct text;

#define CRYPTO_SIGNER_MAX_SIZE (64U << 10) /* bytes of the file */
#define CRYPTO_SIGNER_MAX_KEYS 8
#define CRYPTO_THUMBPRINT_SIZE 44

/*
 * PEM with private keys of P-256 (ES256), or RSA with 2048 to 4096 bits (RS256), without a passphrase. What is in it
 * beside private keys is passed over. -EINVAL with err, which names the key by its number and quotes nothing: none,
 * too many, another kind, a passphrase, twice the same, broken. -ENOMEM, -EIO.
 */
int crypto_signer_parse(const char *pem, size_t len, struct crypto_signer **ret,
			struct pc_err *err);

/* Returns NULL; NULL is fine. */
struct crypto_signer *crypto_signer_free(struct crypto_signer *signer);
static inline void crypto_signer_freep(struct crypto_signer **signer)
{
	crypto_signer_free(*signer);
}

size_t crypto_signer_count(const struct crypto_signer *signer);

/* Its thumbprint (RFC 7638, SHA-256), which is the kid too. i: below the count; 0 signs. */
const char *crypto_signer_kid(const struct crypto_signer *signer, size_t i);

/* "ES256" or "RS256". */
const char *crypto_signer_algorithm(const struct crypto_signer *signer, size_t i);

/* The public keys as a JWKS. Errors are those of the text. */
void crypto_signer_jwks(const struct crypto_signer *signer, struct text *ret);

/* HEADER.CLAIMS.SIGNATURE. claims: a JSON object. -EIO; otherwise errors are those of the text. */
int crypto_signer_sign(const struct crypto_signer *signer, const char *claims, size_t len,
		       struct text *ret);
