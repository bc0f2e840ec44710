// SPDX-License-Identifier: Apache-2.0
/* The environment of this process, as SDKs read it. */
#include <stdio.h>
#include <stdlib.h>

#include "fetch/keys.h"
#include "fetch/node_place.h"

static const char *get(const char *name)
{
	const char *text = getenv(name);

	return text && *text ? text : NULL;
}

static bool has_some(const struct fetch_env *env, const struct config_node_credentials *config,
		     char text[FETCH_PLACE_SIZE])
{
	(void)env;
	(void)config;
	snprintf(text, FETCH_PLACE_SIZE, "from the environment (AWS_ACCESS_KEY_ID)");
	return get("AWS_ACCESS_KEY_ID") && get("AWS_SECRET_ACCESS_KEY");
}

static int start(const struct fetch_env *env, const struct config_node_credentials *config,
		 fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	struct fetch_result result = {
		.class = FETCH_GRANTED,
		.access_key_id = get("AWS_ACCESS_KEY_ID"),
		.secret_access_key = get("AWS_SECRET_ACCESS_KEY"),
		.session_token = get("AWS_SESSION_TOKEN"),
	};

	(void)config;
	(void)err;
	if (!fetch_is_access_key_id(result.access_key_id) ||
	    !fetch_is_secret(result.secret_access_key, FETCH_SECRET_MAX) ||
	    (result.session_token && !fetch_is_secret(result.session_token, FETCH_TOKEN_MAX)))
		result = (struct fetch_result){
			.class = FETCH_INVALID,
			.why = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_SESSION_TOKEN is "
			       "no such thing; correct the environment"};
	return fetch_job_later(env->loop, &result, done, arg, ret);
}

const struct fetch_place fetch_place_environment = {.has_some = has_some, .start = start};
