/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, key sets and tokens for tests, right ones and any wrong ones, made with libcrypto. */
#pragma once

#include <jansson.h>
#include <openssl/evp.h>
#include <stddef.h>

/* "RSA-2048", "RSA-1024", "P-256", ...; made once for each name, and kept. */
EVP_PKEY *tokens_key(const char *name);

/* The public key as a JWK. alg NULL: without one. The caller's. */
json_t *tokens_jwk(EVP_PKEY *key, const char *kid, const char *alg);

/* A JWKS of what it is given, up to a NULL, which it takes. Text, to be freed. */
char *tokens_jwks(json_t *jwk, ...);

/* Base64url without padding. To be freed. */
char *tokens_encode(const void *data, size_t len);

/* ES256 and the like: r and s side by side, as tokens have it; DER: as OpenSSL has it. */
enum tokens_shape { TOKENS_RAW, TOKENS_DER };

/* HEADER.CLAIMS.SIGNATURE of whatever texts, signed with SHA-BITS. To be freed. */
char *tokens_sign(EVP_PKEY *key, unsigned bits, enum tokens_shape shape, const char *header,
		  const char *claims);

/* HEADER.CLAIMS.SIGNATURE of any bytes. To be freed. */
char *tokens_join(const char *header, const char *claims, const void *signature, size_t len);

/* base with what patch (RFC 7396: null deletes) has. Text, to be freed. */
char *tokens_patch(const char *base, const char *patch);
