// SPDX-License-Identifier: Apache-2.0
/* A token file and a role, as EKS's webhook gives them to a pod (IRSA): podcred's own, for the node. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/arn.h"
#include "aws/sts.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "config/credentials.h"
#include "fetch/keys.h"
#include "fetch/place_call.h"

static const char *or_environment(const char *configured, const char *name)
{
	const char *text = getenv(name);

	return *configured ? configured : text && *text ? text : NULL;
}

static const char *token_file(const struct config_node_credentials *config)
{
	return or_environment(config->path, "AWS_WEB_IDENTITY_TOKEN_FILE");
}

static const char *role_arn(const struct config_node_credentials *config)
{
	return or_environment(config->role_arn, "AWS_ROLE_ARN");
}

static bool has_some(const struct fetch_env *env, const struct config_node_credentials *config,
		     char text[FETCH_PLACE_SIZE])
{
	const char *file = token_file(config), *role = role_arn(config);

	(void)env;
	snprintf(text, FETCH_PLACE_SIZE, "of the role %.560s, by the token in %.560s", role ?: "",
		 file ?: "");
	return file && role;
}

static int read_token(const char *path, char **ret, struct pc_err *err)
{
	int r = secret_read(path, FETCH_TOKEN_MAX, ret, NULL);

	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  path, strerror(-r));
	(*ret)[strcspn(*ret, "\r\n")] = '\0';
	return 0;
}

static int ask(struct fetch_place_call *place, const struct config_node_credentials *config,
	       struct pc_err *err)
{
	const char *session = getenv("AWS_ROLE_SESSION_NAME");
	_cleanup_secret_ char *token = NULL;
	struct aws_web_identity params = {
		.role_arn = role_arn(config),
		.session_name = session && aws_is_session_name(session) ? session : "podcred",
	};
	int r;

	if (!place->env->aws)
		return pc_err_set(err, -EAGAIN, "the region is not known; see 'region'");
	r = read_token(token_file(config), &token, err);
	if (r < 0)
		return r;
	params.token = token;
	return aws_assume_role_with_web_identity(place->env->aws, &params, fetch_place_on_session,
						 place, &place->call, err);
}

static int start(const struct fetch_env *env, const struct config_node_credentials *config,
		 fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const struct fetch_place_call place = {.env = env, .done = done, .arg = arg};

	return fetch_place_start(&place, config, ask, ret, err);
}

const struct fetch_place fetch_place_web_identity = {.has_some = has_some, .start = start};
