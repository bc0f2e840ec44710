// SPDX-License-Identifier: Apache-2.0
#include "agent/container_credentials.h"

#include <errno.h>
#include <stdio.h>

static int answered(int r)
{
	return r < 0 ? r : AGENT_ANSWERED;
}

int agent_container_check(struct agent_exchange *x, bool (*path_known)(const char *path))
{
	const struct http_head *head = &x->req->head;
	struct agent_response *resp = x->resp;

	if (!agent_service_host_ok(x->service, head))
		return answered(agent_response_error(resp, 403, "AccessDenied",
						     "the Host header does not name this endpoint",
						     AGENT_BAD_HOST));
	if (head->forwarded)
		return answered(agent_response_error(
			resp, 403, "AccessDenied",
			"relayed requests are refused (X-Forwarded-For and the like)",
			AGENT_FORWARDED));
	if (http_path_normalise(head->target, x->path, sizeof(x->path)) < 0)
		return answered(agent_response_error(resp, 400, "InvalidRequest", "malformed path",
						     AGENT_BAD_PATH));
	if (!path_known(x->path))
		return answered(agent_response_error(resp, 404, "NotFound", "no such path",
						     AGENT_NO_REASON));
	if (!http_is_read(head))
		return answered(agent_response_method(resp, "GET, HEAD", false));
	return AGENT_GO_ON;
}

int agent_container_decide(struct agent_exchange *x)
{
	const struct podcred_peer *peer = x->req->peer;
	char message[400];

	if (x->association)
		return AGENT_GO_ON;
	snprintf(message, sizeof(message),
		 "no credentials are associated with service account %s/%s", peer->pod_namespace,
		 peer->service_account);
	return answered(agent_response_error(x->resp, 404, "NoCredentialsAssociated", message,
					     AGENT_NO_ASSOCIATION));
}

int agent_container_answer(struct agent_exchange *x)
{
	struct text *body = &x->resp->http.body;
	int r;

	text_add(body, "{");
	if (x->association->account_id)
		text_add_member(body, "AccountId", x->association->account_id);
	r = agent_response_credentials(x->resp, &x->credentials, "application/json");
	if (r != -E2BIG)
		return answered(r);
	/* R4: aws-c-auth cannot read such a body, and a truncated one is worse than none */
	text_done(body);
	return answered(agent_response_error(x->resp, 500, "InternalServerError",
					     "the credentials do not fit into an answer",
					     AGENT_BODY_TOO_LARGE));
}

int agent_container_refuse(struct agent_exchange *x, enum agent_reason reason)
{
	if (reason == AGENT_AMBIGUOUS)
		return agent_response_ambiguous(x->resp);
	if (reason == AGENT_CREDENTIALS_EXPIRED)
		return agent_response_error(x->resp, 503, "CredentialsExpired",
					    "the credentials in the node's associations file have "
					    "expired",
					    reason);
	return agent_response_error(x->resp, 503, "PodNotResolved",
				    "this pod's name is not known yet, try again", reason);
}
