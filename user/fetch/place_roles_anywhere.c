// SPDX-License-Identifier: Apache-2.0
/* A certificate of an authority that IAM Roles Anywhere trusts: for machines outside of AWS, without any keys of AWS. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/roles_anywhere.h"
#include "base/err.h"
#include "base/secret.h"
#include "config/credentials.h"
#include "fetch/place_call.h"

#define PEM_MAX (64U << 10)

/* It was named, so it is meant, also when a file is missing. */
static bool has_some(const struct fetch_env *env, const struct config_node_credentials *config,
		     char text[FETCH_PLACE_SIZE])
{
	(void)env;
	snprintf(text, FETCH_PLACE_SIZE, "of the role %.560s, by the certificate %.560s",
		 config->role_arn, config->path);
	return true;
}

static int read_pem(const char *path, char **ret, struct pc_err *err)
{
	int r = secret_read(path, PEM_MAX, ret, NULL);

	return r < 0 ? pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  path, strerror(-r))
		     : 0;
}

static int ask(struct fetch_place_call *place, const struct config_node_credentials *config,
	       struct pc_err *err)
{
	_cleanup_secret_ char *certificate = NULL, *key = NULL;
	struct aws_roles_anywhere params = {
		.trust_anchor_arn = config->trust_anchor_arn,
		.profile_arn = config->profile_arn,
		.role_arn = config->role_arn,
	};
	int r;

	if (!place->env->aws)
		return pc_err_set(err, -EAGAIN, "the region is not known; see 'region'");
	r = read_pem(config->path, &certificate, err);
	r = r ?: read_pem(config->key, &key, err);
	if (r < 0)
		return r;
	params.certificate = certificate;
	params.key = key;
	return aws_create_session(place->env->aws, &params, fetch_place_on_session, place,
				  &place->call, err);
}

static int start(const struct fetch_env *env, const struct config_node_credentials *config,
		 fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const struct fetch_place_call place = {.env = env, .done = done, .arg = arg};

	return fetch_place_start(&place, config, ask, ret, err);
}

const struct fetch_place fetch_place_roles_anywhere = {.has_some = has_some, .start = start};
