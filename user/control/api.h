/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API of associations, in the shape of EKS's (service eks, version 2017-11-01): the eight operations of Pod Identity
 * associations and their tags, and the little that tools ask about the cluster first. What it writes are
 * PodIdentityAssociation objects.
 *
 * Whoever asks is known by one of two doors: the Kubernetes API server has authenticated them (an aggregated API), or
 * they sign with keys that were made for a Kubernetes token (Signature Version 4). In both cases the API server
 * decides what they may do, in the namespace that the request is about (SubjectAccessReview).
 *
 * Everything is for the thread of the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "control/webhook.h"

struct aws_sealing;
struct control_api;
struct control_broker;
struct http_ticket;
struct http_tls;
struct kube_client;
struct loop;

#define CONTROL_BODY_MAX CONTROL_REVIEW_MAX /* of the largest request there is */

/* One answer, for the log. Texts may be NULL: not known. */
struct control_audit {
	const char *
		operation; /* "CreatePodIdentityAssociation"; of a request that could not be read, any */
	const char *door; /* "aggregated", "sigv4", "sts" */
	const char *user, *client; /* as the API server knows them; the address of the connection */
	const char *name_space, *service_account, *association_id, *role_arn;
	unsigned status;
	const char *error, *message; /* NULL: it was done */
};

/* Strings are copied. */
struct control_api_options {
	struct loop *loop;
	struct kube_client *kube; /* outlives the API */
	struct http_tls *
		tls; /* of the server: it is told whose certificate the API server shows; outlives the API */
	const struct control_broker
		*broker; /* who knows whether roles can be had; NULL: nobody. Outlives the API */
	const char *
		stock_config_map; /* "NAMESPACE/NAME", for the webhook of EKS (stock.h); NULL: none */
	const char *cluster_name, *cluster_arn; /* arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME */
	void (*said)(void *arg, bool bad, const char *line); /* for the log */
	void (*audited)(void *arg,
			const struct control_audit *audit); /* NULL: nobody wants to know */
	void *arg;
};

/* -EINVAL: the ARN is not that of a cluster with this name; -ENOMEM. */
int control_api_new(const struct control_api_options *options, struct control_api **ret,
		    struct pc_err *err);

/* After the desk. Returns NULL; NULL is fine. */
struct control_api *control_api_free(struct control_api *api);

/* Master keys of keys that callers sign with (aws/sealed_keys.h), taken; NULL: nobody signs, which is so at first. */
void control_api_seal(struct control_api *api, struct aws_sealing *sealing);

/* Whether it knows the associations. If not, *ret_why is a line for people. */
bool control_api_is_ready(struct control_api *api, const char **ret_why);

/* Answers the ticket, now or later. */
void control_api_handle(struct control_api *api, struct http_ticket *ticket);

/* In the format of Prometheus. */
void control_api_metrics(struct control_api *api, struct text *ret);
