/* SPDX-License-Identifier: Apache-2.0 */
/* What an SDK asks STS for: the parameters of one request, as a form in its body or its query. */
#pragma once

#include <stddef.h>

#include "agent/answer.h"
#include "http/request.h"

#define AGENT_STS_BODY_MAX    16384 /* more than a token with all that may be beside it */
#define AGENT_STS_MESSAGE_MAX 256

enum agent_sts_action {
	AGENT_STS_ASSUME, /* AssumeRoleWithWebIdentity */
	AGENT_STS_IDENTITY, /* GetCallerIdentity */
};

/* In memory that is wiped. */
struct agent_sts_request {
	enum agent_sts_action action;
	const char *role_arn, *token; /* ASSUME */
	char key_id[ANSWER_KEY_ID_SIZE]; /* IDENTITY: of the credentials that it is signed with */
	size_t size; /* of text */
	char text[]; /* the form, decoded */
};

/* Why it is none, as STS says it. */
struct agent_sts_error {
	unsigned status;
	const char *code;
	char message[AGENT_STS_MESSAGE_MAX];
	enum agent_reason reason;
};

/* body may be NULL. 0; -EINVAL with *error filled; -ENOMEM. */
int agent_sts_request_read(const struct http_head *head, const char *body, size_t len,
			   struct agent_sts_request **ret, struct agent_sts_error *error);

void agent_sts_request_free(struct agent_sts_request *request); /* NULL is fine */
