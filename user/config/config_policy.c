// SPDX-License-Identifier: Apache-2.0
/* Which pods are not simply redirected: ordered rules, of which the first that matches decides. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/k8s_name.h"
#include "config/config.h"
#include "config/config_section.h"

static const char *const action_names[] = {
	[CONFIG_POLICY_REDIRECT] = "redirect",
	[CONFIG_POLICY_EXEMPT] = "exempt",
	[CONFIG_POLICY_DENY] = "deny",
};

/* An empty pattern is any name. */
static bool matches(const char *pattern, const char *name)
{
	return !pattern[0] || !strcmp(pattern, name);
}

enum config_policy_action config_policy_for(const struct config *config, const char *name_space,
					    const char *service_account)
{
	if (!name_space[0])
		return CONFIG_POLICY_REDIRECT; /* a pod without a name is nobody's exception */
	for (size_t i = 0; i < config->n_policy; i++) {
		const struct config_policy_rule *rule = &config->policy[i];

		if (matches(rule->name_space, name_space) &&
		    matches(rule->service_account, service_account))
			return rule->action;
	}
	return CONFIG_POLICY_REDIRECT;
}

/* A rule that is being read. */
struct draft {
	struct config_policy_rule rule;
	bool has_action;
};

static int rule_namespace(const struct yml_source *src, const struct yml_node *node, void *target)
{
	const char *text = yml_text(node);
	struct draft *draft = target;

	if (!text || !k8s_is_label(text, strlen(text)))
		return yml_bad(src, node,
			       "namespace \"%.64s\" is not the name of one (1 to 63 of a-z 0-9 "
			       "-); correct it, or leave the key out for any namespace",
			       text ?: "");
	strcpy(draft->rule.name_space, text);
	return 0;
}

static int rule_service_account(const struct yml_source *src, const struct yml_node *node,
				void *target)
{
	const char *text = yml_text(node);
	struct draft *draft = target;

	if (!text || !k8s_is_subdomain(text, strlen(text)))
		return yml_bad(src, node,
			       "serviceAccount \"%.64s\" is not the name of one (1 to 253 of "
			       "a-z 0-9 - .); correct it, or leave the key out for any",
			       text ?: "");
	strcpy(draft->rule.service_account, text);
	return 0;
}

static int rule_action(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct draft *draft = target;
	uint64_t action = 0;
	int ret = yml_word(src, node, "policy action", action_names, ARRAY_SIZE(action_names),
			   &action);

	draft->rule.action = (enum config_policy_action)action;
	draft->has_action = ret == 0;
	return ret;
}

/* An exemption hands out the node's own credentials: it must say to whom. */
static int check_exemption(const struct yml_source *src, const struct yml_node *node,
			   const struct config_policy_rule *rule)
{
	if (rule->action != CONFIG_POLICY_EXEMPT || rule->name_space[0])
		return 0;
	if (!rule->service_account[0])
		return yml_bad(src, node, "this rule would exempt every pod; give \"namespace\"");
	return yml_bad(src, node,
		       "serviceAccount \"%.64s\" without a namespace would be exempt, and any "
		       "namespace could make such a service account; give \"namespace\" too",
		       rule->service_account);
}

static int check_reachable(const struct yml_source *src, const struct yml_node *node,
			   const struct config *config, const struct config_policy_rule *rule)
{
	for (size_t i = 0; i < config->n_policy; i++) {
		const struct config_policy_rule *above = &config->policy[i];

		if (!matches(above->name_space, rule->name_space) ||
		    !matches(above->service_account, rule->service_account))
			continue;
		if (!strcmp(above->name_space, rule->name_space) &&
		    !strcmp(above->service_account, rule->service_account))
			return yml_bad(src, node,
				       "this rule selects the same pods as the one in line "
				       "%zu; remove one",
				       above->line);
		return yml_bad(src, node,
			       "this rule is never reached: the one in line %zu selects all of "
			       "its pods; put it above that one, or remove it",
			       above->line);
	}
	return 0;
}

int config_policy_read(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {YML_KEY("namespace", rule_namespace),
					      YML_KEY("serviceAccount", rule_service_account),
					      YML_KEY("action", rule_action)};
	struct draft draft = {.rule.line = node->line};
	struct config *config = target;
	int ret = yml_mapping(src, node, keys, ARRAY_SIZE(keys), &draft);

	if (ret < 0)
		return ret;
	if (!draft.has_action)
		return yml_bad(src, node, "a policy rule needs \"action\"");
	ret = check_exemption(src, node, &draft.rule);
	if (ret == 0)
		ret = check_reachable(src, node, config, &draft.rule);
	if (ret < 0)
		return ret;
	if (config->n_policy == CONFIG_MAX_POLICY)
		return yml_bad(src, node, "more than %d policy rules", CONFIG_MAX_POLICY);
	config->policy[config->n_policy++] = draft.rule;
	return 0;
}
