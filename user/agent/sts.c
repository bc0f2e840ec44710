// SPDX-License-Identifier: Apache-2.0
/*
 * STS, for pods that have AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE and an endpoint of STS that is this one:
 * AssumeRoleWithWebIdentity gives the pod the credentials of its own association. The role in the request selects
 * nothing, it has to be that one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/service.h"
#include "agent/sts_answer.h"
#include "agent/sts_request.h"
#include "base/cleanup.h"

#define RETRY "IDPCommunicationError" /* what SDKs repeat */

static int answered(int r)
{
	return r < 0 ? r : AGENT_ANSWERED;
}

static int refuse_with(struct agent_exchange *x, unsigned status, const char *code,
		       const char *message, enum agent_reason reason)
{
	return answered(agent_sts_answer_error(x->answer, status, code, message, reason));
}

/* ---- before the name is known ---- */

static int read_request(struct agent_exchange *x)
{
	struct agent_sts_error error;
	int r = agent_sts_request_read(&x->req->head, x->req->body, x->req->body_len, &x->sts,
				       &error);

	if (r == -EINVAL)
		return refuse_with(x, error.status, error.code, error.message, error.reason);
	return r < 0 ? r : AGENT_GO_ON;
}

static int check(struct agent_exchange *x)
{
	const struct http_head *head = &x->req->head;

	if (!agent_service_host_ok(x->service, head))
		return refuse_with(x, 403, "AccessDenied",
				   "the Host header does not name this endpoint", AGENT_BAD_HOST);
	if (head->forwarded)
		return refuse_with(x, 403, "AccessDenied",
				   "relayed requests are refused (X-Forwarded-For and the like)",
				   AGENT_FORWARDED);
	if (http_path_normalise(head->target, x->path, sizeof(x->path)) < 0)
		return refuse_with(x, 400, "InvalidRequest", "malformed path", AGENT_BAD_PATH);
	if (strcmp(x->path, "/") != 0)
		return refuse_with(x, 404, "NotFound", "STS has no other path than /",
				   AGENT_NO_REASON);
	if (strcmp(head->method, "POST") != 0 && strcmp(head->method, "GET") != 0) {
		http_response_add_header(&x->answer->http, "Allow", "GET, POST");
		return refuse_with(x, 405, "MethodNotAllowed", "this method is not allowed here",
				   AGENT_NO_REASON);
	}
	return read_request(x);
}

/* ---- refusals ---- */

static const struct refusal {
	enum agent_reason reason;
	unsigned status;
	const char *code, *message; /* message NULL: that of the container endpoint */
} refusals[] = {
	{AGENT_AMBIGUOUS, 400, "InvalidRequest",
	 "the headers or the body can be read in more than one way"},
	{AGENT_THROTTLED, 400, "Throttling", NULL},
	{AGENT_TOKEN_REFUSED, 400, "InvalidIdentityToken", NULL},
	{AGENT_TOKEN_MALFORMED, 400, "InvalidIdentityToken",
	 "the web identity token cannot be parsed"},
	{AGENT_TOKEN_BAD_SIGNATURE, 400, "InvalidIdentityToken",
	 "the signature of the web identity token is wrong"},
	{AGENT_TOKEN_UNKNOWN_KEY, 400, "InvalidIdentityToken",
	 "the web identity token is signed with a key that is not the cluster's"},
	{AGENT_TOKEN_WRONG_ISSUER, 400, "InvalidIdentityToken",
	 "the web identity token is another cluster's"},
	{AGENT_TOKEN_WRONG_AUDIENCE, 400, "InvalidIdentityToken", "Incorrect token audience"},
	{AGENT_TOKEN_NOT_A_PODS, 400, "InvalidIdentityToken",
	 "the web identity token is not bound to a pod"},
	{AGENT_TOKEN_NOT_YET_VALID, 400, "InvalidIdentityToken",
	 "the web identity token is not valid yet"},
	{AGENT_TOKEN_NOT_ACCEPTED, 400, "InvalidIdentityToken",
	 "the cluster does not accept the web identity token"},
	{AGENT_TOKEN_EXPIRED, 400, "ExpiredTokenException", "the web identity token has expired"},
	{AGENT_TOKEN_OTHER_POD, 403, "AccessDenied",
	 "the web identity token was issued to another pod"},
	{AGENT_TOKEN_OTHER_ACCOUNT, 403, "AccessDenied",
	 "the web identity token is another service account's"},
	{AGENT_TOKEN_OTHER_NODE, 403, "AccessDenied",
	 "the web identity token was issued to a pod of another node"},
	{AGENT_TOKEN_NOT_REVIEWED, 400, RETRY,
	 "the cluster cannot be asked about the web identity token now, try again"},
	{AGENT_TOKEN_KEYS_MISSING, 400, RETRY,
	 "the agent has no keys yet to verify tokens with, try again"},
	{AGENT_TOKEN_NOT_VERIFIED, 500, "InternalFailure",
	 "the web identity token cannot be verified"},
};

static struct refusal refusal_of(enum agent_reason reason)
{
	const struct agent_refusal other = agent_refusal_of(reason);

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (refusals[i].reason == reason)
			return (struct refusal){reason, refusals[i].status, refusals[i].code,
						refusals[i].message ?: other.message};
	return (struct refusal){reason, other.status,
				other.status == 403   ? "AccessDenied"
				: other.status == 503 ? "ServiceUnavailable"
						      : "InternalFailure",
				other.message};
}

static int refuse(struct agent_exchange *x, enum agent_reason reason)
{
	const struct refusal refusal = refusal_of(reason);
	const char *message = x->told && !x->told->granted ? x->told->message : NULL;

	return agent_sts_answer_error(x->answer, refusal.status, refusal.code,
				      message ?: refusal.message, reason);
}

/* ---- the name is known ---- */

static struct agent_token token_of(const struct agent_exchange *x)
{
	return (struct agent_token){
		.purpose = UPSTREAM_FOR_STS, .text = x->sts->token, .len = strlen(x->sts->token)};
}

/* Before anything is said of the role: who has no token of this pod learns nothing of it. */
static int prepare(struct agent_exchange *x)
{
	enum agent_reason reason;
	struct agent_token token;
	int r;

	if (x->sts->action != AGENT_STS_ASSUME)
		return AGENT_GO_ON;
	token = token_of(x);
	r = agent_service_check_token(x, &token, &reason);
	if (r < 0)
		return r;
	if (reason == AGENT_TOKEN_UNKNOWN_KEY && x->env->want_keys)
		return refuse_with(x, 400, RETRY,
				   "the web identity token is signed with a key that is not known "
				   "here yet, try again",
				   reason);
	return reason ? answered(refuse(x, reason)) : AGENT_GO_ON;
}

/* ---- the role is known ---- */

/* Of an ARN, which begins with arn:PARTITION:SERVICE::ACCOUNT:... */
static bool is_of_account(const char *arn, const char *account_id)
{
	const char *account = strstr(arn, "::");

	return account && !strncmp(account + 2, account_id, strlen(account_id)) &&
	       account[2 + strlen(account_id)] == ':';
}

/* Where the association has no ARN of a role, because something else assumes it, name and account say as much. */
static bool is_role(const struct agent_role *role, const char *arn)
{
	if (role->arn && cred_is_role_arn(role->arn))
		return !strcmp(role->arn, arn);
	return role->account_id && is_of_account(arn, role->account_id) &&
	       !strcmp(strrchr(arn, '/') + 1, role->name);
}

static int refuse_role(struct agent_exchange *x)
{
	const struct podcred_peer *peer = x->req->peer;
	const struct agent_role *role = &x->role;
	char message[1000];

	if (!role->account_id && !(role->arn && cred_is_role_arn(role->arn)))
		snprintf(message, sizeof(message),
			 "the association of service account %s/%s does not say of which account "
			 "its role is; it needs an accountId",
			 peer->pod_namespace, peer->service_account);
	else
		snprintf(message, sizeof(message),
			 "service account %s/%s is associated with the role %.500s, and no other; "
			 "write that one into AWS_ROLE_ARN",
			 peer->pod_namespace, peer->service_account,
			 role->arn && cred_is_role_arn(role->arn) ? role->arn : role->name);
	return refuse_with(x, 403, "AccessDenied", message, AGENT_OTHER_ROLE);
}

static int decide(struct agent_exchange *x)
{
	const struct podcred_peer *peer = x->req->peer;
	bool assumes = x->sts->action == AGENT_STS_ASSUME;
	char message[400];

	if (x->role.name)
		return assumes && !is_role(&x->role, x->sts->role_arn) ? refuse_role(x)
								       : AGENT_GO_ON;
	snprintf(message, sizeof(message),
		 "no credentials are associated with service account %s/%s", peer->pod_namespace,
		 peer->service_account);
	return refuse_with(x, 403, "AccessDenied", message, AGENT_NO_ASSOCIATION);
}

/* ---- the credentials are there ---- */

/* arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION, of which AWS's own answer had all but the path. NULL: it is
 * not known whose session it is. like: an ARN of the same partition. */
static const char *session_arn(const struct agent_role *role, const char *like,
			       char ret[ANSWER_ARN_SIZE])
{
	char partition[32] = "aws";
	int n;

	if (!role->account_id || !role->session_name)
		return NULL;
	if (like)
		sscanf(like, "arn:%31[a-z-]:", partition);
	n = snprintf(ret, ANSWER_ARN_SIZE, "arn:%s:sts::%s:assumed-role/%s/%s", partition,
		     role->account_id, role->name, role->session_name);
	return n < ANSWER_ARN_SIZE ? ret : NULL;
}

static int answer_too_large(struct agent_exchange *x)
{
	text_done(&x->answer->http.body);
	return refuse_with(x, 500, "InternalFailure", "the credentials do not fit into an answer",
			   AGENT_BODY_TOO_LARGE);
}

static int grant(struct agent_exchange *x)
{
	const struct podcred_peer *peer = x->req->peer;
	const struct agent_token token = token_of(x);
	struct agent_token_claims claims = {};
	char arn[ANSWER_ARN_SIZE], subject[600];
	struct agent_sts_session session = {
		.arn = session_arn(&x->role, x->role.arn ?: x->sts->role_arn, arn),
		.role_id = x->role.id,
		.subject = subject,
	};
	int r;

	if (x->env->tokens)
		agent_tokens_claims(x->env->tokens, &token, peer, &claims);
	session.audience = *claims.audience ? claims.audience : NULL;
	session.issuer = *claims.issuer ? claims.issuer : NULL;
	snprintf(subject, sizeof(subject), "system:serviceaccount:%s:%s", peer->pod_namespace,
		 peer->service_account);
	r = agent_sts_answer_assumed(x->answer, &x->secrets, &session);
	return r == -E2BIG ? answer_too_large(x) : answered(r);
}

/* Whether the pod was given them, now or before the last time. */
static bool is_key_of_pod(const struct agent_exchange *x)
{
	const char *id = x->sts->key_id, *previous = x->told ? x->told->previous_key_id : NULL;

	return !strcmp(id, x->secrets.access_key_id) || (previous && !strcmp(id, previous));
}

/*
 * The kernel says who asks, and what the answer says is the caller's own. So the signature is not verified; but the
 * credentials have to be those that the pod was given here, as whoever asks wants to know what others are.
 */
static int identify(struct agent_exchange *x)
{
	char arn[ANSWER_ARN_SIZE];
	const struct agent_sts_session session = {
		.arn = session_arn(&x->role, x->role.arn, arn),
		.role_id = x->role.id,
		.account_id = x->role.account_id,
	};

	if (!is_key_of_pod(x))
		return refuse_with(x, 403, "InvalidClientTokenId",
				   "the pod was not given these credentials here; AWS's own STS "
				   "knows whose they are",
				   AGENT_NO_REASON);
	if (!session.arn)
		return refuse_with(x, 403, "AccessDenied",
				   "the association does not say whose session this is; AWS's own "
				   "STS knows",
				   AGENT_NO_REASON);
	return answered(agent_sts_answer_identity(x->answer, &session));
}

static int answer(struct agent_exchange *x)
{
	return x->sts->action == AGENT_STS_ASSUME ? grant(x) : identify(x);
}

const struct agent_service agent_sts = {
	.name = "sts",
	.addresses = {{{[10] = 0xff, 0xff, 169, 254, 170, 83}},
		      {{0xfd, 0x70, 0x6f, 0x64, 0x63, 0x72, [15] = 0x83}}},
	.body_room = AGENT_STS_BODY_MAX,
	.wait_ms = 5000, /* its SDKs have a minute */
	.check = check,
	.prepare = prepare,
	.decide = decide,
	.answer = answer,
	.refuse = refuse,
};
