/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to user/config: between the keys of the file and the sections that other files read. */
#pragma once

#include "config/config.h"
#include "yaml/read.h"

/* One rule of policy:, checked against those before it, and added; target is struct config. */
int config_policy_read(const struct yml_source *src, const struct yml_node *node, void *target);

/* ---- config_credentials.c ---- */

void config_credentials_default(struct config_credentials *ret);

/* credentials:, over the defaults; target is struct config. */
int config_credentials_read(const struct yml_source *src, const struct yml_node *node,
			    void *target);

/* ---- config_webhook.c ---- */

void config_webhook_default(struct config_webhook *ret);

/* webhook:, over the defaults; target is struct config. */
int config_webhook_read(const struct yml_source *src, const struct yml_node *node, void *target);

/* ---- config_broker.c ---- */

void config_broker_default(struct config_broker *ret);

/* Printable ASCII without blanks, at least one character. */
bool config_is_printable(const char *text);

/* broker:, over the defaults; target is struct config. */
int config_broker_read(const struct yml_source *src, const struct yml_node *node, void *target);

/* Whether it goes with credentials:. root: of the file. */
int config_broker_check(const struct yml_source *src, const struct yml_node *root,
			const struct config *config);

/* ---- config_selector.c: podSelector ---- */

/* Adds its requirements to config->requirements; the rule is told which they are. */
int config_selector_read(const struct yml_source *src, const struct yml_node *node,
			 struct config *config, struct config_policy_rule *rule);

/* labels: of struct config_pod, known. */
bool config_selector_matches(const struct config *config, const struct config_policy_rule *rule,
			     const char *labels);

/* Whether every pod that the labels of b select is selected by those of a, as far as can be told: false says
 * nothing. */
bool config_selector_covers(const struct config *config, const struct config_policy_rule *a,
			    const struct config_policy_rule *b);

/* Two of its requirements that no pod meets both; their key, or NULL. */
const char *config_selector_conflict(const struct config *config,
				     const struct config_policy_rule *rule);
