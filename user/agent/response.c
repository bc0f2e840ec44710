// SPDX-License-Identifier: Apache-2.0
#include "agent/response.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/timestamp.h"
#include "credentials/credentials.h"

void agent_response_done(struct agent_response *resp)
{
	http_response_done(&resp->http);
	memset(resp, 0, sizeof(*resp));
}

static void response_begin(struct agent_response *resp, unsigned status, const char *content_type,
			   enum agent_reason reason)
{
	http_response_begin(&resp->http, status, content_type);
	resp->reason = reason;
	resp->audit = reason ? AUDIT_REFUSED : AUDIT_NONE;
}

int agent_response_text(struct agent_response *resp, unsigned status, const char *body,
			enum agent_reason reason)
{
	response_begin(resp, status, "text/plain", reason);
	text_add(&resp->http.body, body);
	return text_error(&resp->http.body);
}

int agent_response_error(struct agent_response *resp, unsigned status, const char *code,
			 const char *message, enum agent_reason reason)
{
	struct text *body = &resp->http.body;

	response_begin(resp, status, "application/json", reason);
	text_add(body, "{");
	text_add_member(body, "code", code);
	text_add_member(body, "message", message);
	text_add_member(body, "Code", code);
	text_add_member(body, "Message", message);
	text_add(body, "}");
	return text_error(body);
}

int agent_response_credentials(struct agent_response *resp, const struct credentials *c,
			       const char *content_type)
{
	struct text *body = &resp->http.body;
	char expiration[TIMESTAMP_SIZE];

	if (timestamp_format(c->expiration, expiration) < 0)
		return -E2BIG;
	text_add_member(body, "AccessKeyId", c->access_key_id);
	text_add_member(body, "SecretAccessKey", c->secret_access_key);
	text_add_member(body, "Token", c->session_token);
	text_add_member(body, "Expiration", expiration);
	text_add(body, "}");
	resp->http.status = 200;
	resp->http.content_type = content_type;
	resp->audit = AUDIT_GRANTED;
	snprintf(resp->key_id, sizeof(resp->key_id), "%s", c->access_key_id);
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
	case 405:
		return "405 - Method Not Allowed";
	case 503:
		return "503 - Service Unavailable";
	default:
		return "500 - Internal Server Error";
	}
}

int agent_response_imds_error(struct agent_response *resp, unsigned status,
			      enum agent_reason reason)
{
	return agent_response_text(resp, status, status_line(status), reason);
}

int agent_response_ambiguous(struct agent_response *resp)
{
	return agent_response_error(resp, 400, "InvalidRequest",
				    "the headers or the body can be read in more than one way",
				    AGENT_AMBIGUOUS);
}

int agent_response_method(struct agent_response *resp, const char *allow, bool imds)
{
	int r = imds ? agent_response_imds_error(resp, 405, AGENT_NO_REASON)
		     : agent_response_error(resp, 405, "MethodNotAllowed",
					    "this method is not allowed here", AGENT_NO_REASON);

	http_response_add_header(&resp->http, "Allow", allow);
	return r;
}
