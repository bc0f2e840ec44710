// SPDX-License-Identifier: Apache-2.0
/* AssumeRoleWithWebIdentity with a token of the pod's service account, bound to the pod. No credentials of the node. */
#include "config/credentials.h"
#include "fetch/aws_job.h"

static int call(struct fetch_aws_job *job, const struct aws_keys *keys, struct pc_err *err)
{
	(void)keys;
	return fetch_aws_assume_by_token(job, job->token, err);
}

int fetch_source_web_identity(const struct fetch_env *env, const struct fetch_request *request,
			      fetch_done_fn *done, void *arg, struct fetch_job **ret,
			      struct pc_err *err)
{
	const char *audience = request->association->audience;
	const struct fetch_aws_kind kind = {
		.token_audience = audience ?: env->config->web_identity_audience,
		.call = call,
	};

	return fetch_aws_start(env, request, &kind, done, arg, ret, err);
}
