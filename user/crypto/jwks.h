/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of public keys (RFC 7517) that verify tokens, found by their kid. It never changes once it was read, is
 * counted, and is shared between threads.
 */
#pragma once

#include <stddef.h>

struct crypto_jwks;
struct pc_err;

#define CRYPTO_JWKS_MAX_SIZE 32768 /* bytes of text */
#define CRYPTO_JWKS_MAX_KEYS 32
#define CRYPTO_KID_SIZE	     256
#define CRYPTO_DEFECT_SIZE   160

/*
 * RSA keys of 2048 to 8192 bits (RS256, RS384 or RS512: as its alg says, RS256 without one), and those of P-256
 * (ES256), P-384 (ES384) and P-521 (ES512). A key that cannot be used is left out and counted: another kind, no kid
 * or one that is longer than CRYPTO_KID_SIZE allows, a kid that two different keys have, an alg that does not fit, not
 * for signatures, with a private part, weak, or broken.
 *
 * -EINVAL: not a key set, or none of its keys can be used; -E2BIG; -ENOMEM. err (may be NULL) says what is wrong.
 */
int crypto_jwks_parse(const char *text, size_t len, struct crypto_jwks **ret, struct pc_err *err);

/* Another owner of it; NULL is fine for both. unref returns NULL. */
struct crypto_jwks *crypto_jwks_ref(struct crypto_jwks *keys);
struct crypto_jwks *crypto_jwks_unref(struct crypto_jwks *keys);

static inline void crypto_jwks_unrefp(struct crypto_jwks **keys)
{
	crypto_jwks_unref(*keys);
}

/* How many keys can be used, and how many were left out. */
size_t crypto_jwks_count(const struct crypto_jwks *keys);
size_t crypto_jwks_unusable(const struct crypto_jwks *keys);

/* Why the first of the latter cannot be used: "key 2 has 1024 bits; ..."; empty: there is none. */
const char *crypto_jwks_defect(const struct crypto_jwks *keys);
