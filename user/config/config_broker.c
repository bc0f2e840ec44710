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

/* As IAM takes it for an OIDC provider, whose ARN ends with host and path. */
static bool is_issuer_url(const char *url)
{
	static const char https[] = "https://";
	const char *host = url + sizeof(https) - 1;

	if (strncmp(url, https, sizeof(https) - 1) != 0 || !config_is_printable(url))
		return false;
	return *host && *host != '/' && !strpbrk(host, ":?#\"\\<>@%") && !strstr(host, "//") &&
	       url[strlen(url) - 1] != '/';
}

static bool is_path(const char *path)
{
	return *path == '/' && config_is_printable(path);
}

#define ISSUER(name_, member_, valid_, wants_)                                                     \
	{                                                                                          \
		.name = (name_), YML_MEMBER(struct config_broker, member_), .valid = (valid_),     \
		.wants = (wants_), .copied = true, .required = true                                \
	}

static int read_issuer(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		ISSUER("url", issuer.url, is_issuer_url,
		       "an https URL of 255 characters at most, without port, query and slash at "
		       "the end, as https://oidc.example.com/demo"),
		ISSUER("keys", issuer.keys, is_path,
		       "the absolute path of a file with private keys"),
	};

	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), target);
}

int config_broker_check(const struct yml_source *src, const struct yml_node *root,
			const struct config *config)
{
	bool issues = config->credentials.source == CONFIG_SOURCE_ISSUER;

	if (issues && !config->broker.issuer.url[0])
		return yml_bad(
			src, yml_get(root, "credentials"),
			"the source issuer needs to know who it is, and its keys; add broker: "
			"{issuer: {url: https://oidc.example.com/demo, keys: FILE}}");
	if (!issues && config->broker.issuer.url[0])
		return yml_bad(src, yml_get(root, "broker"),
			       "broker.issuer makes tokens for the source issuer only; write "
			       "credentials: {source: issuer}, or remove it");
	return 0;
}

int config_broker_read(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_REQUIRED("agents", read_agents),
		YML_KEY("control", read_control),
		YML_COPY("audience", struct config_broker, audience, config_is_printable,
			 "an audience without spaces"),
		YML_WORD("whenApiIsAway", struct config_broker, when_api_is_away, away_words),
		YML_KEY("issuer", read_issuer),
	};
	struct config *config = target;

	config->broker.given = true;
	return yml_mapping(src, node, keys, ARRAY_SIZE(keys), &config->broker);
}
