/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the API of associations, as EKS's clients read them. */
#pragma once

#include "control/eks_store.h"
#include "http/response.h"

#define EKS_ARN_SIZE 512

/* Of the one cluster that there is; pieces of its ARN. */
struct eks_cluster {
	const char *name, *arn;
	char partition[32], region[64], account[16];
};

/* -EINVAL: not arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME, with that name. */
int eks_cluster_parse(const char *name, const char *arn, struct eks_cluster *ret);

void eks_association_arn(const struct eks_cluster *cluster, const char *id, char ret[EKS_ARN_SIZE]);

/* What AWS is told for a target role: of the spec, or the one that follows from the names; empty: there is no target. */
void eks_external_id(const struct eks_cluster *cluster, const struct eks_object *object, char *ret,
		     size_t size);

/* A new reference; NULL: no memory. */
json_t *eks_association(const struct eks_cluster *cluster, const struct eks_object *object);
json_t *eks_summary(const struct eks_cluster *cluster, const struct eks_object *object);

/* Takes body; NULL: no memory, and the answer says so. */
void eks_answer(struct http_response *resp, json_t *body);

/* In the header and in the body, as different clients look. cluster: its name, or NULL. */
void eks_answer_error(struct http_response *resp, const struct eks_error *error,
		      const char *cluster);

/* Annotations of objects that came by this API. */
#define EKS_TOKEN_ANNOTATION	"podcred.io/client-request-token"
#define EKS_DIGEST_ANNOTATION	"podcred.io/client-request-digest"
#define EKS_MODIFIED_ANNOTATION "podcred.io/modified-at"
