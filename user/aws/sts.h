/* SPDX-License-Identifier: Apache-2.0 */
/* STS. All texts are copied; -EINVAL of a start is a parameter that STS would refuse, err says
 * which; -ENOMEM. */
#pragma once

#include "aws/client.h"

#define AWS_STS_MIN_S	  900
#define AWS_STS_MAX_S	  43200
#define AWS_STS_CHAINED_S 3600 /* the most that keys of a role are good for */

struct aws_tag {
	const char *key, *value;
	bool transitive;
};

struct aws_assume_role {
	const char *role_arn;
	const char *session_name;
	unsigned duration_s; /* 0: 3600 */
	const struct aws_tag *tags;
	size_t n_tags;
	const char *policy; /* the rest may be NULL */
	const char *const *policy_arns; /* up to a NULL */
	const char *external_id;
	const char *source_identity;
};

int aws_assume_role(struct aws_client *client, const struct aws_keys *keys,
		    const struct aws_assume_role *params, aws_session_fn *done, void *arg,
		    struct aws_call **ret, struct pc_err *err);

/* Not signed: the token says who asks. */
struct aws_web_identity {
	const char *role_arn;
	const char *session_name;
	const char *token;
	unsigned duration_s; /* 0: 3600 */
	const char *policy; /* may be NULL, and so may policy_arns */
	const char *const *policy_arns;
};

int aws_assume_role_with_web_identity(struct aws_client *client,
				      const struct aws_web_identity *params, aws_session_fn *done,
				      void *arg, struct aws_call **ret, struct pc_err *err);

struct aws_identity {
	char *account, *arn, *user_id;
};

/* identity is NULL unless the class is AWS_OK. */
typedef void aws_identity_fn(void *arg, const struct aws_result *result,
			     const struct aws_identity *identity);

int aws_get_caller_identity(struct aws_client *client, const struct aws_keys *keys,
			    aws_identity_fn *done, void *arg, struct aws_call **ret,
			    struct pc_err *err);
