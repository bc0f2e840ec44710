/* SPDX-License-Identifier: Apache-2.0 */
/* ARNs: arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE. Total functions; no memory of their own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define AWS_ARN_MAX 2048

/* Pieces of the text that was parsed, which are not terminated. */
struct aws_piece {
	const char *text;
	size_t len;
};

bool aws_piece_is(struct aws_piece piece, const char *text);

struct aws_arn {
	struct aws_piece partition, service, region, account,
		resource; /* region and account may be empty */
};

/* -EINVAL: not an ARN. Its members are not looked into. */
int aws_arn_parse(const char *text, struct aws_arn *ret);

struct aws_role {
	struct aws_piece partition; /* one that AWS has: aws, aws-cn ... */
	struct aws_piece account; /* 12 digits */
	struct aws_piece path; /* "/", or "/a/b/" */
	struct aws_piece name; /* up to 64 of [A-Za-z0-9_+=,.@-] */
};

/* arn:PARTITION:iam::ACCOUNT:role/PATH/NAME, as IAM writes it. -EINVAL. */
int aws_role_parse(const char *arn, struct aws_role *ret);

/* arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION, as STS answers. path is empty. -EINVAL. */
int aws_assumed_role_parse(const char *arn, struct aws_role *ret, struct aws_piece *ret_session);

/* Up to 64 of [A-Za-z0-9_+=,.@-]. */
bool aws_is_role_name(const char *text, size_t len);

/* 2 to 64 of the same. */
bool aws_is_session_name(const char *text);
