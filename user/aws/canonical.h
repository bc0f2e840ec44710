/* SPDX-License-Identifier: Apache-2.0 */
/* The one form of a request that both sides hash. */
#pragma once

#include <stdbool.h>

#include "aws/sigv4.h"

struct text;

#define AWS_CANONICAL_MAX (256U << 10)

/* "content-type;host;x-amz-date" of all headers. ret: empty. -EINVAL, -ENOMEM, -E2BIG. */
int aws_canonical_names(const struct aws_header *headers, size_t n, struct text *ret);

/* names: as above, of those headers that are signed. service: S3 is alone in escaping paths once.
 * -EINVAL, -ENOMEM, -E2BIG, -EIO. */
int aws_canonical_request(const struct aws_request *request, const char *names, const char *service,
			  struct text *ret);

/* What is signed: the algorithm, the time, the scope (DAY/REGION/SERVICE/aws4_request), and the
 * hash of the canonical request. */
int aws_string_to_sign(const char *algorithm, const char *date, const struct aws_scope *scope,
		       const struct text *canonical, struct text *ret);

/* HMAC with the key that is derived from the secret one for this day and scope. */
int aws_hmac_signature(const char *secret_access_key, const char *day,
		       const struct aws_scope *scope, const struct text *to_sign, uint8_t ret[32]);

/* Whatever the case. */
bool aws_header_is(const struct aws_header *header, const char *name, size_t len);

/* %XX for all that may not stand in a query or a form as it is. */
void aws_add_escaped(struct text *t, const char *text);
