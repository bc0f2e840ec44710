/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which namespace may have which role: PodIdentityRolePolicy objects, as a pure function. A policy only allows; what none
 * allows is refused. So a policy that cannot be used counts as absent, which refuses more and never less.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "credentials/associations.h"

#define CRED_RIGHTS_WHY_SIZE 384
#define CRED_UID_SIZE	     64

struct cred_rights;
struct cred_role_policy;
struct pc_err;

/*
 * spec: of a PodIdentityRolePolicy, as JSON or YAML text; name: of the object, which err begins with.
 * -EINVAL: it cannot be used; -ENOMEM.
 */
int cred_role_policy_parse(const char *name, const char *spec, size_t len,
			   struct cred_role_policy **ret, struct pc_err *err);

/* Returns NULL; NULL is fine. */
struct cred_role_policy *cred_role_policy_free(struct cred_role_policy *policy);

/* Whether what it allows depends on the labels of namespaces. */
bool cred_role_policy_selects(const struct cred_role_policy *policy);

/* All policies there are. Not for several threads at once. -ENOMEM. */
int cred_rights_new(struct cred_rights **ret);

/* With all its policies. Returns NULL; NULL is fine. */
struct cred_rights *cred_rights_free(struct cred_rights *rights);

/* Takes policy, in place of one that has the same name; also when it fails: -ENOMEM. uid: of its object, shorter than
 * CRED_UID_SIZE. */
int cred_rights_put(struct cred_rights *rights, struct cred_role_policy *policy, const char *uid);

/* Of that object alone: another one of the same name may have come before this one is known to be gone. */
void cred_rights_remove(struct cred_rights *rights, const char *name, const char *uid);

/* Whether it is there already, by the text that was parsed. */
bool cred_rights_has(const struct cred_rights *rights, const char *name, const char *uid,
		     const char *spec);

size_t cred_rights_count(const struct cred_rights *rights);

/* How many of them cred_role_policy_selects(). */
size_t cred_rights_selecting(const struct cred_rights *rights);

/* Labels of a namespace. */
enum cred_labels_known {
	CRED_LABELS_UNKNOWN, /* nobody has said yet */
	CRED_LABELS_KNOWN,
	CRED_LABELS_NONE, /* there is no such namespace, or its labels cannot be used: no selector matches it */
};

struct cred_rights_question {
	const char *name_space;
	enum cred_labels_known labels_known;
	const struct cred_pair *labels;
	size_t n_labels;
	const char *role_arn;
	const char *target_role_arn; /* NULL: none */
};

enum cred_right {
	CRED_RIGHT_ALLOWED,
	CRED_RIGHT_REFUSED,
	CRED_RIGHT_UNKNOWN, /* it depends on labels that are not known */
};

struct cred_rights_answer {
	enum cred_right right;
	const char *
		policy; /* ALLOWED: the name of one that allows it, the first by name; else NULL. As long as it is
			     * in rights */
	char why[CRED_RIGHTS_WHY_SIZE]; /* one line: by which policy, or why by none; never empty */
};

void cred_rights_ask(const struct cred_rights *rights, const struct cred_rights_question *question,
		     struct cred_rights_answer *ret);
