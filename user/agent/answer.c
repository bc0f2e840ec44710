// SPDX-License-Identifier: Apache-2.0
#include "agent/answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"

const char *agent_reason_name(enum agent_reason reason)
{
	static const char *const names[AGENT_REASON_MAX] = {
#define X(name, text) [AGENT_##name] = #text,
		AGENT_REASONS(X)
#undef X
	};

	return names[reason];
}

void agent_answer_done(struct agent_answer *answer)
{
	http_response_done(&answer->http);
	memset(answer, 0, sizeof(*answer));
}

void agent_answer_begin(struct agent_answer *answer, unsigned status, const char *content_type,
			enum agent_reason reason)
{
	http_response_begin(&answer->http, status, content_type);
	answer->reason = reason;
	answer->audit = reason ? AUDIT_REFUSED : AUDIT_NONE;
}

int agent_answer_text(struct agent_answer *answer, unsigned status, const char *body,
		      enum agent_reason reason)
{
	agent_answer_begin(answer, status, "text/plain", reason);
	text_add(&answer->http.body, body);
	return text_error(&answer->http.body);
}

int agent_answer_error(struct agent_answer *answer, unsigned status, const char *code,
		       const char *message, enum agent_reason reason)
{
	struct text *body = &answer->http.body;

	agent_answer_begin(answer, status, "application/json", reason);
	text_add(body, "{");
	text_add_member(body, "code", code);
	text_add_member(body, "message", message);
	text_add_member(body, "Code", code);
	text_add_member(body, "Message", message);
	text_add(body, "}");
	return text_error(body);
}

int agent_answer_credentials(struct agent_answer *answer, const struct agent_secrets *c,
			     const char *content_type)
{
	struct text *body = &answer->http.body;
	char expiration[TIMESTAMP_SIZE];

	if (timestamp_format(c->expiration, expiration) < 0)
		return -E2BIG;
	text_add_member(body, "AccessKeyId", c->access_key_id);
	text_add_member(body, "SecretAccessKey", c->secret_access_key);
	text_add_member(body, "Token", c->session_token);
	text_add_member(body, "Expiration", expiration);
	text_add(body, "}");
	answer->http.status = 200;
	answer->http.content_type = content_type;
	answer->audit = AUDIT_GRANTED;
	snprintf(answer->key_id, sizeof(answer->key_id), "%s", c->access_key_id);
	return text_error(body);
}

static const char *status_line(unsigned status)
{
	switch (status) {
	case 400:
		return "400 - Bad Request";
	case 401:
		return "401 - Unauthorized";
	case 403:
		return "403 - Forbidden";
	case 404:
		return "404 - Not Found";
	case 429:
		return "429 - Too Many Requests";
	case 405:
		return "405 - Method Not Allowed";
	case 503:
		return "503 - Service Unavailable";
	default:
		return "500 - Internal Server Error";
	}
}

int agent_answer_imds_error(struct agent_answer *answer, unsigned status, enum agent_reason reason)
{
	return agent_answer_text(answer, status, status_line(status), reason);
}

struct agent_refusal agent_refusal_of(enum agent_reason reason)
{
	static const struct agent_refusal refusals[AGENT_REASON_MAX] = {
		[AGENT_POD_NOT_RESOLVED] = {503, "PodNotResolved",
					    "this pod's name is not known yet, try again"},
		[AGENT_CREDENTIALS_EXPIRED] = {503, "CredentialsExpired",
					       "the credentials in the node's associations file "
					       "have expired"},
		[AGENT_CREDENTIALS_PENDING] = {503, "CredentialsUninitialized",
					       "this pod's credentials are being fetched, try "
					       "again"},
		[AGENT_ROLE_NOT_ALLOWED] = {403, "RoleNotAllowed",
					    "this pod's namespace may not have the role"},
		[AGENT_ROLE_DENIED] = {403, "AccessDenied", "AWS refuses the role"},
		[AGENT_ROLE_INVALID] = {403, "AccessDenied", "AWS does not accept the association"},
		[AGENT_THROTTLED] = {429, "ThrottlingException", "AWS wants fewer requests"},
		[AGENT_UNAVAILABLE] = {503, "ServiceUnavailable", "AWS cannot be reached"},
		[AGENT_NODE_CREDENTIALS] = {503, "ServiceUnavailable",
					    "the node has no valid credentials of its own"},
		[AGENT_TOKEN_REFUSED] = {400, "InvalidToken", "the token is not accepted"},
		[AGENT_FETCH_BUSY] = {503, "ServiceUnavailable", "too many requests at a time"},
		[AGENT_FETCH_FAILED] = {500, "InternalServerError", "podcred has failed"},
	};

	return refusals[reason];
}

int agent_answer_ambiguous(struct agent_answer *answer)
{
	return agent_answer_error(answer, 400, "InvalidRequest",
				  "the headers or the body can be read in more than one way",
				  AGENT_AMBIGUOUS);
}

int agent_answer_method(struct agent_answer *answer, const char *allow, bool imds)
{
	int r = imds ? agent_answer_imds_error(answer, 405, AGENT_NO_REASON)
		     : agent_answer_error(answer, 405, "MethodNotAllowed",
					  "this method is not allowed here", AGENT_NO_REASON);

	http_response_add_header(&answer->http, "Allow", allow);
	return r;
}
