// SPDX-License-Identifier: Apache-2.0
#include "fetch/from_aws.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "aws/arn.h"
#include "base/clock.h"

static enum fetch_class class_of(enum aws_class class)
{
	static const enum fetch_class classes[AWS_N_CLASSES] = {
		[AWS_OK] = FETCH_GRANTED,
		[AWS_DENIED] = FETCH_DENIED,
		[AWS_NOT_FOUND] = FETCH_ABSENT,
		[AWS_KEYS] = FETCH_NODE,
		[AWS_TOKEN] = FETCH_TOKEN,
		[AWS_CHAINED] = FETCH_INVALID,
		[AWS_TOO_LARGE] = FETCH_INVALID,
		[AWS_REGION] = FETCH_INVALID,
		[AWS_INVALID] = FETCH_INVALID,
		[AWS_CLOCK] = FETCH_UNAVAILABLE,
		[AWS_THROTTLED] = FETCH_THROTTLED,
		[AWS_UNAVAILABLE] = FETCH_UNAVAILABLE,
		[AWS_UNTRUSTED] = FETCH_UNAVAILABLE,
		[AWS_MALFORMED] = FETCH_UNAVAILABLE,
		[AWS_INTERNAL] = FETCH_BROKEN,
	};

	return classes[class];
}

void fetch_from_result(const struct aws_result *result, struct fetch_result *ret)
{
	*ret = (struct fetch_result){
		.class = class_of(result->class),
		.why = result->message,
		.retry_after_ns = result->retry_after_ns,
	};
}

static void copy(char *ret, size_t size, struct aws_piece piece)
{
	snprintf(ret, size, "%.*s", (int)piece.len, piece.text);
}

/* It is for people. What is not as STS documents it is not worth passing on. */
static bool is_role_id(const char *id)
{
	size_t len = id ? strlen(id) : 0;

	return len && len < sizeof(((struct fetch_aws_texts *)NULL)->role_id) &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			  "0123456789_+=,.@:-") == len;
}

unsigned fetch_packed_percent(const struct aws_session *session)
{
	return session->packed_policy_size > 0 ? (unsigned)session->packed_policy_size : 0;
}

void fetch_from_session(const struct aws_session *session, time_t now,
			struct fetch_aws_texts *texts, struct fetch_result *ret)
{
	struct aws_piece name;
	struct aws_role role;

	*ret = (struct fetch_result){
		.class = FETCH_GRANTED,
		.access_key_id = session->access_key_id,
		.secret_access_key = session->secret_access_key,
		.session_token = session->session_token,
		.expiration = session->expiration,
		.good_ns = session->expiration > now
				   ? (uint64_t)(session->expiration - now) * CLOCK_S
				   : 1, /* nothing is left of it */
		.role_arn = session->arn,
		.packed_percent = fetch_packed_percent(session),
	};
	if (is_role_id(session->role_id))
		ret->role_id = strcpy(texts->role_id, session->role_id);
	if (!session->arn || aws_assumed_role_parse(session->arn, &role, &name) < 0)
		return;
	copy(texts->account, sizeof(texts->account), role.account);
	copy(texts->session_name, sizeof(texts->session_name), name);
	ret->account_id = texts->account;
	ret->session_name = texts->session_name;
}
