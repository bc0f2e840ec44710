// SPDX-License-Identifier: Apache-2.0
/* AssumeRole with the node's own credentials. */
#include "fetch/aws_job.h"

static int call(struct fetch_aws_job *job, const struct aws_keys *keys, struct pc_err *err)
{
	return fetch_aws_assume(job, 0, keys, err);
}

int fetch_source_sts(const struct fetch_env *env, const struct fetch_request *request,
		     fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const struct fetch_aws_kind kind = {.with_node = true, .call = call};

	return fetch_aws_start(env, request, &kind, done, arg, ret, err);
}
