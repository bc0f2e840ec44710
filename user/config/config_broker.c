// SPDX-License-Identifier: Apache-2.0
/* The section broker: of the configuration file. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/config_section.h"

#define AUDIENCE "podcred-broker"

static const char *const away_words[] = {
	[CONFIG_API_AWAY_REFUSE] = "refuse",
	[CONFIG_API_AWAY_KEYS] = "jwks",
};

void config_broker_default(struct config_broker *ret)
{
	*ret = (struct config_broker){.audience = AUDIENCE};
}

static bool is_audience(const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c < 0x21 || *c > 0x7e)
			return false;
	return *text;
}

/* "podcred/podcred": a namespace, and a service account in it. */
static int account_item(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct config_accounts *accounts = target;
	const char *text = yml_text(node) ?: "", *slash = strchr(text, '/');
	struct config_account *to = &accounts->v[accounts->n];

	if (!slash || !k8s_is_label(text, (size_t)(slash - text)) ||
	    !k8s_is_subdomain(slash + 1, strlen(slash + 1)))
		return yml_bad(src, node,
			       "bad service account; write NAMESPACE/NAME, as podcred/podcred");
	if (accounts->n == CONFIG_MAX_ACCOUNTS)
		return yml_bad(src, node, "more than %d service accounts", CONFIG_MAX_ACCOUNTS);
	snprintf(to->name_space, sizeof(to->name_space), "%.*s", (int)(slash - text), text);
	snprintf(to->name, sizeof(to->name), "%s", slash + 1);
	accounts->n++;
	return 0;
}

static int read_agents(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return yml_list(src, node, "agents", account_item,
			&((struct config_broker *)target)->agents);
}

static int read_control(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return yml_list(src, node, "control", account_item,
			&((struct config_broker *)target)->control);
}

int config_broker_read(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_REQUIRED("agents", read_agents),
		YML_KEY("control", read_control),
		YML_COPY("audience", struct config_broker, audience, is_audience,
			 "an audience without spaces"),
		YML_WORD("whenApiIsAway", struct config_broker, when_api_is_away, away_words),
	};
	struct config *config = target;

	config->broker.given = true;
	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), &config->broker);
}
