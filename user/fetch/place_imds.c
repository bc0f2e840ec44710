// SPDX-License-Identifier: Apache-2.0
/* The role of the instance. podcred's own pod reaches the real metadata service, as the agent's cgroup is not guarded. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/imds.h"
#include "base/err.h"
#include "config/credentials.h"
#include "fetch/from_aws.h"
#include "fetch/node_place.h"

struct job {
	struct fetch_job job;
	const struct fetch_env *env;
	struct aws_call *call;
	fetch_done_fn *done;
	void *arg;
};

static void job_free(struct fetch_job *of)
{
	struct job *job = (struct job *)of;

	aws_call_cancel(job->call);
	free(job);
}

/* AWS's clock, as far as a call to STS has shown it. */
static time_t now(const struct fetch_env *env)
{
	return env->aws ? aws_client_now(env->aws) : time(NULL);
}

static void on_session(void *arg, const struct aws_result *aws, struct aws_session *session)
{
	struct job *job = arg;
	struct fetch_aws_texts texts;
	struct fetch_result result;

	job->call = NULL;
	if (session)
		fetch_from_session(session, now(job->env), &texts, &result);
	else
		fetch_from_result(aws, &result);
	if (result.class == FETCH_ABSENT)
		result = (struct fetch_result){
			.class = FETCH_NODE,
			.why = "the instance has no role; give it an instance profile"};
	job->done(job->arg, &result);
	job_free(&job->job);
}

static bool has_some(const struct fetch_env *env, const struct config_node_credentials *config,
		     char text[FETCH_PLACE_SIZE])
{
	const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
	const char *url = env->config->imds_endpoint;

	(void)config;
	snprintf(text, FETCH_PLACE_SIZE, "of the instance's role (IMDS%s%s)", *url ? " at " : "",
		 url);
	return env->imds && !(disabled && !strcasecmp(disabled, "true"));
}

static int start(const struct fetch_env *env, const struct config_node_credentials *config,
		 fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	struct job *job = calloc(1, sizeof(*job));
	int r;

	(void)config;
	if (!job)
		return pc_err_set(err, -ENOMEM, "no memory");
	*job = (struct job){.job.cancel = job_free, .env = env, .done = done, .arg = arg};
	r = aws_imds_credentials(env->imds, on_session, job, &job->call, err);
	if (r < 0)
		job_free(&job->job);
	else
		*ret = &job->job;
	return r;
}

const struct fetch_place fetch_place_imds = {.has_some = has_some, .start = start};
