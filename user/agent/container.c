// SPDX-License-Identifier: Apache-2.0
#include "protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "associations.h"
#include "cleanup.h"
#include "http/path.h"
#include "provider.h"

/* "/v2/credentials", also with a slash at its end, or an id behind it. */
static bool is_or_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	return !strncmp(path, root, len) && (!path[len] || path[len] == '/');
}

/*
 * 169.254.170.23 has one fixed path. On 169.254.170.2 the path is whatever the pod's author wrote
 * into AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; it selects nothing here, since the kernel says who
 * asks, so the usual ones are taken: ECS's v1 and v2 with or without an id, the EKS one, "/creds" of
 * AWS's stand-in for local use, and "/". Not its "/role/NAME", which selects.
 */
static bool path_known(enum destination d, const char *path)
{
	if (d != DESTINATION_ECS)
		return !strcmp(path, "/v1/credentials");
	return !strcmp(path, "/") || !strcmp(path, "/creds") || !strcmp(path, "/creds/") ||
	       is_or_below(path, "/v1/credentials") || is_or_below(path, "/v2/credentials");
}

/* Everything that can be said without knowing the pod's name. Returns whether resp is final. */
static bool refuse_early(const struct agent_env *env, const struct agent_request *req,
			 enum destination d, struct agent_response *resp, int *r)
{
	char path[HTTP_PATH_SIZE];

	if (req->head.host_repeated || (req->head.host && !destination_host_ok(d, req->head.host)))
		*r = response_error(resp, 403, "AccessDenied",
				    "the Host header does not name this endpoint", "bad_host");
	else if (req->head.forwarded)
		*r = response_error(resp, 403, "AccessDenied",
				    "relayed requests are refused (X-Forwarded-For and the like)",
				    "forwarded");
	else if (http_path_normalise(req->head.target, path, sizeof(path)) < 0)
		*r = response_error(resp, 400, "InvalidRequest", "malformed path", "bad_path");
	else if (!path_known(d, path))
		*r = response_error(resp, 404, "NotFound", "no such path", NULL);
	else if (!http_is_read(&req->head))
		*r = response_method(resp, "GET, HEAD", false);
	else if (env->require_authorization && !req->head.authorization && d != DESTINATION_ECS)
		*r = response_error(resp, 400, "InvalidRequest",
				    "the Authorization header is missing; is "
				    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE set?",
				    "no_authorization");
	else
		return false;
	return true;
}

static int answer_granted(const struct association *a, const struct agent_request *req,
			  struct agent_response *resp)
{
	_cleanup_(credentials_done) struct credentials c = {};
	int r = provider_static_get(a, req->now, &c);

	snprintf(resp->role, sizeof(resp->role), "%s", a->role);
	if (r == -EKEYEXPIRED)
		return response_error(resp, 503, "CredentialsExpired",
				      "the credentials in the node's associations file have "
				      "expired",
				      "credentials_expired");
	if (r < 0)
		return r;
	text_add(&resp->http.body, "{");
	if (a->account_id)
		text_add_member(&resp->http.body, "AccountId", a->account_id);
	r = response_credentials(resp, &c, "application/json");
	if (r != -E2BIG)
		return r;
	/* R4: aws-c-auth cannot read such a body, and a truncated one is worse than none */
	text_done(&resp->http.body);
	return response_error(resp, 500, "InternalServerError",
			      "the credentials do not fit into an answer", "body_too_large");
}

int container_answer(const struct agent_env *env, const struct agent_request *req,
		     enum destination d, struct agent_response *ret)
{
	const struct association *a;
	char message[400];
	int r;

	if (refuse_early(env, req, d, ret, &r))
		return r;
	if (!(req->peer->flags & PODCRED_PEER_NAMED))
		return -EAGAIN;
	a = association_find(env->table, req->peer->pod_namespace, req->peer->service_account);
	if (a)
		return answer_granted(a, req, ret);
	snprintf(message, sizeof(message),
		 "no credentials are associated with service account %s/%s",
		 req->peer->pod_namespace, req->peer->service_account);
	return response_error(ret, 404, "NoCredentialsAssociated", message, "no_association");
}
