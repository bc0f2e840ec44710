/* SPDX-License-Identifier: Apache-2.0 */
/* What STS answers to AssumeRoleWithWebIdentity and to GetCallerIdentity, when the keys are sealed ones (sealed_keys.h), and of no role of AWS. */
#pragma once

#include <time.h>

struct aws_sealed_keys;
struct http_response;

#define AWS_STS_EXCHANGE "AssumeRoleWithWebIdentity"
#define AWS_STS_IDENTITY "GetCallerIdentity"

/* Whom clients are told that they are. */
struct aws_sealed_session {
	const char *partition, *account, *role, *role_id, *name;
};

struct aws_sealed_grant {
	const struct aws_sealed_keys *keys;
	time_t expires;
	struct aws_sealed_session session;
	const char *subject; /* of the token */
	const char *audience; /* likewise; NULL: is not said */
};

/* Each begins the answer and writes it. */
void aws_sealed_sts_grant(struct http_response *resp, const struct aws_sealed_grant *grant);
void aws_sealed_sts_identity(struct http_response *resp, const struct aws_sealed_session *session);
void aws_sealed_sts_refuse(struct http_response *resp, unsigned status, const char *code,
			   const char *message);
