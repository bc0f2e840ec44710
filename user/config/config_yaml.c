// SPDX-License-Identifier: Apache-2.0
/* The keys of the configuration file; config_policy.c has those of its policy. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "config/config_section.h"

#define MAX_NODES 65536

static const char *const action_words[] = {
	[CONFIG_ALLOW] = "allow",
	[CONFIG_REDIRECT] = "redirect",
	[CONFIG_DENY] = "deny",
	[CONFIG_AUDIT] = "audit",
};
static const char *const protocol_words[] = {[IPPROTO_TCP] = "tcp", [IPPROTO_UDP] = "udp"};
static const char *const mode_words[] = {"enforce", "audit"};
static const char *const failure_mode_words[] = {"closed", "open"};

static int dest_port(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const struct yml_key keys[] = {
		YML_NUMBER("port", struct config_port, port, 65535),
		YML_WORD("protocol", struct config_port, protocol, protocol_words),
		YML_WORD("action", struct config_port, action, action_words)};
	struct config_port port = {.protocol = IPPROTO_TCP, .action = CONFIG_REDIRECT};
	struct config_destination *dest = target;
	int ret = yml_mapping(src, node, keys, ARRAY_SIZE(keys), &port);

	if (ret < 0)
		return ret;
	if (!port.port)
		return yml_bad(src, node, "a port entry needs \"port\"");
	if (port.protocol != IPPROTO_TCP && port.action == CONFIG_REDIRECT)
		return yml_bad(src, node,
			       "only tcp can be redirected; write action: deny, allow or audit");
	for (size_t i = 0; i < dest->n_ports; i++)
		if (dest->ports[i].port == port.port && dest->ports[i].protocol == port.protocol)
			return yml_bad(src, node, "port %u is there twice; remove one", port.port);
	if (dest->n_ports == CONFIG_MAX_PORTS)
		return yml_bad(src, node, "more than %d ports for one address", CONFIG_MAX_PORTS);
	dest->ports[dest->n_ports++] = port;
	return 0;
}

static int dest_address(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct config_destination *dest = target;
	const char *text = yml_text(node);

	if (!text || net_prefix_parse(text, &dest->prefix, &dest->bits) < 0 || !dest->bits)
		return yml_bad(
			src, node,
			"address \"%s\" is neither an IP address nor a prefix like 10.1.0.0/16 "
			"with no bits set behind it",
			text ?: "");
	return 0;
}

static int dest_ports(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return yml_list(src, node, "ports", dest_port, target);
}

static int config_destination(const struct yml_source *src, const struct yml_node *node,
			      void *target)
{
	static const struct yml_key keys[] = {
		YML_KEY("address", dest_address),
		YML_WORD("action", struct config_destination, action, action_words),
		YML_KEY("ports", dest_ports)};
	struct config_destination dest = {.action = CONFIG_DENY};
	struct config *config = target;
	int ret = yml_mapping(src, node, keys, ARRAY_SIZE(keys), &dest);

	if (ret < 0)
		return ret;
	if (!dest.bits)
		return yml_bad(src, node, "a destination needs \"address\"");
	if (dest.action == CONFIG_REDIRECT)
		return yml_bad(src, node, "redirect needs a port: list it under \"ports\"");
	if (dest.n_ports && dest.bits != 128)
		return yml_bad(src, node, "\"ports\" need a single address, not a prefix");
	for (size_t i = 0; i < config->n_destinations; i++)
		if (config->destinations[i].bits == dest.bits &&
		    !memcmp(config->destinations[i].prefix.ip, dest.prefix.ip, 16))
			return yml_bad(src, node, "this address is there twice; merge the two");
	if (config->n_destinations == CONFIG_MAX_DESTINATIONS)
		return yml_bad(src, node, "more than %d destinations", CONFIG_MAX_DESTINATIONS);
	config->destinations[config->n_destinations++] = dest;
	return 0;
}

static int config_destinations(const struct yml_source *src, const struct yml_node *node,
			       void *target)
{
	((struct config *)target)->n_destinations = 0;
	return yml_list(src, node, "destinations", config_destination, target);
}

static int config_agent_item(const struct yml_source *src, const struct yml_node *node,
			     void *target)
{
	struct pc_err err = {};
	int ret = config_set_agent(target, yml_text(node) ?: "", &err);

	return ret < 0 ? yml_bad(src, node, "%s", err.msg) : 0;
}

static int config_agent(const struct yml_source *src, const struct yml_node *node, void *target)
{
	if (node->kind == YML_SCALAR)
		return config_agent_item(src, node, target);
	return yml_list(src, node, "agent", config_agent_item, target);
}

static int config_metrics(const struct yml_source *src, const struct yml_node *node, void *target)
{
	struct pc_err err = {};
	int ret = config_set_metrics(target, yml_text(node) ?: "", &err);

	return ret < 0 ? yml_bad(src, node, "%s", err.msg) : 0;
}

static int config_policy(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return yml_list(src, node, "policy", config_policy_read, target);
}

static int parse(const struct yml_source *src, const char *text, size_t len, struct config *config)
{
	static const struct yml_key keys[] = {
		YML_KEY("agent", config_agent),
		YML_KEY("destinations", config_destinations),
		YML_KEY("policy", config_policy),
		YML_KEY("metrics", config_metrics),
		YML_KEY("credentials", config_credentials_read),
		YML_KEY("webhook", config_webhook_read),
		YML_KEY("broker", config_broker_read),
		YML_WORD("mode", struct config, audit, mode_words),
		YML_WORD("failureMode", struct config, fail_open, failure_mode_words),
		YML_NUMBER("maxPendingPerPod", struct config, max_pending_per_pod, 16384)};
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	const struct yml_node *root;
	int r = yml_tree_parse(src, text, len, MAX_NODES, &tree);

	if (r < 0)
		return r;
	root = yml_tree_root(tree);
	if (!root)
		return 0;
	r = yml_mapping(src, root, keys, ARRAY_SIZE(keys), config);
	return r ?: config_broker_check(src, root, config);
}

static int load(int fd, const char *name, struct config *ret, struct pc_err *err)
{
	const struct yml_source src = {.name = name, .err = err};
	_cleanup_free_ struct config *config = malloc(sizeof(*config));
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!config)
		return -ENOMEM;
	r = fd < 0 ? fd : file_read_fd(fd, CONFIG_FILE_MAX, &text, &len);
	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  name, strerror(-r));
	config_default(config);
	r = parse(&src, text, len, config);
	if (r == 0)
		*ret = *config;
	return r;
}

int config_load(const char *path, struct config *ret, struct pc_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return load(fd < 0 ? -errno : fd, path, ret, err);
}

int config_read(int fd, const char *name, struct config *ret, struct pc_err *err)
{
	return load(fd, name, ret, err);
}
