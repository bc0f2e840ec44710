// SPDX-License-Identifier: Apache-2.0
#include "control/signed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/sealed_keys.h"
#include "aws/sealed_sts.h"
#include "aws/sigv4.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/timestamp.h"
#include "kube/token_review.h"

#define PURPOSE	    "control eks"
#define FIELDS_MAX  64
#define ACCOUNTS    "system:serviceaccounts"
#define TOKEN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

static struct aws_sealed_scope scope_of(const struct control_api *api)
{
	return (struct aws_sealed_scope){PURPOSE, api->cluster_name};
}

/* ---- who has signed ---- */

bool eks_signed_is(const struct http_ask *ask)
{
	const char *text = http_ask_get(ask, "Authorization", NULL);

	return text && !strncmp(text, "AWS4-", 5);
}

/* As the API server knows a service account by its token. */
static void become(struct eks_call *call, const char *name_space, const char *name)
{
	struct eks_caller *c = &call->caller;

	snprintf(call->user, sizeof(call->user), "system:serviceaccount:%s:%s", name_space, name);
	snprintf(call->group, sizeof(call->group), ACCOUNTS ":%s", name_space);
	memset(c, 0, sizeof(*c));
	c->user = call->user;
	c->groups[c->n_groups++] = ACCOUNTS;
	c->groups[c->n_groups++] = call->group;
	c->groups[c->n_groups++] = "system:authenticated";
}

static int verify(const struct aws_scope *scope, const struct http_ask *ask,
		  const struct aws_claim *claim, const char *secret, time_t now)
{
	struct aws_header headers[FIELDS_MAX];
	const struct aws_request request = {
		.method = ask->method,
		.target = ask->target,
		.headers = headers,
		.n_headers = ask->n_fields,
		.body = ask->body,
		.body_len = ask->body_len,
	};

	if (ask->n_fields > FIELDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < ask->n_fields; i++)
		headers[i] = (struct aws_header){ask->fields[i].name, ask->fields[i].value};
	return aws_verify(&request, claim, secret, scope, now);
}

static int unknown(struct eks_error *error)
{
	return eks_error_set(error, 403, "UnrecognizedClientException",
			     "these are no keys of this cluster; get some by " AWS_STS_EXCHANGE
			     " with a token of a service account for " SIGNED_AUDIENCE);
}

static int explain(const struct aws_scope *scope, int r, time_t now, struct eks_error *error)
{
	char time[TIMESTAMP_SIZE] = "";

	(void)timestamp_format(now, time);
	if (r == -ETIME)
		return eks_error_set(error, 403, "InvalidSignatureException",
				     "Signature expired or not yet current: it is %s here", time);
	if (r == -EDOM)
		return eks_error_set(error, 403, "InvalidSignatureException",
				     "Credential should be scoped to service %s, region %s and the "
				     "day of its date",
				     scope->service, scope->region);
	if (r == -ENOMEM || r == -EIO)
		return eks_error_set(error, 500, "ServerException", "out of memory");
	return eks_error_set(error, 403, "InvalidSignatureException",
			     "The request signature we calculated does not match the signature you "
			     "provided");
}

/* What was sealed: a namespace and a name, each with its NUL. */
static int unpack(struct eks_call *call, const struct aws_sealed_identity *sealed)
{
	size_t first = strnlen(sealed->identity, sealed->len) + 1;

	if (first >= sealed->len || sealed->identity[sealed->len - 1] ||
	    first + strlen(sealed->identity + first) + 1 != sealed->len)
		return -EINVAL;
	become(call, sealed->identity, sealed->identity + first);
	return 0;
}

static int check(struct eks_call *call, const struct aws_scope *scope,
		 const struct aws_claim *claim, const char *token,
		 struct aws_sealed_identity *sealed, time_t now, struct eks_error *error)
{
	const struct control_api *api = call->api;
	const struct aws_sealed_scope sealed_scope = scope_of(api);
	int r = aws_sealed_open(api->sealing, &sealed_scope, claim->access_key_id, token, now,
				sealed);

	if (r == -ETIME)
		return eks_error_set(error, 403, "ExpiredTokenException",
				     "The security token included in the request is expired");
	if (r < 0)
		return unknown(error);
	r = verify(scope, http_ticket_ask(call->ticket), claim, sealed->secret_access_key, now);
	if (r < 0)
		return explain(scope, r, now, error);
	return unpack(call, sealed) < 0 ? unknown(error) : 0;
}

static int find_caller(struct eks_call *call, const char *service, time_t now,
		       struct eks_error *error)
{
	const struct http_ask *ask = http_ticket_ask(call->ticket);
	const struct aws_scope scope = {call->api->cluster.region, service};
	struct aws_sealed_identity sealed = {};
	size_t n_authorization, n_token;
	const char *authorization = http_ask_get(ask, "Authorization", &n_authorization);
	const char *token = http_ask_get(ask, "X-Amz-Security-Token", &n_token);
	struct aws_claim claim;
	int r;

	if (n_authorization != 1 || aws_claim_parse(authorization, &claim) < 0)
		return eks_error_set(error, 400, "IncompleteSignatureException",
				     "the Authorization header is no signature of version 4");
	if (!call->api->sealing || n_token != 1)
		return unknown(error);
	r = check(call, &scope, &claim, token, &sealed, now, error);
	explicit_bzero(&sealed, sizeof(sealed));
	return r;
}

int eks_signed_caller(struct eks_call *call, time_t now, struct eks_error *error)
{
	return find_caller(call, "eks", now, error);
}

/* ---- answers of STS ---- */

static void refuse(struct eks_call *call, unsigned status, const char *code, const char *message)
{
	struct http_response resp = {};

	aws_sealed_sts_refuse(&resp, status, code, message);
	eks_call_end(call, &resp, code, message);
}

static struct aws_sealed_session session_of(const struct eks_call *call)
{
	return (struct aws_sealed_session){
		.partition = call->api->cluster.partition,
		.account = call->api->cluster.account,
		.role = "podcred-control",
		.role_id = "AROAPODCREDCONTROL",
		.name = strrchr(call->user, ':') + 1, /* of the service account */
	};
}

static void grant(struct eks_call *call, const struct aws_sealed_keys *keys, time_t expires)
{
	const struct aws_sealed_grant grant = {
		.keys = keys,
		.expires = expires,
		.session = session_of(call),
		.subject = call->user,
		.audience = SIGNED_AUDIENCE,
	};
	struct http_response resp = {};

	aws_sealed_sts_grant(&resp, &grant);
	eks_call_end(call, &resp, NULL, NULL);
}

static void issue(struct eks_call *call, const char *name_space, const char *name)
{
	const struct aws_sealed_scope scope = scope_of(call->api);
	time_t expires = time(NULL) + SIGNED_SECONDS;
	struct aws_sealed_keys keys = {};
	char identity[1024];
	int len = snprintf(identity, sizeof(identity), "%s%c%s", name_space, '\0', name);
	int r;

	become(call, name_space, name);
	r = (size_t)len >= sizeof(identity) ? -EINVAL
					    : aws_sealed_issue(call->api->sealing, &scope, identity,
							       (size_t)len + 1, expires, &keys);
	if (r < 0)
		refuse(call, 500, "InternalFailure", "no keys can be made");
	else
		grant(call, &keys, expires);
	aws_sealed_keys_done(&keys);
}

static void on_token(void *arg, const struct kube_token_review_result *result)
{
	struct eks_call *call = arg;

	call->token = NULL;
	if (result->error)
		refuse(call, 503, "ServiceUnavailable", result->why);
	else if (!result->authenticated)
		refuse(call, 400, "InvalidIdentityToken", result->why);
	else if (!result->service_account[0])
		refuse(call, 400, "InvalidIdentityToken", "the token is no service account's");
	else
		issue(call, result->name_space, result->service_account);
}

/* ---- the form ---- */

bool eks_signed_is_sts(const struct http_ask *ask)
{
	return !strcmp(ask->method, "POST") && !strcmp(ask->target, "/");
}

/* The value of the only member of that name, still escaped. NULL: none, or several. */
static const char *find_value(const char *form, const char *name, size_t *ret_len)
{
	const char *found = NULL;
	size_t name_len = strlen(name);

	while (form) {
		size_t len = strcspn(form, "&");

		if (len > name_len && !strncmp(form, name, name_len) && form[name_len] == '=') {
			if (found)
				return NULL;
			found = form + name_len + 1;
			*ret_len = len - name_len - 1;
		}
		form = form[len] ? form + len + 1 : NULL;
	}
	return found;
}

/* The line feed of the file that a token comes from. Nothing else of it has to be escaped. */
static size_t without_line_feed(const char *value, size_t len)
{
	static const char feed[] = "%0A";
	size_t n = strlen(feed);

	while (len >= n && !strncasecmp(value + len - n, feed, n))
		len -= n;
	return len;
}

static bool asks_for(const char *form, const char *what)
{
	size_t len;
	const char *action = find_value(form, "Action", &len);

	return action && len == strlen(what) && !strncmp(action, what, len);
}

static void exchange(struct eks_call *call)
{
	static const char *const audiences[] = {SIGNED_AUDIENCE, NULL};
	const struct http_ask *ask = http_ticket_ask(call->ticket);
	char token[KUBE_TOKEN_MAX + 1];
	const char *value;
	size_t len = 0;
	int r;

	value = find_value(ask->body, "WebIdentityToken", &len);
	len = value ? without_line_feed(value, len) : 0;
	if (!len || len > KUBE_TOKEN_MAX || strspn(value, TOKEN_CHARS) < len) {
		refuse(call, 400, "InvalidIdentityToken", "WebIdentityToken is not a token");
		return;
	}
	memcpy(token, value, len);
	token[len] = '\0';
	r = kube_token_review_start(call->api->options.kube, token, audiences, on_token, call,
				    &call->token, NULL);
	explicit_bzero(token, sizeof(token));
	if (r < 0)
		refuse(call, 400, "InvalidIdentityToken", "WebIdentityToken is not a token");
}

static void identify(struct eks_call *call)
{
	struct aws_sealed_session session;
	struct http_response resp = {};
	struct eks_error error = {};

	if (find_caller(call, "sts", time(NULL), &error) < 0) {
		refuse(call, error.status, error.name, error.message);
		return;
	}
	session = session_of(call);
	aws_sealed_sts_identity(&resp, &session);
	eks_call_end(call, &resp, NULL, NULL);
}

void eks_signed_sts(struct eks_call *call)
{
	static const struct {
		const char *action;
		void (*answer)(struct eks_call *call);
	} actions[] = {{AWS_STS_EXCHANGE, exchange}, {AWS_STS_IDENTITY, identify}};
	const char *form = http_ticket_ask(call->ticket)->body;

	for (size_t i = 0; call->api->sealing && i < ARRAY_SIZE(actions); i++)
		if (asks_for(form, actions[i].action)) {
			call->sts_action = actions[i].action;
			actions[i].answer(call);
			return;
		}
	refuse(call, 400, "InvalidAction",
	       "there are only " AWS_STS_EXCHANGE " and " AWS_STS_IDENTITY
	       ", if they are turned on");
}
