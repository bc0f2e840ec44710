/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys for SigV4 that podcred itself gives out, in place of AWS. Nothing of them is kept: the session token is a sealed
 * identity with its end, and the secret key is derived from that token. So whoever has the master key verifies what any
 * replica has issued.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct aws_sealing;
struct pc_err;

#define AWS_SEALED_ID_SIZE     21 /* "PODC" and 16 of A-Z 2-7, with a NUL */
#define AWS_SEALED_SECRET_SIZE 65 /* hex digits, with a NUL */
#define AWS_SEALED_MAX	       4096 /* bytes of an identity */

/*
 * text: a line for each master key, "VERSION BASE64", with 32 bytes, and of 1 to 255; the first one seals, and all of
 * them open. So a new key is added as the second first, and when all replicas have it, put before the other. Blank lines and
 * those with # are left out. -EINVAL: err says which line (err never has a key), or that there is none; -ENOMEM.
 */
int aws_sealing_parse(const char *text, size_t len, struct aws_sealing **ret, struct pc_err *err);

/* Wipes. Returns NULL; NULL is fine. */
struct aws_sealing *aws_sealing_free(struct aws_sealing *sealing);

/* What they are for: keys of one purpose are not accepted for another. */
struct aws_sealed_scope {
	const char *purpose; /* "eks-auth" */
	const char *cluster;
};

struct aws_sealed_keys {
	char access_key_id[AWS_SEALED_ID_SIZE];
	char secret_access_key[AWS_SEALED_SECRET_SIZE];
	char *session_token;
};

/* Wipes and frees. */
void aws_sealed_keys_done(struct aws_sealed_keys *keys);

/* identity: any bytes. -EINVAL: too many; -ENOMEM, -EIO. */
int aws_sealed_issue(const struct aws_sealing *sealing, const struct aws_sealed_scope *scope,
		     const void *identity, size_t len, time_t expires, struct aws_sealed_keys *ret);

/* Whether an access key id looks like one of these. */
bool aws_sealed_is_id(const char *access_key_id);

struct aws_sealed_identity {
	size_t len;
	time_t expires;
	char secret_access_key[AWS_SEALED_SECRET_SIZE]; /* for aws_verify() */
	char identity[AWS_SEALED_MAX + 1]; /* with a NUL behind it */
};

/*
 * What was sealed. That the caller has the secret key is for aws_verify() to say; whoever calls wipes ret. -ETIME: it was
 * good and has ended; -EKEYREJECTED: not of this sealing, scope or access key id; -EIO.
 */
int aws_sealed_open(const struct aws_sealing *sealing, const struct aws_sealed_scope *scope,
		    const char *access_key_id, const char *session_token, time_t now,
		    struct aws_sealed_identity *ret);
