/* SPDX-License-Identifier: Apache-2.0 */
/* What sts.c and eks_auth.c share. */
#pragma once

#include "aws/call.h"

#define AWS_BODY_MAX (128U << 10)

struct aws_client {
	struct aws_origin origin;
	struct aws_endpoint endpoints[AWS_SERVICES];
	char region[64];
};

/* A POST whose answer is a session, for the caller to fill in. keys NULL: not signed. NULL: no
 * memory. */
struct aws_call *aws_service_call(struct aws_client *client, enum aws_service service,
				  const struct aws_keys *keys);

/* When the body is written; if that has failed, the call is gone. */
int aws_service_begin(struct aws_call *call, struct aws_call **ret, struct pc_err *err);

/* What else it needs, so that nothing of it is shown. */
void aws_service_set_token(struct aws_call *call, const char *token);
