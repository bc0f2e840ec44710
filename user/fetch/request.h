/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be fetched for one pod. It has copies of everything, as the pod may be gone before it is there. */
#pragma once

#include "credentials/session.h"

struct pc_err;

struct fetch_request {
	struct cred_table *table; /* holds the association */
	const struct cred_association *association;
	struct cred_pod pod;
	struct cred_cluster cluster;
	struct cred_session session;
	char *token; /* that the pod has sent; NULL: none */
	char *text; /* has the strings of pod and cluster */
};

struct fetch_request_options {
	struct cred_table *table; /* a reference is taken */
	const struct cred_association *association;
	enum cred_source default_source;
	const struct cred_pod *pod;
	const struct cred_cluster *cluster;
	const char *token; /* may be NULL */
};

/* -EINVAL, -EIO as cred_session_plan(); -ENOMEM. */
int fetch_request_new(const struct fetch_request_options *options, struct fetch_request **ret,
		      struct pc_err *err);

/* A struct fetch_request; NULL is fine. */
void fetch_request_free(void *request);
