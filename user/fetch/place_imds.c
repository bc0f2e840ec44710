// SPDX-License-Identifier: Apache-2.0
/* The role of the instance. podcred's own pod reaches the real metadata service, as the agent's cgroup is not guarded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/imds.h"
#include "config/credentials.h"
#include "fetch/place_call.h"

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

static int ask(struct fetch_place_call *place, const struct config_node_credentials *config,
	       struct pc_err *err)
{
	(void)config;
	return aws_imds_credentials(place->env->imds, fetch_place_on_session, place, &place->call,
				    err);
}

static int start(const struct fetch_env *env, const struct config_node_credentials *config,
		 fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const struct fetch_place_call place = {
		.env = env,
		.absent = "the instance has no role; give it an instance profile",
		.done = done,
		.arg = arg};

	return fetch_place_start(&place, config, ask, ret, err);
}

const struct fetch_place fetch_place_imds = {.has_some = has_some, .start = start};
