// SPDX-License-Identifier: Apache-2.0
/*
 * The protocol of container credentials, which SDKs speak to ECS and to EKS Pod Identity: one GET, and the
 * credentials as JSON. The two differ in address and path.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/service.h"
#include "base/cleanup.h"

static int answered(int r)
{
	return r < 0 ? r : AGENT_ANSWERED;
}

static int check_container(struct agent_exchange *x, bool (*path_known)(const char *path))
{
	const struct http_head *head = &x->req->head;
	struct agent_answer *answer = x->answer;

	if (!agent_service_host_ok(x->service, head))
		return answered(agent_answer_error(answer, 403, "AccessDenied",
						   "the Host header does not name this endpoint",
						   AGENT_BAD_HOST));
	if (head->forwarded)
		return answered(agent_answer_error(
			answer, 403, "AccessDenied",
			"relayed requests are refused (X-Forwarded-For and the like)",
			AGENT_FORWARDED));
	if (http_path_normalise(head->target, x->path, sizeof(x->path)) < 0)
		return answered(agent_answer_error(answer, 400, "InvalidRequest", "malformed path",
						   AGENT_BAD_PATH));
	if (!path_known(x->path))
		return answered(agent_answer_error(answer, 404, "NotFound", "no such path",
						   AGENT_NO_REASON));
	if (!http_is_read(head))
		return answered(agent_answer_method(answer, "GET, HEAD", false));
	return AGENT_GO_ON;
}

static int decide(struct agent_exchange *x)
{
	const struct podcred_peer *peer = x->req->peer;
	char message[600];

	if (x->role.name)
		return AGENT_GO_ON;
	if (peer->service_account[0])
		snprintf(message, sizeof(message),
			 "no credentials are associated with service account %s/%s",
			 peer->pod_namespace, peer->service_account);
	else
		snprintf(message, sizeof(message),
			 "pod %s/%s has no service account, as a static pod, so no credentials are "
			 "associated with it",
			 peer->pod_namespace, peer->pod_name);
	return answered(agent_answer_error(x->answer, 404, "NoCredentialsAssociated", message,
					   AGENT_NO_ASSOCIATION));
}

static int grant(struct agent_exchange *x)
{
	struct text *body = &x->answer->http.body;
	int r;

	text_add(body, "{");
	if (x->role.account_id)
		text_add_member(body, "AccountId", x->role.account_id);
	r = agent_answer_credentials(x->answer, &x->secrets, "application/json");
	if (r != -E2BIG)
		return answered(r);
	/* aws-c-auth cannot read such a body, and a truncated one is worse than none */
	text_done(body);
	return answered(agent_answer_error(x->answer, 500, "InternalServerError",
					   "the credentials do not fit into an answer",
					   AGENT_BODY_TOO_LARGE));
}

static int refuse(struct agent_exchange *x, enum agent_reason reason)
{
	const struct agent_refusal refusal = agent_refusal_of(reason);
	const char *message = x->told ? x->told->message : NULL;

	if (reason == AGENT_AMBIGUOUS)
		return agent_answer_ambiguous(x->answer);
	return agent_answer_error(x->answer, refusal.status, refusal.code,
				  message ?: refusal.message, reason);
}

/* ---- ECS ---- */

/* "/v2/credentials", also with a slash at its end, or an id behind it. */
static bool is_or_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	return !strncmp(path, root, len) && (!path[len] || path[len] == '/');
}

/*
 * The path is whatever the pod's author wrote into AWS_CONTAINER_CREDENTIALS_RELATIVE_URI. It selects nothing here,
 * since the kernel says who is asking, so all the usual paths are accepted: ECS's v1 and v2 with or without an id, the
 * EKS one, "/creds" of AWS's local stand-in, and "/". The stand-in's "/role/NAME" is not accepted, because it selects
 * a role.
 */
static bool ecs_path_known(const char *path)
{
	return !strcmp(path, "/") || !strcmp(path, "/creds") || !strcmp(path, "/creds/") ||
	       is_or_below(path, "/v1/credentials") || is_or_below(path, "/v2/credentials");
}

static int ecs_check(struct agent_exchange *x)
{
	return check_container(x, ecs_path_known);
}

const struct agent_service agent_ecs = {
	.name = "ecs",
	.addresses = {{{[10] = 0xff, 0xff, 169, 254, 170, 2}}},
	.authorization_is_token = true,
	.wait_ms = 1500,
	.check = ecs_check,
	.decide = decide,
	.answer = grant,
	.refuse = refuse,
};

/* ---- EKS Pod Identity: one fixed path ---- */

static bool pod_identity_path_known(const char *path)
{
	return !strcmp(path, "/v1/credentials");
}

/* What a refused token is answered with. Where the stock agent has a word, it is that one; all are final for SDKs, but
 * for the last ones. */
static const struct {
	enum agent_reason reason;
	unsigned status;
	const char *code, *message;
} token_answers[] = {
	{AGENT_NO_AUTHORIZATION, 400, "InvalidRequest",
	 "the Authorization header is missing; is AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE set?"},
	{AGENT_TOKEN_MALFORMED, 400, "InvalidRequest",
	 "the Authorization header is not the token of a service account"},
	{AGENT_TOKEN_EXPIRED, 400, "ExpiredToken",
	 "the service account token has expired; the token file has a newer one"},
	{AGENT_TOKEN_NOT_YET_VALID, 400, "InvalidToken",
	 "the service account token is not valid yet; is the node's clock right?"},
	{AGENT_TOKEN_BAD_SIGNATURE, 400, "InvalidToken",
	 "the signature of the service account token is wrong"},
	{AGENT_TOKEN_UNKNOWN_KEY, 400, "InvalidToken",
	 "the service account token is signed with a key that this cluster does not have"},
	{AGENT_TOKEN_WRONG_ISSUER, 400, "InvalidToken",
	 "the service account token is another cluster's"},
	{AGENT_TOKEN_WRONG_AUDIENCE, 400, "InvalidToken",
	 "the service account token is for another audience"},
	{AGENT_TOKEN_NOT_A_PODS, 400, "InvalidToken",
	 "the service account token is not bound to a pod"},
	{AGENT_TOKEN_OTHER_POD, 403, "AccessDenied",
	 "the service account token was issued to another pod"},
	{AGENT_TOKEN_OTHER_ACCOUNT, 403, "AccessDenied",
	 "the service account token is another service account's"},
	{AGENT_TOKEN_OTHER_NODE, 403, "AccessDenied",
	 "the service account token was issued to a pod of another node"},
	{AGENT_TOKEN_NOT_ACCEPTED, 400, "InvalidToken",
	 "the cluster does not accept the service account token"},
	{AGENT_TOKEN_NOT_REVIEWED, 503, "CredentialsUninitialized",
	 "the cluster cannot be asked about the service account token now, try again"},
	{AGENT_TOKEN_KEYS_MISSING, 503, "CredentialsUninitialized",
	 "the agent has no keys yet to verify tokens with, try again"},
};

static int refuse_token(struct agent_exchange *x, enum agent_reason reason)
{
	if (reason == AGENT_TOKEN_UNKNOWN_KEY && x->env->want_keys)
		return answered(agent_answer_error(
			x->answer, 503, "CredentialsUninitialized",
			"the service account token is signed with a key that is not known here "
			"yet, try again",
			reason));
	for (size_t i = 0; i < ARRAY_SIZE(token_answers); i++)
		if (token_answers[i].reason == reason)
			return answered(agent_answer_error(x->answer, token_answers[i].status,
							   token_answers[i].code,
							   token_answers[i].message, reason));
	return answered(agent_answer_error(x->answer, 500, "InternalServerError",
					   "the service account token cannot be verified", reason));
}

static int pod_identity_check(struct agent_exchange *x)
{
	int r = check_container(x, pod_identity_path_known);

	if (r == AGENT_GO_ON && x->env->require_authorization && !x->req->head.authorization)
		return refuse_token(x, AGENT_NO_AUTHORIZATION);
	return r;
}

/* Before anything is said of the role: who has no token of this pod learns nothing of it. */
static int pod_identity_prepare(struct agent_exchange *x)
{
	const struct http_head *head = &x->req->head;
	/* the text of a header that is longer than any token is not kept: then it is as wrong as an empty one */
	const struct agent_token token = {.text = head->authorization_text
							  ?: head->authorization ? ""
										 : NULL,
					  .len = head->authorization_len};
	enum agent_reason reason;
	int r = agent_service_check_token(x, &token, &reason);

	if (r < 0)
		return r;
	return reason ? refuse_token(x, reason) : AGENT_GO_ON;
}

const struct agent_service agent_pod_identity = {
	.name = "pod_identity",
	.addresses = {{{[10] = 0xff, 0xff, 169, 254, 170, 23}},
		      {{0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}}},
	.authorization_is_token = true,
	.wait_ms = 1500,
	.check = pod_identity_check,
	.prepare = pod_identity_prepare,
	.decide = decide,
	.answer = grant,
	.refuse = refuse,
};
