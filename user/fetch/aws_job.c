// SPDX-License-Identifier: Apache-2.0
#include "fetch/aws_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sts.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/secret.h"
#include "fetch/from_aws.h"
#include "fetch/node.h"
#include "kube/token_request.h"

#define ROLE_NOT_ALLOWED "RoleNotAllowedException" /* as the broker says it */

static void begin_call(struct fetch_aws_job *job);
static void get_node(struct fetch_aws_job *job);

/* ---- the end ---- */

static void job_free(struct fetch_job *of)
{
	struct fetch_aws_job *job = (struct fetch_aws_job *)of;

	loop_timer_free(job->kick);
	kube_token_request_cancel(job->token_request);
	fetch_wait_cancel(job->wait);
	aws_call_cancel(job->call);
	fetch_value_unref(job->node);
	aws_session_done(&job->session);
	secret_free(job->token);
	free(job);
}

static void report(struct fetch_aws_job *job, const struct fetch_result *result)
{
	job->done(job->arg, result);
	job_free(&job->job);
}

static void fail(struct fetch_aws_job *job, enum fetch_class class, const char *why)
{
	const struct fetch_result result = {.class = class, .why = why};

	report(job, &result);
}

static enum fetch_class class_of_start(int error)
{
	switch (error) {
	case -EINVAL:
		return FETCH_INVALID;
	case -ENOENT:
	case -EACCES:
		return FETCH_NODE;
	default:
		return FETCH_BROKEN;
	}
}

/* Of a call that was not even begun: what it was to say is not what AWS takes, what it is asked with is not there, or
 * there is no memory. */
static void fail_start(struct fetch_aws_job *job, int error, const struct pc_err *err)
{
	fail(job, class_of_start(error), err->msg);
}

/* ---- what AWS says ---- */

static struct aws_keys keys_of(const struct aws_session *session)
{
	return (struct aws_keys){session->access_key_id, session->secret_access_key,
				 session->session_token};
}

static void next_hop(struct fetch_aws_job *job, struct aws_session *session)
{
	struct pc_err err = {};
	struct aws_keys keys;
	int r;

	job->session = *session;
	*session = (struct aws_session){};
	keys = keys_of(&job->session);
	r = fetch_aws_assume(job, ++job->hop, &keys, &err);
	if (r < 0)
		fail_start(job, r, &err);
}

static const struct aws_client *client_of(const struct fetch_aws_job *job)
{
	return job->kind.brokered ? job->env->broker : job->env->aws;
}

static void grant(struct fetch_aws_job *job, const struct aws_session *session)
{
	unsigned first = fetch_packed_percent(&job->session);
	struct fetch_aws_texts texts;
	struct fetch_result result;

	fetch_from_session(session, aws_client_now(client_of(job)), &texts, &result);
	/* with two roles, the tags go with the first */
	if (first > result.packed_percent)
		result.packed_percent = first;
	report(job, &result);
}

/* The node's credentials have ended, perhaps: once, others are got for the same call. */
static bool retry_with_other_keys(struct fetch_aws_job *job)
{
	if (!job->node || job->hop || job->again)
		return false;
	job->again = true;
	fetch_node_reject(job->env->node, job->node->access_key_id);
	get_node(job);
	return true;
}

/* The caller is a role itself: no session of more than an hour. */
static bool retry_with_an_hour(struct fetch_aws_job *job)
{
	if (job->hour || job->hop)
		return false;
	job->hour = true;
	fetch_node_set_chained(job->env->node);
	begin_call(job);
	return true;
}

/* True: it has failed by that. */
static bool is_misfit(struct fetch_aws_job *job, const struct aws_session *session)
{
	enum fetch_class class = FETCH_TOKEN;
	const char *why = NULL;

	if (!job->hop && job->kind.misfit)
		why = job->kind.misfit(job->request, session, &class);
	if (why)
		fail(job, class, why);
	return why;
}

/* What the broker's word means more here. */
static void judge_brokered(const struct fetch_aws_job *job, const struct aws_result *aws,
			   struct fetch_result *result)
{
	if (!strcmp(aws->code, ROLE_NOT_ALLOWED))
		result->class = FETCH_NOT_ALLOWED;
	/* there is an object, which this node has seen a moment earlier */
	if (result->class == FETCH_ABSENT && job->request->association->role_arn)
		result->class = FETCH_UNAVAILABLE;
}

void fetch_aws_on_session(void *arg, const struct aws_result *aws, struct aws_session *session)
{
	struct fetch_aws_job *job = arg;
	struct fetch_result result;

	job->call = NULL;
	if (session && is_misfit(job, session))
		return;
	if (session && job->hop + 1 < job->request->session.n_hops) {
		next_hop(job, session);
		return;
	}
	if (session) {
		grant(job, session);
		return;
	}
	if ((aws->class == AWS_KEYS && retry_with_other_keys(job)) ||
	    (aws->class == AWS_CHAINED && retry_with_an_hour(job)))
		return;
	fetch_from_result(aws, &result);
	if (job->kind.brokered)
		judge_brokered(job, aws, &result);
	if (result.class == FETCH_NODE && job->hop)
		result.class = FETCH_UNAVAILABLE; /* these were not the node's */
	if (result.class == FETCH_TOKEN && job->token)
		result.class = FETCH_INVALID; /* it was made for this call, and not the pod's */
	if (result.class == FETCH_TOKEN && job->kind.own_token)
		result.class =
			FETCH_NODE; /* our keys are not known (yet), or the provider is not */
	report(job, &result);
}

/* ---- what is asked ---- */

static unsigned duration_of(const struct fetch_aws_job *job, const struct cred_hop *hop)
{
	bool chained = job->hour || (job->node && fetch_node_is_chained(job->env->node));

	return chained && hop->duration > AWS_STS_CHAINED_S ? AWS_STS_CHAINED_S : hop->duration;
}

int fetch_aws_assume_by_token(struct fetch_aws_job *job, const char *token, struct pc_err *err)
{
	const struct cred_session *session = &job->request->session;
	const struct cred_hop *hop = &session->hops[0];
	const struct aws_web_identity params = {
		.role_arn = hop->role_arn,
		.session_name = session->name,
		.token = token,
		.duration_s = hop->duration,
		.policy = hop->policy,
	};

	return aws_assume_role_with_web_identity(job->env->aws, &params, fetch_aws_on_session, job,
						 &job->call, err);
}

static size_t tags_of(const struct cred_session *session, struct aws_tag ret[CRED_TAGS_MAX])
{
	for (size_t i = 0; i < session->n_tags; i++)
		ret[i] = (struct aws_tag){session->tags[i].key, session->tags[i].value, true};
	return session->n_tags;
}

int fetch_aws_assume(struct fetch_aws_job *job, size_t i, const struct aws_keys *keys,
		     struct pc_err *err)
{
	const struct cred_session *session = &job->request->session;
	const struct cred_hop *hop = &session->hops[i];
	struct aws_tag tags[CRED_TAGS_MAX];
	const struct aws_assume_role params = {
		.role_arn = hop->role_arn,
		.session_name = session->name,
		.duration_s = duration_of(job, hop),
		.tags = tags,
		.n_tags = hop->tagged ? tags_of(session, tags) : 0,
		.policy = hop->policy,
		.external_id = hop->external_id,
	};

	return aws_assume_role(job->env->aws, keys, &params, fetch_aws_on_session, job, &job->call,
			       err);
}

static void begin_call(struct fetch_aws_job *job)
{
	const struct fetch_value *node = job->node;
	struct aws_keys keys = {};
	struct pc_err err = {};
	int r;

	if (node)
		keys = (struct aws_keys){node->access_key_id, node->secret_access_key,
					 node->session_token};
	r = job->kind.call(job, node ? &keys : NULL, &err);
	if (r < 0)
		fail_start(job, r, &err);
}

/* ---- with whose credentials ---- */

static void use_node(struct fetch_aws_job *job, const struct fetch_answer *answer)
{
	char why[512];

	if (answer->class != FETCH_GRANTED) {
		snprintf(why, sizeof(why), "the node has no credentials of its own: %.400s",
			 answer->why);
		fail(job, FETCH_NODE, why);
		return;
	}
	/* none but the ones that were refused */
	if (job->node && !strcmp(job->node->access_key_id, answer->value->access_key_id)) {
		fail(job, FETCH_NODE,
		     "AWS refuses the node's own credentials: they have ended, or are unknown");
		return;
	}
	fetch_value_unref(job->node);
	job->node = fetch_value_ref((struct fetch_value *)answer->value);
	begin_call(job);
}

static void on_node(void *arg, const struct fetch_answer *answer)
{
	struct fetch_aws_job *job = arg;

	job->wait = NULL;
	use_node(job, answer);
}

static void get_node(struct fetch_aws_job *job)
{
	struct fetch_answer answer;

	if (fetch_node_ask(job->env->node, on_node, job, &answer, &job->wait))
		use_node(job, &answer);
}

static void first_call(struct fetch_aws_job *job)
{
	if (!client_of(job) && job->kind.brokered)
		fail(job, FETCH_INVALID,
		     "no broker is configured: set credentials.source to broker, and broker.url");
	else if (!client_of(job))
		fail(job, FETCH_NODE,
		     "the region is not known: set 'region', AWS_REGION, or let IMDS say it");
	else if (job->kind.with_node)
		get_node(job);
	else
		begin_call(job);
}

/* ---- a token of the pod ---- */

static enum fetch_class class_of_token_error(int error)
{
	return error == -EPERM	  ? FETCH_INVALID
	       : error == -ENOMEM ? FETCH_BROKEN
				  : FETCH_UNAVAILABLE;
}

static void on_token(void *arg, const struct kube_token_request_result *result)
{
	struct fetch_aws_job *job = arg;

	job->token_request = NULL;
	if (result->error) {
		fail(job, class_of_token_error(result->error), result->why);
		return;
	}
	job->token = strdup(result->token);
	if (job->token)
		first_call(job);
	else
		fail(job, FETCH_BROKEN, "no memory");
}

static void get_token(struct fetch_aws_job *job)
{
	const struct cred_pod *pod = &job->request->pod;
	const struct kube_token_request_options options = {
		.name_space = pod->namespace,
		.service_account = pod->service_account,
		.pod_name = pod->name,
		.pod_uid = pod->uid,
		.audience = job->kind.token_audience,
		.seconds = KUBE_TOKEN_REQUEST_MIN_S,
		.done = on_token,
		.arg = job,
	};
	struct pc_err err = {};
	int r;

	if (!job->env->kube) {
		fail(job, FETCH_INVALID,
		     "a token of the pod is needed, and podcred has no API server to ask for it");
		return;
	}
	r = kube_token_request_start(job->env->kube, &options, &job->token_request, &err);
	if (r < 0)
		fail_start(job, r, &err);
}

/* ---- the beginning ---- */

static void begin(void *arg)
{
	struct fetch_aws_job *job = arg;

	job->kick = loop_timer_free(job->kick);
	if (job->kind.token_audience)
		get_token(job);
	else
		first_call(job);
}

/* In the loop's next turn: nobody is called before this has returned. */
int fetch_aws_start(const struct fetch_env *env, const struct fetch_request *request,
		    const struct fetch_aws_kind *kind, fetch_done_fn *done, void *arg,
		    struct fetch_job **ret, struct pc_err *err)
{
	struct fetch_aws_job *job = calloc(1, sizeof(*job));
	int r;

	if (!job)
		return pc_err_set(err, -ENOMEM, "no memory");
	*job = (struct fetch_aws_job){.job.cancel = job_free,
				      .env = env,
				      .request = request,
				      .kind = *kind,
				      .done = done,
				      .arg = arg};
	r = loop_timer_new(env->loop, begin, job, &job->kick);
	if (r < 0) {
		job_free(&job->job);
		return pc_err_set(err, r, "no memory");
	}
	loop_timer_after(job->kick, 0);
	*ret = &job->job;
	return 0;
}
