// SPDX-License-Identifier: Apache-2.0
/*
 * EKS Auth, which knows the pod's association by its token: the one that came with its request or, where the address
 * asks for none (IMDS, ECS), one that is made for it.
 */
#include <string.h>

#include "aws/eks_auth.h"
#include "config/credentials.h"
#include "fetch/aws_job.h"

#define AUDIENCE "pods.eks.amazonaws.com"

static int call(struct fetch_aws_job *job, const struct aws_keys *keys, struct pc_err *err)
{
	const struct fetch_env *env = job->env;
	const struct aws_pod_identity params = {
		.cluster = job->request->cluster.name,
		.token = job->token ?: job->request->token,
		.node_name = env->node_name,
		.instance_id = env->instance_id,
		.zone_id = env->zone_id,
	};

	return aws_assume_role_for_pod_identity(env->aws, keys, &params, fetch_aws_on_session, job,
						&job->call, err);
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* EKS Auth grants what the token is good for, whoever has it: a pod that shows another's is to get nothing. */
static const char *misfit(const struct fetch_request *request, const struct aws_session *session,
			  enum fetch_class *ret_class)
{
	*ret_class = FETCH_TOKEN;
	return same(session->subject_namespace, request->pod.namespace) &&
			       same(session->subject, request->pod.service_account)
		       ? NULL
		       : "the token is another service account's";
}

int fetch_source_eks_auth(const struct fetch_env *env, const struct fetch_request *request,
			  fetch_done_fn *done, void *arg, struct fetch_job **ret,
			  struct pc_err *err)
{
	const struct fetch_aws_kind kind = {
		.token_audience = request->token ? NULL : AUDIENCE,
		.with_node = true,
		.misfit = misfit,
		.call = call,
	};

	return fetch_aws_start(env, request, &kind, done, arg, ret, err);
}
