/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request to the API of associations asks for. Pure. What is not understood is refused, member by member: some
 * members narrow rights, and leaving one out would widen them.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "credentials/association_id.h"

enum eks_op {
	EKS_CREATE,
	EKS_LIST,
	EKS_DESCRIBE,
	EKS_UPDATE,
	EKS_DELETE,
	EKS_TAG,
	EKS_UNTAG,
	EKS_LIST_TAGS,
	EKS_DESCRIBE_CLUSTER,
	EKS_DESCRIBE_VERSIONS,
	EKS_DESCRIBE_ADDON,
	EKS_OPS,
};

/* As EKS's API has it: "CreatePodIdentityAssociation", ... */
const char *eks_op_name(enum eks_op op);

#define EKS_CLUSTER_SIZE  101
#define EKS_ID_SIZE	  CRED_ASSOCIATION_ID_SIZE
#define EKS_NAME_SIZE	  254
#define EKS_ADDON_SIZE	  101
#define EKS_LIST_MAX	  100 /* of one page */
#define EKS_TAGS_MAX	  50
#define EKS_TAG_KEY_SIZE  129
#define EKS_TAG_VALUE_MAX 256
#define EKS_TOKEN_SIZE	  65 /* of a client */
#define EKS_CURSOR_SIZE	  512
#define EKS_MESSAGE_SIZE  768

struct eks_error {
	unsigned status;
	const char *name; /* "InvalidParameterException" */
	char message[EKS_MESSAGE_SIZE];
};

/* Returns -EINVAL. */
__attribute__((format(printf, 4, 5))) int eks_error_set(struct eks_error *error, unsigned status,
							const char *name, const char *fmt, ...);

struct eks_request {
	enum eks_op op;
	/* Of the path, or of the ARN of a tag operation. EKS_DESCRIBE_VERSIONS has none. */
	char cluster[EKS_CLUSTER_SIZE];
	char id[EKS_ID_SIZE]; /* of an association; empty: the operation has none */
	char arn[512]; /* of tag operations: as it was asked for */
	char addon[EKS_ADDON_SIZE]; /* of EKS_DESCRIBE_ADDON */
	/* Of EKS_CREATE, EKS_UPDATE and EKS_TAG: its members, each of which is known and of its type; owned */
	json_t *body;
	/* EKS_LIST; empty: any */
	char name_space[EKS_NAME_SIZE], service_account[EKS_NAME_SIZE];
	char cursor[EKS_CURSOR_SIZE];
	size_t max_results;
	/* EKS_UNTAG */
	char (*tag_keys)[EKS_TAG_KEY_SIZE]; /* owned */
	size_t n_tag_keys;
};

/* Where the aggregated API has it all. */
#define EKS_PREFIX "/apis/eks.podcred.io/v1"

/* target: of the request line, with its escapes; it may begin with EKS_PREFIX. ret is to be freed in any case.
 * -EINVAL: error says what to answer; -ENOMEM. */
int eks_request_parse(const char *method, const char *target, const char *body, size_t body_len,
		      struct eks_request *ret, struct eks_error *error);

void eks_request_done(struct eks_request *request);

/* The text of a member, or NULL. */
const char *eks_request_text(const struct eks_request *request, const char *member);
