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
	[CONFIG_POLICY_AUDIT] = "audit",
};
static const char *const choice_words[] = {[CONFIG_NO] = "false", [CONFIG_YES] = "true"};
static const char *const imdsv2_words[] = {"optional", "required"};
static const char *const annotations_words[] = {"ignore", "tighten"};

/* An empty pattern is any name. */
static bool matches(const char *pattern, const char *name)
{
	return !pattern[0] || !strcmp(pattern, name);
}

/* ---- what it says of a pod ---- */

enum match {
	MATCH_NO,
	MATCH_MAYBE, /* it depends on labels that are not known */
	MATCH_YES,
};

static enum match match(const struct config *config, const struct config_policy_rule *rule,
			const struct config_pod *pod)
{
	if (!matches(rule->name_space, pod->name_space) ||
	    !matches(rule->service_account, pod->service_account) ||
	    (rule->host_network != CONFIG_EITHER && rule->host_network != pod->host_network))
		return MATCH_NO;
	if (!rule->n_requirements)
		return MATCH_YES;
	if (!pod->labels)
		return MATCH_MAYBE;
	return config_selector_matches(config, rule, pod->labels) ? MATCH_YES : MATCH_NO;
}

/* Only ever stricter: what a pod says of itself, whoever may make it can say. To have a session token required is
 * to be redirected, as the real service asks for none. */
static void tighten(struct config_verdict *verdict, const struct config_pod *pod)
{
	enum config_policy_action wanted = pod->asks_deny ? CONFIG_POLICY_DENY
					   : pod->asks_redirect || pod->asks_imdsv2
						   ? CONFIG_POLICY_REDIRECT
						   : CONFIG_POLICY_EXEMPT;

	verdict->annotated = wanted > verdict->action || (pod->asks_imdsv2 && !verdict->imdsv2);
	if (wanted > verdict->action)
		verdict->action = wanted;
	verdict->imdsv2 |= pod->asks_imdsv2;
}

/* rule: NULL when there is none. */
static struct config_verdict verdict_of(const struct config_policy_rule *rule,
					const struct config_pod *pod)
{
	struct config_verdict verdict = {.action = CONFIG_POLICY_REDIRECT};

	if (!rule)
		return verdict;
	verdict = (struct config_verdict){
		.action = rule->action, .imdsv2 = rule->imdsv2, .line = rule->line};
	if (rule->annotations)
		tighten(&verdict, pod);
	return verdict;
}

/* Of what may be meant. */
struct choice {
	struct config_verdict strictest, as_before;
	bool any, has_before;
};

static void consider(struct choice *choice, const struct config_verdict *verdict,
		     const struct config_verdict *before)
{
	bool imdsv2 = choice->strictest.imdsv2 || verdict->imdsv2;

	if (!choice->any || verdict->action > choice->strictest.action)
		choice->strictest = *verdict;
	choice->strictest.imdsv2 = imdsv2;
	choice->any = true;
	if (!before || choice->has_before || verdict->action != before->action ||
	    verdict->imdsv2 != before->imdsv2)
		return;
	choice->as_before = *verdict;
	choice->has_before = true;
}

struct config_verdict config_policy_for(const struct config *config, const struct config_pod *pod)
{
	struct config_verdict verdict;
	struct choice choice = {};
	enum match found = MATCH_NO;

	/* a pod without a name is nobody's exception */
	for (size_t i = 0; pod->name_space[0] && found != MATCH_YES && i < config->n_policy; i++) {
		found = match(config, &config->policy[i], pod);
		verdict = verdict_of(&config->policy[i], pod);
		if (found != MATCH_NO)
			consider(&choice, &verdict, pod->before);
	}
	verdict = verdict_of(NULL, pod);
	if (found != MATCH_YES)
		consider(&choice, &verdict, pod->before);
	return choice.has_before ? choice.as_before : choice.strictest;
}

/* ---- the file ---- */

/* A rule that is being read. */
struct draft {
	struct config_policy_rule rule;
	struct config *config;
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

static int rule_selector(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct draft *draft = target;

	return config_selector_read(src, node, draft->config, &draft->rule);
}

/* An exemption hands out the node's own credentials, and so does audit: it must say to whom. A namespace is what
 * Kubernetes lets an operator give to people; the rest is chosen by whoever may make a pod in it. */
static int check_exemption(const struct yml_source *src, const struct yml_node *node,
			   const struct config_policy_rule *rule)
{
	const char *action = rule->action == CONFIG_POLICY_AUDIT ? "audited" : "exempt";

	if (rule->action > CONFIG_POLICY_AUDIT || rule->name_space[0])
		return 0;
	if (rule->service_account[0])
		return yml_bad(
			src, node,
			"serviceAccount \"%.64s\" without a namespace would be %s, and any "
			"namespace could make such a service account; give \"namespace\" too",
			rule->service_account, action);
	if (rule->n_requirements)
		return yml_bad(src, node,
			       "pods of any namespace with these labels would be %s, and whoever "
			       "makes a pod chooses its labels; give \"namespace\" too",
			       action);
	if (rule->host_network != CONFIG_EITHER)
		return yml_bad(src, node,
			       "pods of any namespace would be %s; give \"namespace\" too", action);
	return yml_bad(src, node, "this rule would %s every pod; give \"namespace\"",
		       action_names[rule->action]);
}

/* What a rule says must come to something. */
static int check_meaning(const struct yml_source *src, const struct yml_node *node,
			 const struct config *config, const struct config_policy_rule *rule)
{
	const char *key = config_selector_conflict(config, rule);

	if (key)
		return yml_bad(src, node,
			       "no pod can be selected by this rule: what it wants of the label "
			       "\"%.64s\" contradicts itself; correct podSelector",
			       key);
	if (rule->imdsv2 && rule->action != CONFIG_POLICY_REDIRECT)
		return yml_bad(
			src, node,
			"imdsv2: required goes with action: redirect alone, as the agent is who "
			"requires it; remove one");
	if (rule->annotations && rule->action == CONFIG_POLICY_DENY)
		return yml_bad(
			src, node,
			"annotations: tighten has no effect where action is deny; remove it");
	return 0;
}

/* Whether a selects all pods of b, as far as can be told. */
static bool covers(const struct config *config, const struct config_policy_rule *a,
		   const struct config_policy_rule *b)
{
	return matches(a->name_space, b->name_space) &&
	       matches(a->service_account, b->service_account) &&
	       (a->host_network == CONFIG_EITHER || a->host_network == b->host_network) &&
	       config_selector_covers(config, a, b);
}

static int check_reachable(const struct yml_source *src, const struct yml_node *node,
			   const struct config *config, const struct config_policy_rule *rule)
{
	for (size_t i = 0; i < config->n_policy; i++) {
		const struct config_policy_rule *above = &config->policy[i];

		if (!covers(config, above, rule))
			continue;
		if (covers(config, rule, above))
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
	static const struct yml_key keys[] = {
		YML_KEY("namespace", rule_namespace),
		YML_KEY("serviceAccount", rule_service_account),
		YML_KEY("podSelector", rule_selector),
		YML_WORD("hostNetwork", struct draft, rule.host_network, choice_words),
		YML_KEY("action", rule_action),
		YML_WORD("imdsv2", struct draft, rule.imdsv2, imdsv2_words),
		YML_WORD("annotations", struct draft, rule.annotations, annotations_words)};
	struct config *config = target;
	struct draft draft = {.rule = {.line = node->line, .host_network = CONFIG_EITHER},
			      .config = config};
	int ret = yml_mapping(src, node, keys, ARRAY_SIZE(keys), &draft);

	if (ret < 0)
		return ret;
	if (!draft.has_action)
		return yml_bad(src, node, "a policy rule needs \"action\"");
	ret = check_exemption(src, node, &draft.rule);
	if (ret == 0)
		ret = check_meaning(src, node, config, &draft.rule);
	if (ret == 0)
		ret = check_reachable(src, node, config, &draft.rule);
	if (ret < 0)
		return ret;
	if (config->n_policy == CONFIG_MAX_POLICY)
		return yml_bad(src, node, "more than %d policy rules", CONFIG_MAX_POLICY);
	config->policy[config->n_policy++] = draft.rule;
	return 0;
}
