/* SPDX-License-Identifier: Apache-2.0 */
/* What jwt.c needs of a key set. */
#pragma once

#include <openssl/evp.h>

#include "crypto/jwks.h"

/* A row of the table of algorithms. */
struct jws_algorithm {
	const char *name; /* alg of a token's header */
	const char *type; /* kty of the key */
	const char *curve, *group; /* of an EC key, and as OpenSSL calls it; NULL: RSA */
	size_t half; /* bytes of r, of s, of x and of y; 0: RSA */
	const char *digest;
};

struct jwk {
	char kid[CRYPTO_KID_SIZE];
	EVP_PKEY *key; /* NULL: two keys have this kid, and nobody knows which is meant */
	const struct jws_algorithm *algorithm;
};

/* NULL: none. */
const struct jwk *crypto_jwks_find(const struct crypto_jwks *keys, const char *kid);
