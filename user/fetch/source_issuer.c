// SPDX-License-Identifier: Apache-2.0
/*
 * AssumeRoleWithWebIdentity with a token that podcred broker has signed itself. It has the session's tags in it, and
 * nobody needs credentials of a cloud to make it.
 */
#include <errno.h>

#include "base/err.h"
#include "base/secret.h"
#include "fetch/aws_job.h"
#include "fetch/fetch.h"

static int call(struct fetch_aws_job *job, const struct aws_keys *keys, struct pc_err *err)
{
	const struct fetch_issuer *issuer = job->env->issuer;
	const struct fetch_request *request = job->request;
	_cleanup_secret_ char *token = NULL;
	int r;

	(void)keys;
	if (!issuer->issue)
		return pc_err_set(err, -EINVAL, "only podcred broker has the source issuer");
	r = issuer->issue(issuer->arg, &request->pod, &request->session,
			  aws_client_now(job->env->aws), &token, err);
	return r < 0 ? r : fetch_aws_assume_by_token(job, token, err);
}

int fetch_source_issuer(const struct fetch_env *env, const struct fetch_request *request,
			fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const struct fetch_aws_kind kind = {.own_token = true, .call = call};

	return fetch_aws_start(env, request, &kind, done, arg, ret, err);
}
