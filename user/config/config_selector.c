// SPDX-License-Identifier: Apache-2.0
/* The pods that a rule selects by their labels, in the shape of a Kubernetes LabelSelector. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/k8s_name.h"
#include "config/config.h"
#include "config/config_section.h"

static const char *const operators[] = {
	[CONFIG_IN] = "In",
	[CONFIG_NOT_IN] = "NotIn",
	[CONFIG_EXISTS] = "Exists",
	[CONFIG_DOES_NOT_EXIST] = "DoesNotExist",
};

static const char *key_of(const struct config *config, const struct config_requirement *want)
{
	return config->text + want->at;
}

static const char *next_text(const char *text)
{
	return text + strlen(text) + 1;
}

static bool has_value(const struct config *config, const struct config_requirement *want,
		      const char *value)
{
	const char *text = key_of(config, want);

	for (unsigned i = 0; i < want->n_values; i++) {
		text = next_text(text);
		if (!strcmp(text, value))
			return true;
	}
	return false;
}

static const struct config_requirement *wants_of(const struct config *config,
						 const struct config_policy_rule *rule)
{
	return &config->requirements[rule->first_requirement];
}

/* ---- a pod ---- */

/* NULL: the pod has no such label. */
static const char *value_of(const char *labels, const char *key)
{
	for (; *labels; labels = next_text(next_text(labels)))
		if (!strcmp(labels, key))
			return next_text(labels);
	return NULL;
}

static bool is_met(const struct config *config, const struct config_requirement *want,
		   const char *labels)
{
	const char *value = value_of(labels, key_of(config, want));

	switch (want->operator) {
	case CONFIG_IN:
		return value && has_value(config, want, value);
	case CONFIG_NOT_IN:
		return !value || !has_value(config, want, value);
	case CONFIG_EXISTS:
		return value;
	}
	return !value;
}

bool config_selector_matches(const struct config *config, const struct config_policy_rule *rule,
			     const char *labels)
{
	for (unsigned i = 0; i < rule->n_requirements; i++)
		if (!is_met(config, &wants_of(config, rule)[i], labels))
			return false;
	return true;
}

/* ---- two requirements ---- */

/* How many values of b are among those of a. */
static unsigned n_shared(const struct config *config, const struct config_requirement *a,
			 const struct config_requirement *b)
{
	const char *text = key_of(config, b);
	unsigned n = 0;

	for (unsigned i = 0; i < b->n_values; i++) {
		text = next_text(text);
		n += has_value(config, a, text);
	}
	return n;
}

/* Whether who meets b meets a. Both are about the same key. */
static bool follows(const struct config *config, const struct config_requirement *a,
		    const struct config_requirement *b)
{
	switch (a->operator) {
	case CONFIG_IN:
		return b->operator== CONFIG_IN && n_shared(config, a, b) == b->n_values;
	case CONFIG_NOT_IN:
		return b->operator== CONFIG_DOES_NOT_EXIST ||(b->operator== CONFIG_IN &&
							      n_shared(config, a, b) == 0) ||
		       (b->operator== CONFIG_NOT_IN && n_shared(config, b, a) == a->n_values);
	case CONFIG_EXISTS:
		return b->operator== CONFIG_EXISTS || b->operator== CONFIG_IN;
	}
	return b->operator== CONFIG_DOES_NOT_EXIST;
}

/* Whether nobody meets both, as follows from one of them. */
static bool excludes(const struct config *config, const struct config_requirement *a,
		     const struct config_requirement *b)
{
	if (a->operator== CONFIG_DOES_NOT_EXIST)
		return b->operator== CONFIG_IN || b->operator== CONFIG_EXISTS;
	if (a->operator!= CONFIG_IN)
		return false;
	return (b->operator== CONFIG_IN && n_shared(config, a, b) == 0) ||
	       (b->operator== CONFIG_NOT_IN && n_shared(config, b, a) == a->n_values);
}

static bool is_implied(const struct config *config, const struct config_requirement *want,
		       const struct config_policy_rule *rule)
{
	const struct config_requirement *given = wants_of(config, rule);

	for (unsigned i = 0; i < rule->n_requirements; i++)
		if (!strcmp(key_of(config, want), key_of(config, &given[i])) &&
		    follows(config, want, &given[i]))
			return true;
	return false;
}

bool config_selector_covers(const struct config *config, const struct config_policy_rule *a,
			    const struct config_policy_rule *b)
{
	for (unsigned i = 0; i < a->n_requirements; i++)
		if (!is_implied(config, &wants_of(config, a)[i], b))
			return false;
	return true;
}

const char *config_selector_conflict(const struct config *config,
				     const struct config_policy_rule *rule)
{
	const struct config_requirement *wants = wants_of(config, rule);

	for (unsigned i = 0; i < rule->n_requirements; i++)
		for (unsigned k = 0; k < rule->n_requirements; k++)
			if (!strcmp(key_of(config, &wants[i]), key_of(config, &wants[k])) &&
			    excludes(config, &wants[i], &wants[k]))
				return key_of(config, &wants[i]);
	return NULL;
}

/* ---- the file ---- */

/* A requirement that is being read; its key and values go to the end of the text. */
struct draft {
	struct config *config;
	struct config_policy_rule *rule;
	const struct yml_node *key, *values;
	uint64_t operator;
	bool has_operator;
};

static int add_text(const struct yml_source *src, const struct yml_node *node,
		    struct config *config)
{
	const char *text = yml_text(node);
	size_t size = strlen(text) + 1;

	if (config->text_len + size > sizeof(config->text))
		return yml_bad(src, node, "more than %d bytes of labels in the policy",
			       CONFIG_MAX_TEXT);
	memcpy(config->text + config->text_len, text, size);
	config->text_len += size;
	return 0;
}

static int add_key(const struct yml_source *src, const struct yml_node *node, struct draft *draft)
{
	struct config *config = draft->config;
	const char *text = yml_text(node);

	if (!text || !k8s_is_label_key(text, strlen(text)))
		return yml_bad(src, node,
			       "\"%.64s\" is not the key of a label (like app or "
			       "app.kubernetes.io/name); correct it",
			       text ?: "");
	if (config->n_requirements == CONFIG_MAX_REQUIREMENTS)
		return yml_bad(src, node, "more than %d labels in the policy",
			       CONFIG_MAX_REQUIREMENTS);
	config->requirements[config->n_requirements++] = (struct config_requirement){
		.at = (uint32_t)config->text_len, .operator=(uint8_t) draft->operator};
	draft->rule->n_requirements++;
	return add_text(src, node, config);
}

static int add_value(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct draft *draft = target;
	const char *text = yml_text(node);

	if (!text || !k8s_is_label_value(text, strlen(text)))
		return yml_bad(src, node,
			       "\"%.64s\" is not the value of a label (up to 63 of a-z A-Z 0-9 - _ "
			       ".); correct it",
			       text ?: "");
	draft->config->requirements[draft->config->n_requirements - 1].n_values++;
	return add_text(src, node, draft->config);
}

static int read_match_labels(const struct yml_source *src, const struct yml_node *node,
			     void *target)
{
	struct draft *draft = target;

	draft->operator= CONFIG_IN;
	if (node->kind != YML_MAPPING)
		return yml_bad(src, node, "matchLabels is no mapping; write \"key: value\" lines");
	for (const struct yml_node *name = node->first; name; name = name->next->next) {
		int r = add_key(src, name, draft);

		if (r < 0)
			return r;
		if (yml_get(node, yml_text(name)) != name->next)
			return yml_bad(src, name, "label \"%.64s\" is there twice; remove one",
				       yml_text(name));
		r = add_value(src, name->next, draft);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_key(const struct yml_source *src, const struct yml_node *node, void *target)
{
	(void)src;
	((struct draft *)target)->key = node;
	return 0;
}

static int read_operator(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct draft *draft = target;

	draft->has_operator = true;
	return yml_word(src, node, "operator", operators, ARRAY_SIZE(operators), &draft->operator);
}

static int read_values(const struct yml_source *src, const struct yml_node *node, void *target)
{
	(void)src;
	((struct draft *)target)->values = node;
	return 0;
}

/* As the API server has it. */
static int check_values(const struct yml_source *src, const struct yml_node *node,
			const struct draft *draft)
{
	bool wanted = draft->operator== CONFIG_IN || draft->operator== CONFIG_NOT_IN;
	bool given = draft->values && draft->values->first;

	if (wanted && !given)
		return yml_bad(src, node, "operator %s needs \"values\"",
			       operators[draft->operator]);
	if (!wanted && given)
		return yml_bad(src, draft->values, "operator %s takes no values; remove them",
			       operators[draft->operator]);
	return 0;
}

static int read_expression(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {YML_REQUIRED("key", read_key),
					      YML_REQUIRED("operator", read_operator),
					      YML_KEY("values", read_values)};
	const struct draft *outer = target;
	struct draft draft = {.config = outer->config, .rule = outer->rule};
	int r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), &draft);

	if (r == 0)
		r = check_values(src, node, &draft);
	if (r == 0)
		r = add_key(src, draft.key, &draft);
	if (r < 0 || !draft.values)
		return r;
	return yml_list(src, draft.values, "values", add_value, &draft);
}

static int read_match_expressions(const struct yml_source *src, const struct yml_node *node,
				  void *target)
{
	return yml_list(src, node, "matchExpressions", read_expression, target);
}

int config_selector_read(const struct yml_source *src, const struct yml_node *node,
			 struct config *config, struct config_policy_rule *rule)
{
	static const struct yml_key keys[] = {
		YML_KEY("matchLabels", read_match_labels),
		YML_KEY("matchExpressions", read_match_expressions),
	};
	struct draft draft = {.config = config, .rule = rule};

	rule->first_requirement = (uint16_t)config->n_requirements;
	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), &draft);
}
