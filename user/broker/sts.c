// SPDX-License-Identifier: Apache-2.0
#include "broker/sts.h"

#include <stdio.h>
#include <string.h>

#include "aws/sealed_keys.h"
#include "base/timestamp.h"

#define ACTION	  "AssumeRoleWithWebIdentity"
#define TYPE	  "text/xml"
#define NAMESPACE "https://sts.amazonaws.com/doc/2011-06-15/"

/* ---- answers ---- */

static void add(struct text *t, const char *name, const char *value)
{
	text_add(t, "<");
	text_add(t, name);
	text_add(t, ">");
	for (; *value; value++)
		if (*value == '<' || *value == '&' || *value == '>')
			text_addf(t, "&#%d;", *value);
		else
			text_add_bytes(t, value, 1);
	text_add(t, "</");
	text_add(t, name);
	text_add(t, ">");
}

static void add_user(struct text *t, const struct broker_token *token)
{
	char arn[512], id[300];

	snprintf(arn, sizeof(arn), "arn:aws:sts::000000000000:assumed-role/podcred-broker/%s",
		 token->pod_name);
	snprintf(id, sizeof(id), "AROAPODCREDBROKER:%s", token->pod_name);
	text_add(t, "<AssumedRoleUser>");
	add(t, "Arn", arn);
	add(t, "AssumedRoleId", id);
	text_add(t, "</AssumedRoleUser>");
}

static void add_keys(struct text *t, const struct aws_sealed_keys *keys, time_t expires)
{
	char when[TIMESTAMP_SIZE] = "";

	(void)timestamp_format(expires, when);
	text_add(t, "<Credentials>");
	add(t, "AccessKeyId", keys->access_key_id);
	add(t, "SecretAccessKey", keys->secret_access_key);
	add(t, "SessionToken", keys->session_token);
	add(t, "Expiration", when);
	text_add(t, "</Credentials>");
}

void broker_sts_grant(struct http_response *resp, const struct aws_sealed_keys *keys,
		      const struct broker_token *token, time_t expires)
{
	struct text *t = &resp->body;
	char subject[400];

	snprintf(subject, sizeof(subject), "system:serviceaccount:%s:%s", token->name_space,
		 token->service_account);
	http_response_begin(resp, 200, TYPE);
	t->max = 64 << 10;
	text_add(t, "<" ACTION "Response xmlns=\"" NAMESPACE "\"><" ACTION "Result>");
	add_keys(t, keys, expires);
	add_user(t, token);
	add(t, "SubjectFromWebIdentityToken", subject);
	text_add(t, "</" ACTION "Result></" ACTION "Response>");
}

/* What it is called by STS; everything else is called the same. */
static const char *code_of(enum broker_reason reason)
{
	switch (reason) {
	case BROKER_NO_TOKEN:
	case BROKER_CALLER_REFUSED:
		return "InvalidIdentityToken";
	case BROKER_CALLER_NOT_LISTED:
	case BROKER_CALLER_NOT_OF_POD:
	case BROKER_CALLER_GONE:
	case BROKER_NODE_REPLACED:
		return "AccessDenied";
	case BROKER_API_AWAY:
		return "ServiceUnavailable";
	default:
		return broker_reason_refusal(reason)->code;
	}
}

void broker_sts_refuse(struct http_response *resp, enum broker_reason reason, const char *why)
{
	const struct broker_refusal *refusal = broker_reason_refusal(reason);

	http_response_begin(resp, refusal->status, TYPE);
	text_add(&resp->body, "<ErrorResponse xmlns=\"" NAMESPACE "\"><Error>");
	add(&resp->body, "Type", refusal->status < 500 ? "Sender" : "Receiver");
	add(&resp->body, "Code", code_of(reason));
	add(&resp->body, "Message", why && *why ? why : refusal->message);
	text_add(&resp->body, "</Error></ErrorResponse>");
}
