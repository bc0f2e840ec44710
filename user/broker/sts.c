// SPDX-License-Identifier: Apache-2.0
#include "broker/sts.h"

#include <stdio.h>

#include "aws/sealed_sts.h"

void broker_sts_grant(struct http_response *resp, const struct aws_sealed_keys *keys,
		      const struct broker_token *token, time_t expires)
{
	char subject[400];
	const struct aws_sealed_grant grant = {
		.keys = keys,
		.expires = expires,
		.session = {.partition = "aws",
			    .account = "000000000000",
			    .role = "podcred-broker",
			    .role_id = "AROAPODCREDBROKER",
			    .name = token->pod_name},
		.subject = subject,
	};

	snprintf(subject, sizeof(subject), "system:serviceaccount:%s:%s", token->name_space,
		 token->service_account);
	aws_sealed_sts_grant(resp, &grant);
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

	aws_sealed_sts_refuse(resp, refusal->status, code_of(reason),
			      why && *why ? why : refusal->message);
}
