// SPDX-License-Identifier: Apache-2.0
/* Which pods are treated otherwise than redirected: ordered rules, the first that matches decides. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config.h"
#include "config_reader.h"

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

/* Names as RFC 1123 and Kubernetes have them. */
static bool is_label(const char *text, size_t len)
{
	return len && text[0] != '-' && text[len - 1] != '-' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") >= len;
}

static bool is_namespace(const char *text)
{
	size_t len = strlen(text);

	return len < CONFIG_NAMESPACE_SIZE && is_label(text, len);
}

static bool is_service_account(const char *text)
{
	if (strlen(text) >= CONFIG_SERVICE_ACCOUNT_SIZE)
		return false;
	for (;;) {
		size_t len = strcspn(text, ".");

		if (!is_label(text, len))
			return false;
		if (!text[len])
			return true;
		text += len + 1;
	}
}

/* A rule that is being read. */
struct draft {
	struct config_policy_rule rule;
	bool has_action;
};

static int rule_namespace(const struct reader *r, const yaml_node_t *node, void *target)
{
	const char *text = reader_scalar(node);
	struct draft *draft = target;

	if (!text || !is_namespace(text))
		return reader_bad(r, node,
				  "namespace \"%.64s\" is not the name of one (1 to 63 of a-z 0-9 "
				  "-); correct it, or leave the key out for any namespace",
				  text ?: "");
	strcpy(draft->rule.name_space, text);
	return 0;
}

static int rule_service_account(const struct reader *r, const yaml_node_t *node, void *target)
{
	const char *text = reader_scalar(node);
	struct draft *draft = target;

	if (!text || !is_service_account(text))
		return reader_bad(r, node,
				  "serviceAccount \"%.64s\" is not the name of one (1 to 253 of "
				  "a-z 0-9 - .); correct it, or leave the key out for any",
				  text ?: "");
	strcpy(draft->rule.service_account, text);
	return 0;
}

static int rule_action(const struct reader *r, const yaml_node_t *node, void *target)
{
	struct draft *draft = target;
	size_t action = 0;
	int ret = reader_word(r, node, "policy action", action_names, ARRAY_SIZE(action_names),
			      &action);

	draft->rule.action = (enum config_policy_action)action;
	draft->has_action = ret == 0;
	return ret;
}

/* An exemption hands out the node's own credentials: it must say to whom. */
static int check_exemption(const struct reader *r, const yaml_node_t *node,
			   const struct config_policy_rule *rule)
{
	if (rule->action != CONFIG_POLICY_EXEMPT || rule->name_space[0])
		return 0;
	if (!rule->service_account[0])
		return reader_bad(r, node, "this rule would exempt every pod; give \"namespace\"");
	return reader_bad(r, node,
			  "serviceAccount \"%.64s\" without a namespace would be exempt, and any "
			  "namespace could make such a service account; give \"namespace\" too",
			  rule->service_account);
}

static int check_reachable(const struct reader *r, const yaml_node_t *node,
			   const struct config *config, const struct config_policy_rule *rule)
{
	for (size_t i = 0; i < config->n_policy; i++) {
		const struct config_policy_rule *above = &config->policy[i];

		if (!matches(above->name_space, rule->name_space) ||
		    !matches(above->service_account, rule->service_account))
			continue;
		if (!strcmp(above->name_space, rule->name_space) &&
		    !strcmp(above->service_account, rule->service_account))
			return reader_bad(r, node,
					  "this rule selects the same pods as the one in line "
					  "%zu; remove one",
					  above->line);
		return reader_bad(r, node,
				  "this rule is never reached: the one in line %zu selects all of "
				  "its pods; put it above that one, or remove it",
				  above->line);
	}
	return 0;
}

int config_policy_read(const struct reader *r, const yaml_node_t *node, void *target)
{
	static const struct reader_key keys[] = {{"namespace", rule_namespace},
						 {"serviceAccount", rule_service_account},
						 {"action", rule_action}};
	struct draft draft = {.rule.line = reader_line(node)};
	struct config *config = target;
	int ret = reader_mapping(r, node, keys, ARRAY_SIZE(keys), &draft);

	if (ret < 0)
		return ret;
	if (!draft.has_action)
		return reader_bad(r, node, "a policy rule needs \"action\"");
	ret = check_exemption(r, node, &draft.rule);
	if (ret == 0)
		ret = check_reachable(r, node, config, &draft.rule);
	if (ret < 0)
		return ret;
	if (config->n_policy == CONFIG_MAX_POLICY)
		return reader_bad(r, node, "more than %d policy rules", CONFIG_MAX_POLICY);
	config->policy[config->n_policy++] = draft.rule;
	return 0;
}
