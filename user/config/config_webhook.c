// SPDX-License-Identifier: Apache-2.0
/* The section webhook: of the configuration file. */
#include <string.h>

#include "base/cleanup.h"
#include "config/config_section.h"

#define EXPIRATION_MIN 600 /* as the API server has it */
#define EXPIRATION_MAX 86400

static const char *const style_words[] = {
	[CONFIG_WEBHOOK_CONTAINER] = "container",
	[CONFIG_WEBHOOK_WEB_IDENTITY] = "webIdentity",
};
static const char *const irsa_words[] = {"respect", "override"};
static const char *const family_words[] = {"IPv4", "IPv6"};

void config_webhook_default(struct config_webhook *ret)
{
	*ret = (struct config_webhook){.expiration = EXPIRATION_MAX};
}

static bool is_region(const char *text)
{
	return *text && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

static bool is_config_map(const char *text)
{
	const char *slash = strchr(text, '/');

	return slash && k8s_is_label(text, (size_t)(slash - text)) &&
	       k8s_is_subdomain(slash + 1, strlen(slash + 1));
}

int config_webhook_read(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_WORD("style", struct config_webhook, style, style_words),
		YML_WORD("irsa", struct config_webhook, override_irsa, irsa_words),
		YML_WORD("ipFamily", struct config_webhook, ipv6, family_words),
		YML_COPY("region", struct config_webhook, region, is_region,
			 "the name of a region, as eu-west-1"),
		YML_COPY("stockConfigMap", struct config_webhook, stock_config_map, is_config_map,
			 "NAMESPACE/NAME of a ConfigMap"),
		YML_NUMBER("tokenExpirationSeconds", struct config_webhook, expiration,
			   EXPIRATION_MAX),
	};
	struct config_webhook *webhook = &((struct config *)target)->webhook;
	int r = yml_mapping(src, node, keys, ARRAY_SIZE(keys), webhook);

	if (r == 0 && webhook->expiration < EXPIRATION_MIN)
		return yml_bad(src, node, "tokenExpirationSeconds is %u; write %d to %d",
			       webhook->expiration, EXPIRATION_MIN, EXPIRATION_MAX);
	return r;
}
