// SPDX-License-Identifier: Apache-2.0
/*
 * The credentials endpoint of ECS. The path is whatever the pod's author wrote into
 * AWS_CONTAINER_CREDENTIALS_RELATIVE_URI. It selects nothing here, since the kernel says who is
 * asking, so all the usual paths are accepted: ECS's v1 and v2 with or without an id, the EKS one,
 * "/creds" of AWS's local stand-in, and "/". The stand-in's "/role/NAME" is not accepted, because
 * it selects a role.
 */
#include <string.h>

#include "agent/container_credentials.h"

/* "/v2/credentials", also with a slash at its end, or an id behind it. */
static bool is_or_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	return !strncmp(path, root, len) && (!path[len] || path[len] == '/');
}

static bool path_known(const char *path)
{
	return !strcmp(path, "/") || !strcmp(path, "/creds") || !strcmp(path, "/creds/") ||
	       is_or_below(path, "/v1/credentials") || is_or_below(path, "/v2/credentials");
}

static int check(struct agent_exchange *x)
{
	return agent_container_check(x, path_known);
}

const struct agent_service agent_ecs = {
	.name = "ecs",
	.addresses = {{{[10] = 0xff, 0xff, 169, 254, 170, 2}}},
	.name_wait_ms = 1500,
	.check = check,
	.decide = agent_container_decide,
	.answer = agent_container_answer,
	.refuse = agent_container_refuse,
};
