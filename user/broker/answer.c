// SPDX-License-Identifier: Apache-2.0
#include "broker/answer.h"

#include <stdio.h>
#include <string.h>

#include "credentials/association_id.h"
#include "fetch/fetch.h"
#include "kube/cluster_pods.h"

#define TYPE	 "application/json"
#define BODY_MAX (64 << 10) /* session tokens have no limit that AWS would tell */

static void begin(struct text *t, const char *name)
{
	text_add(t, t->len > 1 ? "," : "");
	text_add_string(t, name);
	text_add(t, ":{");
}

/* Made of the object's uid, which both replicas and the control plane know. */
static void add_association(struct text *t, const char *uid, const char *cluster_arn)
{
	char id[CRED_ASSOCIATION_ID_SIZE], arn[512];

	if (cred_association_id(uid, id) < 0)
		(void)cred_association_id("", id);
	cred_association_arn(cluster_arn, id, arn, sizeof(arn));
	begin(t, "podIdentityAssociation");
	text_add_member(t, "associationArn", arn);
	text_add_member(t, "associationId", id);
	text_add(t, "}");
}

static void add_role(struct text *t, const struct fetch_value *value)
{
	begin(t, "assumedRoleUser");
	text_add_member(t, "arn", value->role_arn ?: "");
	text_add_member(t, "assumeRoleId", value->role_id ?: "");
	text_add(t, "}");
}

static void add_credentials(struct text *t, const struct fetch_value *value, time_t expiration)
{
	begin(t, "credentials");
	text_add_member(t, "accessKeyId", value->access_key_id);
	text_add_member(t, "secretAccessKey", value->secret_access_key);
	text_add_member(t, "sessionToken", value->session_token ?: "");
	text_addf(t, ",\"expiration\":%lld}", (long long)expiration);
}

void broker_answer_grant(struct http_response *resp, const struct kube_cluster_pod *pod,
			 const struct fetch_reply *reply, const struct broker_answer_about *about)
{
	const struct fetch_value *value = reply->answer.value;
	struct text *t = &resp->body;

	http_response_begin(resp, 200, TYPE);
	t->max = BODY_MAX;
	text_add(t, "{");
	begin(t, "subject");
	text_add_member(t, "namespace", pod->name_space);
	text_add_member(t, "serviceAccount", pod->service_account);
	text_add(t, "}");
	text_add_member(t, "audience", about->audience);
	add_association(t, about->association_uid, about->cluster_arn);
	add_role(t, value);
	add_credentials(t, value, about->expiration);
	text_add(t, "}");
}

/* What says nothing about the role leaves it open. */
static const char *tried_status(enum fetch_class class)
{
	switch (class) {
	case FETCH_GRANTED:
		return "True";
	case FETCH_DENIED:
	case FETCH_INVALID:
		return "False";
	default:
		return "Unknown";
	}
}

void broker_answer_tried(struct http_response *resp, const struct fetch_reply *reply)
{
	const struct fetch_answer *answer = &reply->answer;
	struct text *t = &resp->body;

	http_response_begin(resp, 200, TYPE);
	text_add(t, "{");
	text_add_member(t, "assumable", tried_status(answer->class));
	text_add_member(t, "reason", fetch_class_name(answer->class));
	text_add_member(t, "message", answer->why ?: "");
	text_addf(t, ",\"packedPercent\":%u}", answer->value ? answer->value->packed_percent : 0);
}

void broker_answer_refusal(struct http_response *resp, enum broker_reason reason, const char *why)
{
	const struct broker_refusal *refusal = broker_reason_refusal(reason);

	http_response_begin(resp, refusal->status, TYPE);
	http_response_add_header(resp, "x-amzn-ErrorType", refusal->code);
	text_add(&resp->body, "{");
	text_add_member(&resp->body, "__type", refusal->code);
	text_add_member(&resp->body, "message", why && *why ? why : refusal->message);
	text_add_member(&resp->body, "reason", broker_reason_name(reason));
	text_add(&resp->body, "}");
}
