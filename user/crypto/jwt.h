/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON web tokens: compact JWS (RFC 7515) that a key of a set has signed. The key says which algorithm it is for; the
 * token's own header only may agree. Claims are read after the signature was verified, so nobody but an owner of a
 * key reaches that parser. Whether the claims are those that are wanted is for the caller to say.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct crypto_jwks;
struct crypto_jwt;

#define CRYPTO_JWT_MAX_SIZE 8192 /* characters; tokens of service accounts have 900 to 1500 */

/*
 * 0: one of the keys has signed it, and its claims are an object. The copies that were made of it are wiped.
 *   -EINVAL        not a token that anybody would have issued: size, parts, spelling, header, claims
 *   -ENOKEY        no key has its kid
 *   -EKEYREJECTED  that key has not signed it, or is for another algorithm
 *   -ENOMEM, -EIO  we fail
 */
int crypto_jwt_verify(const struct crypto_jwks *keys, const char *token, size_t len,
		      struct crypto_jwt **ret);

/* NULL is fine. */
void crypto_jwt_free(struct crypto_jwt *jwt);

static inline void crypto_jwt_freep(struct crypto_jwt **jwt)
{
	crypto_jwt_free(*jwt);
}

/*
 * A claim, by the names on the way to it: {"kubernetes.io", "pod", "uid", NULL}. *ret is the token's, and shorter than
 * the token was. -ENOENT: there is none. -EINVAL: one that is no text, or lies in something that is no object.
 */
int crypto_jwt_text(const struct crypto_jwt *jwt, const char *const path[], const char **ret);

/* exp, nbf, iat: seconds since 1970. -ENOENT; -EINVAL: not a whole number, or beyond the year 9999. */
int crypto_jwt_time(const struct crypto_jwt *jwt, const char *claim, time_t *ret);

/* Whether aud, one text or a list of texts, has that one. */
bool crypto_jwt_is_for(const struct crypto_jwt *jwt, const char *audience);
