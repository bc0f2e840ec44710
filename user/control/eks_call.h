/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the API of associations, from its door to its answer: of api.c and the files that it is made of. */
#pragma once

#include <sys/queue.h>

#include "control/api.h"
#include "control/eks_answer.h"
#include "control/eks_request.h"
#include "control/eks_store.h"
#include "control/front_proxy.h"
#include "control/status.h"
#include "control/stock.h"
#include "http/desk.h"
#include "kube/access_review.h"
#include "kube/objects.h"
#include "kube/role_policies.h"
#include "kube/token_review.h"
#include "kube/version.h"

#define EKS_TRIES 3 /* of a write that somebody else has come before */

struct eks_call {
	LIST_ENTRY(eks_call) all;
	TAILQ_ENTRY(eks_call) missing; /* of those that wait for a list */
	bool waits; /* it is one of them */
	struct control_api *api;
	struct http_ticket *ticket;
	struct eks_request request;
	bool understood; /* request says what is asked for */
	struct eks_caller caller;
	const char *door; /* "aggregated", "sigv4", "sts" */
	const char *sts_action; /* of the door "sts" */
	char user[400], group[128]; /* of a caller who has signed */
	bool listed; /* what it asks for was looked for in a list of its own time */
	unsigned tries;
	struct kube_access_review *review;
	struct kube_token_review *token; /* of an exchange */
	struct kube_object_call *write;
	struct kube_version *version; /* of the API server, which is asked */
	json_t *spec; /* that is written; owned */
	json_t *answered; /* of a delete: what it has deleted; owned */
	/* The object that it is about. */
	char name_space[64], name[EKS_NAME_SIZE], id[EKS_ID_SIZE], uid[EKS_UID_SIZE];
	const char *verb; /* that it takes */
	void (*next)(struct eks_call *call); /* once it may */
};

TAILQ_HEAD(eks_calls, eks_call);

struct control_api {
	struct control_api_options options;
	char *cluster_name, *cluster_arn;
	char *stock_config_map; /* NULL: none */
	struct eks_cluster cluster;
	struct eks_store *store;
	struct kube_role_policies *policies;
	struct control_front_proxy *front_proxy;
	struct control_status *status;
	struct control_stock *stock; /* NULL: none */
	struct aws_sealing *sealing; /* NULL: nobody signs */
	LIST_HEAD(, eks_call) calls;
	struct eks_calls waiting, listing; /* for the next list; for the one that is read */
	struct kube_object_call *list;
	uint64_t answered[EKS_OPS], refused[EKS_OPS], unreadable;
	char store_why[KUBE_WATCH_WHY_SIZE], policies_why[KUBE_WATCH_WHY_SIZE]; /* said last */
};

/* ---- api.c ---- */

/* Ends the call. */
void eks_call_end(struct eks_call *call, struct http_response *resp, const char *error,
		  const char *message);
void eks_call_answer(struct eks_call *call, json_t *body);
__attribute__((format(printf, 4, 5))) void eks_call_refuse(struct eks_call *call, unsigned status,
							   const char *name, const char *fmt, ...);

/* An error of this API, for the words that tag operations have for it. */
void eks_call_invalid(struct eks_call *call, const char *message);
void eks_call_missing(struct eks_call *call);

/* The API server has not done it. */
void eks_call_failed(struct eks_call *call, const struct kube_object_result *result);

/* Calls next once the API server has said that the caller may do that to the object that the call is about. */
void eks_call_authorize(struct eks_call *call, const char *verb,
			void (*next)(struct eks_call *call));

/* Calls again once all associations were read that there are now. */
void eks_call_wait(struct eks_call *call, void (*again)(struct eks_call *call));

/* The object that the request names; NULL: the call has been answered, or waits and comes back to again. */
const struct eks_object *eks_call_find(struct eks_call *call, void (*again)(struct eks_call *call));

/* ---- eks_read.c, eks_write.c, eks_cluster.c: the operations ---- */

void eks_list(struct eks_call *call);
void eks_describe(struct eks_call *call);
void eks_describe_cluster(struct eks_call *call);
void eks_describe_versions(struct eks_call *call);
void eks_describe_addon(struct eks_call *call);
void eks_create(struct eks_call *call);
void eks_update(struct eks_call *call); /* of tags, too */
void eks_delete(struct eks_call *call);
