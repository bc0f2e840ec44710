/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of the cloud for one pod: which calls, with what session name, tags, policy and
 * duration. Pure functions of association, pod and cluster: what they return is what the cache of
 * credentials is keyed with, so that two pods share credentials only if nothing tells them apart.
 */
#pragma once

#include "credentials/associations.h"

struct pc_err;

#define CRED_SESSION_NAME_SIZE 65
#define CRED_EXTERNAL_ID_SIZE  1225
#define CRED_SESSION_KEY_SIZE  65

/* All strings are set, none is empty; they belong to the caller. */
struct cred_pod {
	const char *namespace;
	const char *name;
	const char *uid; /* in lower case with dashes */
	const char *service_account;
};

/* NULL: not configured. */
struct cred_cluster {
	const char *name;
	const char *arn; /* arn:aws:eks:REGION:ACCOUNT:cluster/NAME */
};

/* One call that assumes a role; strings are those of the association, or of the session. */
struct cred_hop {
	const char *role_arn;
	const char *external_id; /* NULL: none; never of a web identity */
	const char *policy; /* NULL: none */
	unsigned duration; /* seconds */
	bool tagged; /* the session's tags go with this call, all of them transitive; issuer: in its token */
};

/* Not to be copied: it points into itself. */
struct cred_session {
	enum cred_source source; /* never CRED_SOURCE_DEFAULT */
	char name[CRED_SESSION_NAME_SIZE]; /* of all hops; empty for static, exec and eksAuth */
	struct cred_hop hops[2]; /* the second with the credentials of the first; 1 or 2 of sts,
				  * webIdentity and issuer, whose first one is AssumeRoleWithWebIdentity */
	size_t n_hops;
	struct cred_pair tags[CRED_TAGS_MAX];
	size_t n_tags;
	char external_id[CRED_EXTERNAL_ID_SIZE]; /* generated; empty: not needed, or not known */
	char key[CRED_SESSION_KEY_SIZE]; /* hex of a digest: equal if, and only if, the answer is */
};

/*
 * pod, cluster and a have to outlive the session. -EINVAL with err: the association says what its source cannot
 * do (cred_association_conflict()), or the cluster's name is missing for eksAuth; -EIO: no digest.
 */
int cred_session_plan(const struct cred_association *a, enum cred_source default_source,
		      const struct cred_pod *pod, const struct cred_cluster *cluster,
		      struct cred_session *ret, struct pc_err *err);

/* The six keys that EKS sends, NULL-terminated. */
extern const char *const cred_eks_tags[];
