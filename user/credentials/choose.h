/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which association applies to a pod, and why not the others. The order is that of enum cred_origin, and the
 * first that there is decides, also when it turns out to be invalid or not allowed: what comes after it might
 * be another role than the one that somebody meant.
 */
#pragma once

#include "credentials/associations.h"
#include "credentials/rights.h"

#define CRED_WHY_SIZE 384

/* What the configuration says: which origins count, and how annotations are read. Strings may be NULL. */
struct cred_rules {
	enum cred_source default_source; /* sts, webIdentity or eksAuth */
	bool objects;
	bool irsa, kube2iam, kiam;
	const char *
		base_role_arn; /* "arn:aws:iam::111122223333:role/"; put before a role that is no ARN */
	const char *default_role; /* kube2iam's; an ARN or a name */
	bool allowed_roles_regexp; /* kube2iam's patterns are regular expressions, not globs */
};

/* Names of annotations. */
#define CRED_IRSA_ROLE	   "eks.amazonaws.com/role-arn"
#define CRED_IRSA_AUDIENCE "eks.amazonaws.com/audience"
#define CRED_IAM_ROLE	   "iam.amazonaws.com/role"
#define CRED_IAM_EXTERNAL  "iam.amazonaws.com/external-id"
#define CRED_IAM_SESSION   "iam.amazonaws.com/session-name"
#define CRED_IAM_ALLOWED   "iam.amazonaws.com/allowed-roles"
#define CRED_IAM_PERMITTED "iam.amazonaws.com/permitted"

/* Their values; NULL: there is none. */
struct cred_annotations {
	const char *irsa_role, *irsa_audience; /* of the service account */
	const char *role, *external_id, *session_name; /* of the pod */
	const char *allowed_roles, *permitted; /* of the namespace */
};

enum cred_known {
	CRED_NOT_KNOWN, /* nobody has said yet */
	CRED_KNOWN,
	CRED_INVALID, /* of an object: there is one, and it cannot be used */
};

/* What is known of a pod. */
struct cred_facts {
	const char *namespace, *service_account;
	const struct cred_association *file; /* NULL: the file has none */
	enum cred_known object_known;
	const struct cred_association *object; /* NULL: there is none */
	const char *object_why; /* CRED_INVALID: what is wrong with it */
	enum cred_right object_right; /* whether its namespace may have its role */
	const char *right_why; /* by which policy, or why by none; NULL: nobody has been asked */
	enum cred_known annotations_known;
	struct cred_annotations annotations;
};

enum cred_verdict {
	CRED_CHOSEN,
	CRED_REFUSED, /* it would apply, and must not; nothing after it does */
	CRED_SHADOWED, /* it would apply, or be refused, but one before it decides */
	CRED_ABSENT,
	CRED_OFF, /* by the configuration */
	CRED_UNKNOWN, /* the facts do not say */
};

/* One word: "applies", "refused", "shadowed", "absent", "off", "unknown". */
const char *cred_verdict_name(enum cred_verdict verdict);

struct cred_step {
	enum cred_verdict verdict;
	char why[CRED_WHY_SIZE]; /* one line; never empty */
};

struct cred_choice {
	const struct cred_association *association; /* NULL: none applies */
	struct cred_table *table; /* that one's, if it was made here of annotations; else NULL */
	bool refused; /* none applies, because of steps[origin] */
	bool not_allowed; /* the same, and because no PodIdentityRolePolicy allows the role */
	enum cred_origin origin; /* of the association, or of what was refused */
	char why[CRED_WHY_SIZE]; /* none applies: one line for whoever runs the pod */
	struct cred_step steps[CRED_ORIGINS];
};

/*
 * 0, and ret says which, or why none. -EAGAIN: it depends on what facts do not know (object_known or
 * annotations_known): ask again with them; ret->steps are there. -ENOMEM. cred_choice_done() in each case.
 */
int cred_choose(const struct cred_rules *rules, const struct cred_facts *facts,
		struct cred_choice *ret);
void cred_choice_done(struct cred_choice *choice);
