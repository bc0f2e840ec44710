/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of an answer, XML or JSON: the first byte says which. Of both, a few members are taken,
 * by their name and the name of what they are in; whether their first letter is a capital differs
 * from service to service.
 */
#pragma once

#include <stddef.h>

#include "aws/client.h"

#define AWS_ANSWER_MAX (64U << 10)

enum aws_field {
	AWS_ACCESS_KEY_ID,
	AWS_SECRET_ACCESS_KEY,
	AWS_SESSION_TOKEN,
	AWS_EXPIRATION, /* ISO 8601, or seconds since 1970 */
	AWS_SESSION_ARN,
	AWS_ROLE_ID,
	AWS_PACKED_POLICY_SIZE,
	AWS_SUBJECT,
	AWS_NAMESPACE,
	AWS_AUDIENCE,
	AWS_ASSOCIATION_ARN,
	AWS_ASSOCIATION_ID,
	AWS_CALLER_ACCOUNT,
	AWS_CALLER_ARN,
	AWS_CALLER_ID,
	AWS_ERROR_CODE, /* from here on: those that may come twice */
	AWS_ERROR_MESSAGE,
	AWS_REQUEST_ID,
	AWS_N_FIELDS
};

struct aws_answer {
	char *fields[AWS_N_FIELDS]; /* NULL: not there */
};

/* -EBADMSG: neither XML nor JSON, broken, with a member twice, too deep; -ENOMEM. */
int aws_answer_read(const char *body, size_t len, struct aws_answer *ret);

/* Wipes all. */
void aws_answer_done(struct aws_answer *answer);

/* Takes the fields of a session out of it. -EBADMSG: one that every session has is missing or
 * unusable; -ENOMEM. */
int aws_answer_session(struct aws_answer *answer, struct aws_session *ret);

/* As jansson's memory is wiped from then on, wherever it has secrets. */
void aws_answer_prepare(void);
