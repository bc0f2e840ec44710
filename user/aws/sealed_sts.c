// SPDX-License-Identifier: Apache-2.0
#include "aws/sealed_sts.h"

#include <stdio.h>

#include "aws/sealed_keys.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "http/response.h"

#define TYPE	   "text/xml"
#define NAMESPACE  "https://sts.amazonaws.com/doc/2011-06-15/"
#define ANSWER_MAX (64 << 10)

static void add_keys(struct text *t, const struct aws_sealed_grant *grant)
{
	char when[TIMESTAMP_SIZE] = "";

	(void)timestamp_format(grant->expires, when);
	text_add(t, "<Credentials>");
	text_add_xml_element(t, "AccessKeyId", grant->keys->access_key_id);
	text_add_xml_element(t, "SecretAccessKey", grant->keys->secret_access_key);
	text_add_xml_element(t, "SessionToken", grant->keys->session_token);
	text_add_xml_element(t, "Expiration", when);
	text_add(t, "</Credentials>");
}

static void add_user(struct text *t, const struct aws_sealed_session *session,
		     const char *id_element)
{
	char arn[512], id[300];

	snprintf(arn, sizeof(arn), "arn:%s:sts::%s:assumed-role/%s/%s", session->partition,
		 session->account, session->role, session->name);
	snprintf(id, sizeof(id), "%s:%s", session->role_id, session->name);
	text_add_xml_element(t, "Arn", arn);
	text_add_xml_element(t, id_element, id);
}

static struct text *begin(struct http_response *resp, const char *action)
{
	http_response_begin(resp, 200, TYPE);
	resp->body.max = ANSWER_MAX;
	text_addf(&resp->body, "<%sResponse xmlns=\"" NAMESPACE "\"><%sResult>", action, action);
	return &resp->body;
}

static void end(struct text *t, const char *action)
{
	text_addf(t, "</%sResult></%sResponse>", action, action);
}

void aws_sealed_sts_grant(struct http_response *resp, const struct aws_sealed_grant *grant)
{
	struct text *t = begin(resp, AWS_STS_EXCHANGE);

	add_keys(t, grant);
	text_add(t, "<AssumedRoleUser>");
	add_user(t, &grant->session, "AssumedRoleId");
	text_add(t, "</AssumedRoleUser>");
	text_add_xml_element(t, "SubjectFromWebIdentityToken", grant->subject);
	if (grant->audience)
		text_add_xml_element(t, "Audience", grant->audience);
	end(t, AWS_STS_EXCHANGE);
}

void aws_sealed_sts_identity(struct http_response *resp, const struct aws_sealed_session *session)
{
	struct text *t = begin(resp, AWS_STS_IDENTITY);

	add_user(t, session, "UserId");
	text_add_xml_element(t, "Account", session->account);
	end(t, AWS_STS_IDENTITY);
}

void aws_sealed_sts_refuse(struct http_response *resp, unsigned status, const char *code,
			   const char *message)
{
	struct text *t = &resp->body;

	http_response_begin(resp, status, TYPE);
	text_add(t, "<ErrorResponse xmlns=\"" NAMESPACE "\"><Error>");
	text_add_xml_element(t, "Type", status < 500 ? "Sender" : "Receiver");
	text_add_xml_element(t, "Code", code);
	text_add_xml_element(t, "Message", message);
	text_add(t, "</Error></ErrorResponse>");
}
