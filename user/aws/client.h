/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to AWS, from a loop: STS and EKS Auth of one region.
 *
 * A call is repeated, up to three attempts in all, when it was throttled, when the service is in
 * trouble, or when there was no connection: after a random wait (full jitter) that is not shorter
 * than Retry-After. When the service refuses the signature, and its clock (the header Date) is
 * another one than this node's, the call is repeated once with the service's time, which the client
 * remembers.
 *
 * Each call ends in one function, never before the function that started it has returned, unless it
 * is cancelled. That function may start and cancel any calls. What it is given is valid until it
 * returns, and wiped then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "aws/error.h"
#include "aws/sigv4.h"

struct aws_call;
struct aws_client;
struct http_client;
struct loop;
struct pc_err;

/* Copied. */
struct aws_client_options {
	const char *region;
	const char *sts_url, *eks_auth_url,
		*roles_anywhere_url; /* endpoints of one's own; NULL: AWS's */
	bool fips, dual_stack; /* of AWS's endpoints */
	const char *ca; /* PEM: who is trusted, and nobody else; NULL: whom the system trusts */
	const char *proxy, *no_proxy; /* as http_call_options has them */
	uint64_t attempt_ns; /* 0: 5 s */
	uint64_t deadline_ns; /* of a call, with all its attempts; 0: 15 s */
};

/* -EINVAL: region or endpoints, err says which; -ENOMEM. */
int aws_client_new(struct loop *loop, struct http_client *http,
		   const struct aws_client_options *options, struct aws_client **ret,
		   struct pc_err *err);

/* Who is trusted in place of the options' ca, by calls that begin later. NULL: whom the system trusts. -ENOMEM. */
int aws_client_trust(struct aws_client *client, const char *ca);

/* Cancels all calls. Not from a function of a call. Returns NULL; NULL is fine. */
struct aws_client *aws_client_free(struct aws_client *client);
static inline void aws_client_freep(struct aws_client **client)
{
	aws_client_free(*client);
}

/* What AWS's clock shows, as far as is known: this node's, with the correction that was needed
 * last. */
time_t aws_client_now(const struct aws_client *client);

/* Nobody is called any more. Returns NULL; NULL is fine. */
struct aws_call *aws_call_cancel(struct aws_call *call);

/* ---- what is obtained ---- */

struct aws_session {
	/* always there, and never empty */
	char *access_key_id, *secret_access_key, *session_token;
	time_t expiration;
	/* NULL where the service does not say */
	char *arn; /* arn:aws:sts::111122223333:assumed-role/NAME/SESSION */
	char *role_id; /* AROA...:SESSION */
	char *subject; /* of a web identity; of EKS Auth the service account that the token is of */
	char *subject_namespace; /* EKS Auth: of that service account */
	char *audience;
	char *association_arn, *association_id; /* EKS Auth */
	int packed_policy_size; /* percent; -1: not told */
};

void aws_session_done(struct aws_session *session);

/* session is NULL unless the class is AWS_OK. It may be taken: copy the struct and clear it. */
typedef void aws_session_fn(void *arg, const struct aws_result *result,
			    struct aws_session *session);
