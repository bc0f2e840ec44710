// SPDX-License-Identifier: Apache-2.0
/* EKS Pod Identity: one fixed path. */
#include <string.h>

#include "agent/container_credentials.h"

static bool path_known(const char *path)
{
	return !strcmp(path, "/v1/credentials");
}

static int check(struct agent_exchange *x)
{
	int r = agent_container_check(x, path_known);

	if (r != AGENT_GO_ON || !x->env->require_authorization || x->req->head.authorization)
		return r;
	r = agent_response_error(x->resp, 400, "InvalidRequest",
				 "the Authorization header is missing; is "
				 "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE set?",
				 AGENT_NO_AUTHORIZATION);
	return r < 0 ? r : AGENT_ANSWERED;
}

const struct agent_service agent_pod_identity = {
	.name = "pod_identity",
	.addresses = {{{[10] = 0xff, 0xff, 169, 254, 170, 23}},
		      {{0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}}},
	.name_wait_ms = 1500,
	.check = check,
	.decide = agent_container_decide,
	.answer = agent_container_answer,
	.refuse = agent_container_refuse,
};
