/* SPDX-License-Identifier: Apache-2.0 */
/* What the sources of credentials work with. */
#pragma once

struct aws_client;
struct aws_imds;
struct config_credentials;
struct fetch_issuer;
struct fetch_node;
struct http_client;
struct kube_client;
struct loop;

#define FETCH_DEADLINE_S 15 /* of a call to AWS with all its attempts */

/* Everything in it outlives all jobs. */
struct fetch_env {
	struct loop *loop;
	const struct config_credentials *config;
	struct http_client *http;
	struct aws_imds *imds;
	struct aws_client *aws; /* NULL: the region is not known (yet) */
	struct aws_client *broker; /* podcred broker; NULL: it is not the source */
	struct kube_client *kube; /* NULL: this is no cluster */
	struct fetch_node *node;
	const struct fetch_issuer *issuer; /* issue in it may be NULL */
	const char *node_name; /* of Kubernetes; NULL: not known, like the two others */
	const char *instance_id, *zone_id;
};
