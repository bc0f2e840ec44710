// SPDX-License-Identifier: Apache-2.0
#include "agent/sts_answer.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/timestamp.h"

#define CONTENT_TYPE "text/xml"
#define NAMESPACE    " xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\""
#define ANSWER_MAX   65536 /* session tokens have no bound that is known */

static void open_tag(struct text *t, const char *tag, const char *attributes)
{
	text_add(t, "<");
	text_add(t, tag);
	text_add(t, attributes);
	text_add(t, ">");
}

static void close_tag(struct text *t, const char *tag)
{
	text_add(t, "</");
	text_add(t, tag);
	text_add(t, ">");
}

static void element(struct text *t, const char *tag, const char *value)
{
	if (value)
		text_add_xml_element(t, tag, value);
}

/* A UUID of version 4. Nobody here looks it up: SDKs show it. Random bytes that are not there yet leave zeros. */
static void add_request_id(struct text *t)
{
	uint8_t r[16] = {};

	if (getrandom(r, sizeof(r), GRND_NONBLOCK) < 0)
		r[0] = 0;
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	text_addf(t,
		  "<RequestId>%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		  "%02x%02x%02x%02x%02x%02x</RequestId>",
		  r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12],
		  r[13], r[14], r[15]);
}

int agent_sts_answer_error(struct agent_answer *answer, unsigned status, const char *code,
			   const char *message, enum agent_reason reason)
{
	struct text *t = &answer->http.body;

	agent_answer_begin(answer, status, CONTENT_TYPE, reason);
	open_tag(t, "ErrorResponse", NAMESPACE);
	text_add(t, "<Error>");
	element(t, "Type", status < 500 ? "Sender" : "Receiver");
	element(t, "Code", code);
	element(t, "Message", message);
	text_add(t, "</Error>");
	add_request_id(t);
	close_tag(t, "ErrorResponse");
	return text_error(t);
}

static void end_result(struct text *t, const char *result, const char *response)
{
	close_tag(t, result);
	text_add(t, "<ResponseMetadata>");
	add_request_id(t);
	text_add(t, "</ResponseMetadata>");
	close_tag(t, response);
}

static void add_credentials(struct text *t, const struct agent_secrets *secrets,
			    const char *expiration)
{
	text_add(t, "<Credentials>");
	element(t, "AccessKeyId", secrets->access_key_id);
	element(t, "SecretAccessKey", secrets->secret_access_key);
	element(t, "SessionToken", secrets->session_token);
	element(t, "Expiration", expiration);
	text_add(t, "</Credentials>");
}

static void add_user(struct text *t, const struct agent_sts_session *session)
{
	if (!session->arn)
		return;
	text_add(t, "<AssumedRoleUser>");
	element(t, "AssumedRoleId", session->role_id);
	element(t, "Arn", session->arn);
	text_add(t, "</AssumedRoleUser>");
}

int agent_sts_answer_assumed(struct agent_answer *answer, const struct agent_secrets *secrets,
			     const struct agent_sts_session *session)
{
	struct text *t = &answer->http.body;
	char expiration[TIMESTAMP_SIZE];

	if (timestamp_format(secrets->expiration, expiration) < 0)
		return -E2BIG;
	agent_answer_begin(answer, 200, CONTENT_TYPE, AGENT_NO_REASON);
	t->max = ANSWER_MAX;
	open_tag(t, "AssumeRoleWithWebIdentityResponse", NAMESPACE);
	text_add(t, "<AssumeRoleWithWebIdentityResult>");
	element(t, "SubjectFromWebIdentityToken", session->subject);
	element(t, "Audience", session->audience);
	element(t, "Provider", session->issuer);
	add_user(t, session);
	add_credentials(t, secrets, expiration);
	end_result(t, "AssumeRoleWithWebIdentityResult", "AssumeRoleWithWebIdentityResponse");
	answer->audit = AUDIT_GRANTED;
	snprintf(answer->key_id, sizeof(answer->key_id), "%s", secrets->access_key_id);
	return text_error(t);
}

int agent_sts_answer_identity(struct agent_answer *answer, const struct agent_sts_session *session)
{
	struct text *t = &answer->http.body;

	agent_answer_begin(answer, 200, CONTENT_TYPE, AGENT_NO_REASON);
	open_tag(t, "GetCallerIdentityResponse", NAMESPACE);
	text_add(t, "<GetCallerIdentityResult>");
	element(t, "Arn", session->arn);
	element(t, "UserId", session->role_id);
	element(t, "Account", session->account_id);
	end_result(t, "GetCallerIdentityResult", "GetCallerIdentityResponse");
	return text_error(t);
}
