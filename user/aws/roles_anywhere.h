/* SPDX-License-Identifier: Apache-2.0 */
/* IAM Roles Anywhere: credentials for a certificate that an authority of one's own has issued, without any keys of AWS. */
#pragma once

#include "aws/client.h"

struct aws_roles_anywhere {
	const char *certificate; /* PEM, followed by its chain */
	const char *key; /* for it; PEM, RSA or EC */
	const char *trust_anchor_arn, *profile_arn, *role_arn;
	const char *session_name; /* NULL: the serial number, as the profile may not take one */
	unsigned duration_s; /* 0: as the profile has it */
};

/* CreateSession. As those of sts.h; -ENOKEY: certificate and key cannot be read, or are no pair. */
int aws_create_session(struct aws_client *client, const struct aws_roles_anywhere *params,
		       aws_session_fn *done, void *arg, struct aws_call **ret, struct pc_err *err);
