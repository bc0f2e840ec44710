// SPDX-License-Identifier: Apache-2.0
#include "protocol.h"

#include <errno.h>
#include <string.h>

#include "http/path.h"

const char *const agent_headers[HTTP_EXTRA_MAX] = {
	[AGENT_HEADER_IMDS_TOKEN] = "X-aws-ec2-metadata-token",
	[AGENT_HEADER_IMDS_TTL] = "X-aws-ec2-metadata-token-ttl-seconds",
};

int response_method(struct agent_response *resp, const char *allow, bool imds)
{
	int r = imds ? response_imds_error(resp, 405, NULL)
		     : response_error(resp, 405, "MethodNotAllowed",
				      "this method is not allowed here", NULL);

	http_response_add_header(&resp->http, "Allow", allow);
	return r;
}

/* Callers that were not redirected. Probes come this way, unstamped from the host, and learn one
 * thing: the agent answers. Nothing else is here for anybody. */
bool agent_is_probe(const struct agent_request *req)
{
	char path[HTTP_PATH_SIZE];

	return http_is_read(&req->head) &&
	       http_path_normalise(req->head.target, path, sizeof(path)) == 0 &&
	       !strcmp(path, "/healthz");
}

static int answer_outsider(const struct agent_request *req, bool direct,
			   struct agent_response *resp)
{
	if (agent_is_probe(req))
		return response_text(resp, 200, "ok", NULL);
	if (!direct)
		return response_error(resp, 403, "AccessDenied",
				      "this connection is not vouched for by podcred",
				      "unknown_caller");
	return response_error(resp, 403, "AccessDenied",
			      "this connection was made to the agent's own address; if a sidecar "
			      "in the pod makes it, exclude that address from what the sidecar "
			      "takes over",
			      "direct");
}

static int answer_ambiguous(const struct agent_request *req, struct agent_response *resp)
{
	int r;

	if (!req->peer || destination_of(req->peer) != DESTINATION_IMDS)
		return response_error(resp, 400, "InvalidRequest",
				      "the headers or the body can be read in more than one way",
				      "ambiguous");
	r = response_imds_error(resp, 400, "ambiguous");
	http_response_add_header(&resp->http, "Server", "EC2ws");
	return r;
}

static int answer(const struct agent_env *env, const struct agent_request *req,
		  struct agent_response *resp)
{
	enum destination d;

	if (req->head.ambiguous)
		return answer_ambiguous(req, resp);
	if (!req->peer)
		return answer_outsider(req, false, resp);
	if (req->peer->flags & PODCRED_PEER_DIRECT)
		return answer_outsider(req, true, resp);
	d = destination_of(req->peer);
	switch (d) {
	case DESTINATION_POD_IDENTITY:
	case DESTINATION_ECS:
		return container_answer(env, req, d, resp);
	case DESTINATION_IMDS:
		return imds_answer(env, req, resp);
	case DESTINATION_OTHER:
		break;
	}
	return response_error(resp, 403, "AccessDenied",
			      "no service is known at the dialled address", "unknown_destination");
}

int agent_dispatch(const struct agent_env *env, const struct agent_request *req,
		   struct agent_response *ret)
{
	struct agent_response resp = {};
	int r = answer(env, req, &resp);

	if (r < 0) {
		response_done(&resp);
		return r;
	}
	*ret = resp;
	return 0;
}

int agent_not_resolved(const struct agent_request *req, const char *reason,
		       struct agent_response *ret)
{
	struct agent_response resp = {};
	int r;

	if (destination_of(req->peer) == DESTINATION_IMDS) {
		r = response_text(&resp, 503, "503 - PodNotResolved", reason);
		http_response_add_header(&resp.http, "Server", "EC2ws");
	} else {
		r = response_error(&resp, 503, "PodNotResolved",
				   "this pod's name is not known yet, try again", reason);
	}
	if (r < 0) {
		response_done(&resp);
		return r;
	}
	*ret = resp;
	return 0;
}

int agent_too_large(struct agent_response *ret)
{
	return response_error(ret, 413, "InvalidRequest", "no request here has such a body", NULL);
}
