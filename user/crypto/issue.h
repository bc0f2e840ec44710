/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates that podcred makes for itself: an authority of its own, and the certificates of servers that it
 * vouches for. EC P-256, as PEM texts. Times are the caller's, as whoever renews has to know them.
 */
#pragma once

#include <stddef.h>
#include <time.h>

/* A certificate and its private key. */
struct crypto_pem {
	char *certificate, *key;
};

/* Wipes and frees; leaves an empty one. */
void crypto_pem_done(struct crypto_pem *pem);

struct crypto_validity {
	time_t from, to;
};

/* An authority that vouches for servers, and for no other authority. A name of 1 to 64 characters. -EINVAL, -EIO. */
int crypto_issue_authority(const char *name, const struct crypto_validity *validity,
			   struct crypto_pem *ret);

/*
 * names: DNS names up to NULL. The first certificate of authority->certificate is the issuer's, and what is issued
 * does not outlive it. -EINVAL: no name, or one that is none; the issuer cannot be read or is no pair; -EIO, -ENOMEM.
 */
int crypto_issue_server(const struct crypto_pem *authority, const char *const *names,
			const struct crypto_validity *validity, struct crypto_pem *ret);

/* Of the first certificate of a text. -EINVAL. */
int crypto_pem_validity(const char *certificate, struct crypto_validity *ret);

/* Whether the two belong together. 0, -EINVAL, -ENOKEY. */
int crypto_pem_check(const struct crypto_pem *pem);

/* How many certificates a text has; -EINVAL: one that is broken, or none. */
int crypto_bundle_count(const char *bundle);

/* A text with the first one alone, to be freed. -EINVAL, -ENOMEM. */
int crypto_bundle_first(const char *bundle, char **ret);

/* What a client says that trusts the bundle and no other: 0, or -EKEYREJECTED (not by one of these, not for this name,
 * not at this time), -EINVAL (not to be read), -ENOMEM. */
int crypto_bundle_accepts(const char *bundle, const char *certificate, const char *name,
			  time_t now);
