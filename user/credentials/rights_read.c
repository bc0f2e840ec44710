// SPDX-License-Identifier: Apache-2.0
/* One PodIdentityRolePolicy: its members, and what goes with what. */
#include "credentials/rights_read.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/arn.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "credentials/values.h"
#include "yaml/read.h"

#define MAX_NODES	 16384
#define NAMESPACES_MAX	 1000
#define PATTERNS_MAX	 1000
#define REQUIREMENTS_MAX 64
#define VALUES_MAX	 256
#define PATTERN_WANTS	 "an ARN as arn:aws:iam::111122223333:role/NAME; * stands for any characters"

static int no_memory(const struct yml_source *src)
{
	return pc_err_set(src->err, -ENOMEM, "%s: out of memory", src->name);
}

/* ---- lists of texts ---- */

static int read_texts(const struct yml_source *src, const struct yml_node *node, const char *key,
		      size_t max, bool (*valid)(const char *), const char *wants, const char ***ret,
		      size_t *ret_n)
{
	if (node->kind != YML_LIST || node->len > max)
		return yml_bad(src, node, "'%s' is no list, or has more than %zu entries", key,
			       max);
	*ret = calloc(node->len + 1, sizeof(**ret));
	if (!*ret)
		return no_memory(src);
	for (const struct yml_node *i = node->first; i; i = i->next) {
		const char *text = yml_text(i);

		if (!text || !valid(text))
			return yml_bad(src, i, "bad entry of '%s'; write %s", key, wants);
		(*ret)[(*ret_n)++] = text;
	}
	return 0;
}

static int read_namespaces(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct cred_role_policy *p = target;

	return read_texts(
		src, node, "namespaces", NAMESPACES_MAX, cred_is_namespace,
		"names of namespaces, without wildcards; namespaceSelector: {} matches all",
		&p->namespaces, &p->n_namespaces);
}

/* ---- selectors ---- */

static bool is_label_key(const char *s)
{
	return k8s_is_label_key(s, strlen(s));
}

static bool is_label_value(const char *s)
{
	return k8s_is_label_value(s, strlen(s));
}

static int add_requirement(const struct yml_source *src, const struct yml_node *node,
			   struct cred_role_policy *p, struct rights_requirement **ret)
{
	if (!p->requirements) /* once, so that none moves */
		p->requirements = calloc(REQUIREMENTS_MAX, sizeof(*p->requirements));
	if (!p->requirements)
		return no_memory(src);
	if (p->n_requirements == REQUIREMENTS_MAX)
		return yml_bad(src, node, "more than %d conditions in 'namespaceSelector'",
			       REQUIREMENTS_MAX);
	*ret = &p->requirements[p->n_requirements++];
	return 0;
}

static int read_match_label(const struct yml_source *src, const struct yml_node *name,
			    struct cred_role_policy *p)
{
	const char *key = yml_text(name), *value = yml_text(name->next);
	struct rights_requirement *r = NULL;
	int error;

	if (!key || !is_label_key(key) || !value || !is_label_value(value))
		return yml_bad(src, name,
			       "bad label in 'matchLabels'; write key: value, as a label is");
	error = add_requirement(src, name, p, &r);
	if (!r)
		return error;
	r->key = key;
	r->values = calloc(2, sizeof(*r->values));
	if (!r->values)
		return no_memory(src);
	r->values[r->n_values++] = value;
	return 0;
}

static int read_match_labels(const struct yml_source *src, const struct yml_node *node,
			     void *target)
{
	if (node->kind != YML_MAPPING)
		return yml_bad(src, node, "'matchLabels' is no mapping; write key: value");
	for (const struct yml_node *name = node->first; name; name = name->next->next) {
		int r = read_match_label(src, name, target);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_values(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct rights_requirement *r = target;

	return read_texts(src, node, "values", VALUES_MAX, is_label_value, "values of labels",
			  &r->values, &r->n_values);
}

static int read_expression(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const char *const operators[] = {[RIGHTS_IN] = "In",
						[RIGHTS_NOT_IN] = "NotIn",
						[RIGHTS_EXISTS] = "Exists",
						[RIGHTS_DOES_NOT_EXIST] = "DoesNotExist"};
	static const struct yml_key keys[] = {
		YML_TEXT("key", struct rights_requirement, key, is_label_key, "key of a label",
			 true),
		{.name = "operator",
		 YML_MEMBER(struct rights_requirement, operator),
		 .words = operators,
		 .n_words = ARRAY_SIZE(operators),
		 .required = true},
		YML_KEY("values", read_values),
	};
	struct rights_requirement *r = NULL;
	int error = add_requirement(src, node, target, &r);

	if (!r)
		return error;
	error = yml_mapping(src, node, keys, ARRAY_SIZE(keys), r);
	if (error < 0)
		return error;
	if (!r->n_values != (r->operator== RIGHTS_EXISTS || r->operator== RIGHTS_DOES_NOT_EXIST))
		return yml_bad(src, node,
			       "'values' go with In and NotIn, and those do not go without");
	return 0;
}

static int read_expressions(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return yml_list(src, node, "matchExpressions", read_expression, target);
}

static int read_selector(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_KEY("matchLabels", read_match_labels),
		YML_KEY("matchExpressions", read_expressions),
	};
	struct cred_role_policy *p = target;

	p->selects = true;
	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), p);
}

/* ---- patterns ---- */

static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* Text up to the separator, which becomes a NUL. */
static const char *cut(char **at)
{
	return strsep(at, ":");
}

static bool is_account(const char *text)
{
	size_t len = strlen(text);

	return len && strspn(text, "0123456789*") == len &&
	       (strchr(text, '*') ? len <= 13 : len == 12);
}

/* Asterisks do not go beyond the colon. A role's path may have colons, but it is the last field. */
static bool split(char *text, struct rights_pattern *ret)
{
	char *at = text;
	const char *arn = cut(&at), *partition = cut(&at), *service = cut(&at), *region = cut(&at),
		   *account = cut(&at);

	if (!at || strcmp(arn, "arn") != 0 || strcmp(service, "iam") != 0 || *region ||
	    !*partition || !is_account(account) || strncmp(at, "role/", 5) != 0 || !at[5])
		return false;
	ret->partition = partition;
	ret->account = account;
	ret->path = at + 5;
	return true;
}

static int read_pattern(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct rights_patterns *patterns = target;
	struct rights_pattern *p = &patterns->list[patterns->n++];
	const char *text = yml_text(node);

	if (!text || strlen(text) > AWS_ARN_MAX || !is_printable(text))
		return yml_bad(src, node, "bad pattern of a role; write " PATTERN_WANTS);
	p->text = strdup(text);
	if (!p->text)
		return no_memory(src);
	return split(p->text, p)
		       ? 0
		       : yml_bad(src, node, "bad pattern of a role; write " PATTERN_WANTS);
}

static int read_patterns(const struct yml_source *src, const struct yml_node *node, const char *key,
			 struct rights_patterns *patterns)
{
	if (node->kind == YML_LIST && node->len > PATTERNS_MAX)
		return yml_bad(src, node, "more than %d entries in '%s'", PATTERNS_MAX, key);
	patterns->list =
		calloc((node->kind == YML_LIST ? node->len : 0) + 1, sizeof(*patterns->list));
	return patterns->list ? yml_list(src, node, key, read_pattern, patterns) : no_memory(src);
}

static int read_roles(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return read_patterns(src, node, "roleArns", &((struct cred_role_policy *)target)->roles);
}

static int read_targets(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct cred_role_policy *p = target;

	p->limits_targets = true;
	return read_patterns(src, node, "targetRoleArns", &p->targets);
}

/* ---- a policy ---- */

static int read_spec(const struct yml_source *src, const struct yml_node *root,
		     struct cred_role_policy *p)
{
	static const struct yml_key keys[] = {
		YML_KEY("namespaces", read_namespaces),
		YML_KEY("namespaceSelector", read_selector),
		YML_REQUIRED("roleArns", read_roles),
		YML_KEY("targetRoleArns", read_targets),
	};
	int r;

	if (!root)
		return pc_err_set(src->err, -EINVAL, "%s: the spec is empty; write roleArns",
				  src->name);
	r = yml_mapping(src, root, keys, ARRAY_SIZE(keys), p);
	if (r < 0)
		return r;
	if (!p->n_namespaces && !p->selects)
		return yml_bad(src, root,
			       "it is for no namespace; write namespaces or namespaceSelector");
	return 0;
}

static void free_patterns(struct rights_patterns *patterns)
{
	for (size_t i = 0; i < patterns->n; i++)
		free(patterns->list[i].text);
	free(patterns->list);
}

struct cred_role_policy *cred_role_policy_free(struct cred_role_policy *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n_requirements; i++)
		free(p->requirements[i].values);
	free(p->requirements);
	free(p->namespaces);
	free_patterns(&p->roles);
	free_patterns(&p->targets);
	yml_tree_free(p->tree);
	free(p->name);
	free(p->spec);
	free(p);
	return NULL;
}

int cred_role_policy_parse(const char *name, const char *spec, size_t len,
			   struct cred_role_policy **ret, struct pc_err *err)
{
	const struct yml_source src = {.name = name, .lineless = true, .err = err};
	struct cred_role_policy *p = calloc(1, sizeof(*p));
	int r;

	if (p) {
		p->name = strdup(name);
		p->spec = strndup(spec, len);
	}
	if (!p || !p->name || !p->spec) {
		cred_role_policy_free(p);
		return no_memory(&src);
	}
	p->key.key = p->name;
	r = yml_tree_parse(&src, spec, len, MAX_NODES, &p->tree);
	r = r ?: read_spec(&src, yml_tree_root(p->tree), p);
	if (r < 0)
		cred_role_policy_free(p);
	else
		*ret = p;
	return r;
}
