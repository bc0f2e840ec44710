// SPDX-License-Identifier: Apache-2.0
/*
 * podcred broker, which knows the pods of the cluster, their associations, and on which node each of them is. It
 * believes this node by podcred's own token, which the kubelet renews in its file. The pod's token goes with the
 * question where the pod has sent one: it is one more proof.
 */
#include <errno.h>
#include <string.h>

#include "aws/arn.h"
#include "aws/eks_auth.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "config/credentials.h"
#include "fetch/aws_job.h"
#include "fetch/ca.h"
#include "fetch/keys.h"

static int read_bearer(const char *path, char **ret, struct pc_err *err)
{
	int r = secret_read(path, FETCH_TOKEN_MAX, ret, NULL);

	if (r < 0)
		return pc_err_set(err, r,
				  "cannot read podcred's own token for the broker, %s: %s; mount a "
				  "projected token for its audience there",
				  path, strerror(-r));
	(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return 0;
}

/* Read for each question, as the token is: whoever made the authority may replace it. */
static int trust_authority(const struct fetch_env *env, struct pc_err *err)
{
	_cleanup_free_ char *ca = NULL;
	int r = fetch_read_ca(env->config->broker.ca_bundle, &ca, err);

	if (r < 0)
		return r;
	r = aws_client_trust(env->broker, ca);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

static int call(struct fetch_aws_job *job, const struct aws_keys *keys, struct pc_err *err)
{
	const struct fetch_request *request = job->request;
	_cleanup_secret_ char *bearer = NULL;
	int r = read_bearer(job->env->config->broker.token_file, &bearer, err);
	const struct aws_brokered_pod params = {
		.cluster = request->cluster.name,
		.pod_uid = request->pod.uid,
		.token = request->token,
		.bearer = bearer,
	};

	(void)keys;
	r = r ?: trust_authority(job->env, err);
	if (r < 0)
		return r;
	return aws_assume_role_for_pod(job->env->broker, &params, fetch_aws_on_session, job,
				       &job->call, err);
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static bool is_role(const struct cred_association *a, const char *assumed)
{
	struct aws_piece session;
	struct aws_role role;

	return assumed && aws_assumed_role_parse(assumed, &role, &session) == 0 &&
	       aws_piece_is(role.name, a->role) && aws_piece_is(role.account, a->account_id);
}

/* Whatever the broker says: what is meant for another service account is not handed on. Nor is what comes of an object as
 * it was before this node heard that it has changed: it would be kept for as long as it lives. */
static const char *misfit(const struct fetch_request *request, const struct aws_session *session,
			  enum fetch_class *ret_class)
{
	const struct cred_association *a = request->association;

	*ret_class = FETCH_TOKEN;
	if (!same(session->subject_namespace, request->pod.namespace) ||
	    !same(session->subject, request->pod.service_account))
		return "the token is another service account's";
	*ret_class = FETCH_UNAVAILABLE;
	return !a->role_arn || is_role(a, session->arn)
		       ? NULL
		       : "the broker does not know yet that the association has changed";
}

int fetch_source_broker(const struct fetch_env *env, const struct fetch_request *request,
			fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const struct fetch_aws_kind kind = {.brokered = true, .misfit = misfit, .call = call};

	return fetch_aws_start(env, request, &kind, done, arg, ret, err);
}
