/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as EKS Auth writes them. */
#pragma once

#include <time.h>

#include "broker/reason.h"
#include "http/response.h"

struct fetch_reply;
struct kube_cluster_pod;

struct broker_answer_about {
	const char *association_uid; /* of its object; "": there is none */
	const char *cluster_arn; /* "": not configured */
	const char *audience; /* of the pod's token, or the one that it would have */
	time_t expiration;
};

/* The body's memory is wiped. */
void broker_answer_grant(struct http_response *resp, const struct kube_cluster_pod *pod,
			 const struct fetch_reply *reply, const struct broker_answer_about *about);

/* {"assumable": "True", "False" or "Unknown", "reason", "message", "packedPercent": 0 where it is not known} */
void broker_answer_tried(struct http_response *resp, const struct fetch_reply *reply);

/* why: one line, in place of the usual one; NULL: that. */
void broker_answer_refusal(struct http_response *resp, enum broker_reason reason, const char *why);
