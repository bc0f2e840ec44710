// SPDX-License-Identifier: Apache-2.0
#include "credentials/rights.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/arn.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/keyed.h"
#include "credentials/pattern.h"
#include "credentials/rights_read.h"

struct cred_rights {
	void *tree; /* of struct cred_role_policy, by name */
	size_t count, selecting;
};

/* ---- roles ---- */

/* The three fields of a role's ARN that differ, each as a string of its own. */
struct fields {
	char text[AWS_ARN_MAX + 4];
	const char *partition, *account, *path;
};

static const char *copy(char **at, struct aws_piece piece)
{
	char *text = *at;

	memcpy(text, piece.text, piece.len);
	text[piece.len] = '\0';
	*at += piece.len + 1;
	return text;
}

static bool split(const char *arn, struct fields *ret)
{
	struct aws_piece path;
	struct aws_role role;
	char *at = ret->text;

	if (aws_role_parse(arn, &role) < 0)
		return false;
	path = (struct aws_piece){role.path.text + 1, role.path.len - 1 + role.name.len};
	ret->partition = copy(&at, role.partition);
	ret->account = copy(&at, role.account);
	ret->path = copy(&at, path);
	return true;
}

static bool matches_one(const struct rights_patterns *patterns, const struct fields *role)
{
	for (size_t i = 0; i < patterns->n; i++) {
		const struct rights_pattern *p = &patterns->list[i];

		if (cred_pattern_glob(p->partition, role->partition) &&
		    cred_pattern_glob(p->account, role->account) &&
		    cred_pattern_glob(p->path, role->path))
			return true;
	}
	return false;
}

/* ---- namespaces ---- */

static const char *label(const struct cred_rights_question *q, const char *key)
{
	for (size_t i = 0; i < q->n_labels; i++)
		if (!strcmp(q->labels[i].key, key))
			return q->labels[i].value;
	return NULL;
}

/* As Kubernetes has it: what demands a value's absence is content with the label's. */
static bool holds(const struct rights_requirement *r, const struct cred_rights_question *q)
{
	const char *value = label(q, r->key);
	bool found = false;

	for (size_t i = 0; i < r->n_values && value; i++)
		found = found || !strcmp(r->values[i], value);
	switch (r->operator) {
	case RIGHTS_IN:
		return found;
	case RIGHTS_NOT_IN:
		return !found;
	case RIGHTS_EXISTS:
		return value;
	case RIGHTS_DOES_NOT_EXIST:
		return !value;
	}
	return false;
}

static bool is_selected(const struct cred_role_policy *policy, const struct cred_rights_question *q)
{
	for (size_t i = 0; i < policy->n_requirements; i++)
		if (!holds(&policy->requirements[i], q))
			return false;
	return true;
}

static enum cred_right is_of(const struct cred_role_policy *policy,
			     const struct cred_rights_question *q)
{
	for (size_t i = 0; i < policy->n_namespaces; i++)
		if (!strcmp(policy->namespaces[i], q->name_space))
			return CRED_RIGHT_ALLOWED;
	if (!policy->selects || q->labels_known == CRED_LABELS_NONE)
		return CRED_RIGHT_REFUSED;
	if (q->labels_known == CRED_LABELS_UNKNOWN)
		return CRED_RIGHT_UNKNOWN;
	return is_selected(policy, q) ? CRED_RIGHT_ALLOWED : CRED_RIGHT_REFUSED;
}

/* ---- the question ---- */

struct search {
	const struct cred_rights_question *question;
	struct fields role, target;
	const struct cred_role_policy *allows;
	bool depends; /* on labels */
	bool for_namespace; /* there is a policy for it, though not for this role */
	bool for_role; /* the same, and for the role, but not for its target */
};

static void look(struct search *s, const struct cred_role_policy *policy)
{
	enum cred_right of = is_of(policy, s->question);
	bool role = matches_one(&policy->roles, &s->role);
	bool target = !s->question->target_role_arn || !policy->limits_targets ||
		      matches_one(&policy->targets, &s->target);

	if (of == CRED_RIGHT_REFUSED)
		return;
	if (role && target && of == CRED_RIGHT_ALLOWED)
		s->allows = policy;
	s->depends = s->depends || (role && target);
	s->for_role = s->for_role || role;
	s->for_namespace = true;
}

static void visit(const void *node, VISIT order, void *closure)
{
	struct search *s = closure;

	if (!s->allows && (order == leaf || order == postorder))
		look(s, *(const struct cred_role_policy *const *)node);
}

/* In words that let the reader find the member to write. */
static void refuse(const struct search *s, const struct cred_rights *rights,
		   struct cred_rights_answer *ret)
{
	const struct cred_rights_question *q = s->question;

	if (!rights->count)
		snprintf(ret->why, sizeof(ret->why),
			 "role %.140s is not allowed: there is no PodIdentityRolePolicy; write one "
			 "for namespace %s",
			 q->role_arn, q->name_space);
	else if (!s->for_namespace)
		snprintf(ret->why, sizeof(ret->why),
			 "role %.140s is not allowed: no PodIdentityRolePolicy is for namespace %s",
			 q->role_arn, q->name_space);
	else if (!s->for_role)
		snprintf(
			ret->why, sizeof(ret->why),
			"role %.140s is not in roleArns of any PodIdentityRolePolicy for namespace "
			"%s",
			q->role_arn, q->name_space);
	else
		snprintf(ret->why, sizeof(ret->why),
			 "target role %.140s is not in targetRoleArns of any PodIdentityRolePolicy "
			 "that allows namespace %s its role",
			 q->target_role_arn, q->name_space);
	ret->right = CRED_RIGHT_REFUSED;
}

static bool split_question(struct search *s)
{
	const struct cred_rights_question *q = s->question;

	return split(q->role_arn, &s->role) &&
	       (!q->target_role_arn || split(q->target_role_arn, &s->target));
}

void cred_rights_ask(const struct cred_rights *rights, const struct cred_rights_question *question,
		     struct cred_rights_answer *ret)
{
	struct search s = {.question = question};

	*ret = (struct cred_rights_answer){.right = CRED_RIGHT_REFUSED};
	if (!split_question(&s)) {
		snprintf(ret->why, sizeof(ret->why), "that is no ARN of a role");
		return;
	}
	twalk_r(rights->tree, visit, &s);
	if (s.allows) {
		ret->right = CRED_RIGHT_ALLOWED;
		ret->policy = s.allows->key.key;
		snprintf(ret->why, sizeof(ret->why), "allowed by PodIdentityRolePolicy %.253s",
			 ret->policy);
	} else if (s.depends) {
		ret->right = CRED_RIGHT_UNKNOWN;
		snprintf(ret->why, sizeof(ret->why), "the labels of namespace %s are not known yet",
			 question->name_space);
	} else {
		refuse(&s, rights, ret);
	}
}

/* ---- all policies ---- */

bool cred_role_policy_selects(const struct cred_role_policy *policy)
{
	return policy->selects;
}

static void count(struct cred_rights *rights, const struct cred_role_policy *policy, size_t by)
{
	rights->count += by;
	rights->selecting += policy->selects ? by : 0;
}

static void drop(struct cred_rights *rights, struct cred_role_policy *policy)
{
	keyed_remove(&rights->tree, policy);
	count(rights, policy, (size_t)-1);
	cred_role_policy_free(policy);
}

void cred_rights_remove(struct cred_rights *rights, const char *name, const char *uid)
{
	struct cred_role_policy *policy = keyed_find(&rights->tree, name);

	if (policy && !strcmp(policy->uid, uid))
		drop(rights, policy);
}

bool cred_rights_has(const struct cred_rights *rights, const char *name, const char *uid,
		     const char *spec)
{
	const struct cred_role_policy *policy = keyed_find(&rights->tree, name);

	return policy && !strcmp(policy->uid, uid) && !strcmp(policy->spec, spec);
}

int cred_rights_put(struct cred_rights *rights, struct cred_role_policy *policy, const char *uid)
{
	struct cred_role_policy *before = keyed_find(&rights->tree, policy->key.key);
	int r;

	if (before)
		drop(rights, before);
	snprintf(policy->uid, sizeof(policy->uid), "%s", uid);
	r = keyed_add(&rights->tree, policy);
	if (r < 0)
		cred_role_policy_free(policy);
	else
		count(rights, policy, 1);
	return r;
}

size_t cred_rights_count(const struct cred_rights *rights)
{
	return rights->count;
}

size_t cred_rights_selecting(const struct cred_rights *rights)
{
	return rights->selecting;
}

int cred_rights_new(struct cred_rights **ret)
{
	struct cred_rights *rights = calloc(1, sizeof(*rights));

	if (!rights)
		return -ENOMEM;
	*ret = rights;
	return 0;
}

static void free_policy(void *node)
{
	cred_role_policy_free(node);
}

struct cred_rights *cred_rights_free(struct cred_rights *rights)
{
	if (!rights)
		return NULL;
	tdestroy(rights->tree, free_policy);
	free(rights);
	return NULL;
}
