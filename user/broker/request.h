/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked: the operation, the cluster, and the body of those that have one. Bytes of a network come in here. */
#pragma once

#include <stddef.h>

enum broker_operation {
	BROKER_NOTHING, /* there is no such operation */
	BROKER_ASSUME_FOR_TOKEN, /* POST /clusters/NAME/assume-role-for-pod-identity, of EKS Auth */
	BROKER_ASSUME_FOR_POD, /* POST /clusters/NAME/assume-role-for-pod */
	BROKER_ASSUMABLE, /* POST /clusters/NAME/assumable */
	BROKER_STS, /* POST / */
	BROKER_HEALTHZ, /* GET */
	BROKER_READYZ,
	BROKER_METRICS,
};

#define BROKER_CLUSTER_SIZE 101
#define BROKER_BODY_MAX	    16384
#define BROKER_TOKEN_SIZE   8193
#define BROKER_UID_SIZE	    40

/* cluster: empty where the path names none. */
enum broker_operation broker_request_route(const char *method, const char *target,
					   char cluster[BROKER_CLUSTER_SIZE]);

struct broker_body {
	char token[BROKER_TOKEN_SIZE]; /* empty: none */
	char pod_uid[BROKER_UID_SIZE]; /* in lower case with dashes; empty: none */
	char name_space[64], service_account[254]; /* BROKER_ASSUMABLE */
};

/* -EINVAL: not a body of that operation, a member that it does not have, one that is missing or unusable. Whoever calls
 * wipes it. */
int broker_request_body(enum broker_operation operation, const char *text, size_t len,
			struct broker_body *ret);

/* Of "Bearer TOKEN"; -EINVAL. */
int broker_request_bearer(const char *authorization, char ret[BROKER_TOKEN_SIZE]);

/* The token in a form of STS; -EINVAL: another action or version, no token, or not such a form. Role and session name are not looked at. */
int broker_request_sts(const char *form, size_t len, char ret_token[BROKER_TOKEN_SIZE]);
