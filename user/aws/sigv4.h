/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS's Signature Version 4, both ways, and its form for X.509 certificates (IAM Roles Anywhere).
 * One function makes the canonical request for all of them (canonical.c).
 *
 * Nothing here reads a clock. Copies of keys are wiped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct crypto_certificate;
struct crypto_key;

#define AWS_DATE_SIZE	  17 /* 20260102T030405Z */
#define AWS_SIGNATURE_MAX 1024 /* hex digits; of a key that belongs to a certificate */

/* Somebody else's texts. */
struct aws_keys {
	const char *access_key_id;
	const char *secret_access_key;
	const char *session_token; /* NULL: none, as keys of an IAM user have none */
};

/* What a signature is good for. */
struct aws_scope {
	const char *region;
	const char *service; /* "sts", "eks-auth" */
};

struct aws_header {
	const char *name; /* of any case */
	const char *value;
};

struct aws_request {
	const char *method;
	const char *target; /* the raw one of the request line: path and query, still escaped */
	/* To sign: those to be signed, Host among them. To verify: all that came. One name may come
	 * several times. */
	const struct aws_header *headers;
	size_t n_headers;
	const void *body; /* NULL: none */
	size_t body_len;
};

/* ---- a client ---- */

/* What is added to the request: X-Amz-Date, Authorization, and X-Amz-Security-Token if the keys
 * have one. */
struct aws_signed {
	char date[AWS_DATE_SIZE];
	char *authorization; /* the header's value; wiped by aws_signed_done() */
};

void aws_signed_done(struct aws_signed *s);

/* 0; -EINVAL, not a request that can be signed: no Host, a target without '/', a line feed;
 * -ERANGE, the time; -ENOMEM, -EIO. */
int aws_sign(const struct aws_request *request, const struct aws_keys *keys,
	     const struct aws_scope *scope, time_t when, struct aws_signed *ret);

/*
 * With the private key of a certificate instead, RSA or EC. X-Amz-X509, the certificate as base64
 * DER, and X-Amz-X509-Chain, if there is one, are among request's headers. As aws_sign(), and
 * -ENOKEY: not a key that can sign so.
 */
int aws_sign_x509(const struct aws_request *request, const struct crypto_certificate *certificate,
		  const struct crypto_key *key, const struct aws_scope *scope, time_t when,
		  struct aws_signed *ret);

/* ---- a server ---- */

/* What an Authorization header claims, before anything is checked. */
struct aws_claim {
	char access_key_id[129];
	char date[9]; /* 20260102 */
	char region[65];
	char service[65];
	char signed_headers[1025];
	uint8_t signature[32];
};

/* AWS4-HMAC-SHA256 only. -EINVAL: it is something else, or malformed. */
int aws_claim_parse(const char *authorization, struct aws_claim *ret);

/*
 * Whether the one who has the secret key of claim->access_key_id has signed the request, for this
 * scope, now. 0, or
 *   -EBADMSG      a header has to be signed and is not (Host, X-Amz-Date, each that begins with
 *                 X-Amz-, Content-Type where there is one), comes more than once, or is missing
 *   -EDOM         signed for another region, service or day
 *   -ETIME        signed more than 15 minutes before or after now
 *   -EKEYREJECTED the signature is another one
 *   -EINVAL, -ENOMEM, -EIO
 */
int aws_verify(const struct aws_request *request, const struct aws_claim *claim,
	       const char *secret_access_key, const struct aws_scope *scope, time_t now);
