// SPDX-License-Identifier: Apache-2.0
/* The keys of the configuration file; config_policy.c has those of its policy. */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "cleanup.h"
#include "config_reader.h"
#include "file.h"

#define FILE_MAX (1 << 20)

static const char *const action_words[] = {
	[CONFIG_ALLOW] = "allow",
	[CONFIG_REDIRECT] = "redirect",
	[CONFIG_DENY] = "deny",
	[CONFIG_AUDIT] = "audit",
};

static int read_action(const struct reader *r, const yaml_node_t *node, enum config_action *ret)
{
	size_t word = 0;
	int err = reader_word(r, node, "action", action_words, ARRAY_SIZE(action_words), &word);

	if (err == 0)
		*ret = (enum config_action)word;
	return err;
}

static int port_port(const struct reader *r, const yaml_node_t *node, void *target)
{
	struct config_port *port = target;
	uint64_t value = 0;
	int ret = reader_number(r, node, "port", 65535, &value);

	if (ret == 0)
		port->port = (uint16_t)value;
	return ret;
}

static int port_protocol(const struct reader *r, const yaml_node_t *node, void *target)
{
	static const char *const words[] = {"tcp", "udp"};
	struct config_port *port = target;
	size_t word = 0;
	int ret = reader_word(r, node, "protocol", words, ARRAY_SIZE(words), &word);

	port->protocol = word ? IPPROTO_UDP : IPPROTO_TCP;
	return ret;
}

static int port_action(const struct reader *r, const yaml_node_t *node, void *target)
{
	return read_action(r, node, &((struct config_port *)target)->action);
}

static int dest_port(const struct reader *r, const yaml_node_t *node, void *target)
{
	static const struct reader_key keys[] = {
		{"port", port_port}, {"protocol", port_protocol}, {"action", port_action}};
	struct config_port port = {.protocol = IPPROTO_TCP, .action = CONFIG_REDIRECT};
	struct config_destination *dest = target;
	int ret = reader_mapping(r, node, keys, ARRAY_SIZE(keys), &port);

	if (ret < 0)
		return ret;
	if (!port.port)
		return reader_bad(r, node, "a port entry needs \"port\"");
	if (port.protocol != IPPROTO_TCP && port.action == CONFIG_REDIRECT)
		return reader_bad(r, node,
				  "only tcp can be redirected; write action: deny, allow or audit");
	for (size_t i = 0; i < dest->n_ports; i++)
		if (dest->ports[i].port == port.port && dest->ports[i].protocol == port.protocol)
			return reader_bad(r, node, "port %u is there twice; remove one", port.port);
	if (dest->n_ports == CONFIG_MAX_PORTS)
		return reader_bad(r, node, "more than %d ports for one address", CONFIG_MAX_PORTS);
	dest->ports[dest->n_ports++] = port;
	return 0;
}

static int dest_address(const struct reader *r, const yaml_node_t *node, void *target)
{
	struct config_destination *dest = target;
	const char *text = reader_scalar(node);

	if (!text || net_prefix_parse(text, &dest->prefix, &dest->bits) < 0 || !dest->bits)
		return reader_bad(
			r, node,
			"address \"%s\" is neither an IP address nor a prefix like 10.1.0.0/16 "
			"with no bits set behind it",
			text ?: "");
	return 0;
}

static int dest_action(const struct reader *r, const yaml_node_t *node, void *target)
{
	return read_action(r, node, &((struct config_destination *)target)->action);
}

static int dest_ports(const struct reader *r, const yaml_node_t *node, void *target)
{
	return reader_sequence(r, node, dest_port, target);
}

static int config_destination(const struct reader *r, const yaml_node_t *node, void *target)
{
	static const struct reader_key keys[] = {
		{"address", dest_address}, {"action", dest_action}, {"ports", dest_ports}};
	struct config_destination dest = {.action = CONFIG_DENY};
	struct config *config = target;
	int ret = reader_mapping(r, node, keys, ARRAY_SIZE(keys), &dest);

	if (ret < 0)
		return ret;
	if (!dest.bits)
		return reader_bad(r, node, "a destination needs \"address\"");
	if (dest.action == CONFIG_REDIRECT)
		return reader_bad(r, node, "redirect needs a port: list it under \"ports\"");
	if (dest.n_ports && dest.bits != 128)
		return reader_bad(r, node, "\"ports\" need a single address, not a prefix");
	for (size_t i = 0; i < config->n_destinations; i++)
		if (config->destinations[i].bits == dest.bits &&
		    !memcmp(config->destinations[i].prefix.ip, dest.prefix.ip, 16))
			return reader_bad(r, node, "this address is there twice; merge the two");
	if (config->n_destinations == CONFIG_MAX_DESTINATIONS)
		return reader_bad(r, node, "more than %d destinations", CONFIG_MAX_DESTINATIONS);
	config->destinations[config->n_destinations++] = dest;
	return 0;
}

static int config_destinations(const struct reader *r, const yaml_node_t *node, void *target)
{
	((struct config *)target)->n_destinations = 0;
	return reader_sequence(r, node, config_destination, target);
}

static int config_agent_item(const struct reader *r, const yaml_node_t *node, void *target)
{
	struct pc_err err = {};
	int ret = config_set_agent(target, reader_scalar(node) ?: "", &err);

	return ret < 0 ? reader_bad(r, node, "%s", err.msg) : 0;
}

static int config_agent(const struct reader *r, const yaml_node_t *node, void *target)
{
	if (node->type == YAML_SCALAR_NODE)
		return config_agent_item(r, node, target);
	return reader_sequence(r, node, config_agent_item, target);
}

static int config_max_pending(const struct reader *r, const yaml_node_t *node, void *target)
{
	uint64_t value = 0;
	int ret = reader_number(r, node, "maxPendingPerPod", 16384, &value);

	if (ret == 0)
		((struct config *)target)->max_pending_per_pod = (uint32_t)value;
	return ret;
}

static int config_mode(const struct reader *r, const yaml_node_t *node, void *target)
{
	static const char *const words[] = {"enforce", "audit"};
	size_t word = 0;
	int ret = reader_word(r, node, "mode", words, ARRAY_SIZE(words), &word);

	((struct config *)target)->audit = word == 1;
	return ret;
}

static int config_failure_mode(const struct reader *r, const yaml_node_t *node, void *target)
{
	static const char *const words[] = {"closed", "open"};
	size_t word = 0;
	int ret = reader_word(r, node, "failureMode", words, ARRAY_SIZE(words), &word);

	((struct config *)target)->fail_open = word == 1;
	return ret;
}

static int config_policy(const struct reader *r, const yaml_node_t *node, void *target)
{
	return reader_sequence(r, node, config_policy_read, target);
}

static int read_document(const struct reader *r, struct config *config)
{
	static const struct reader_key keys[] = {{"agent", config_agent},
						 {"destinations", config_destinations},
						 {"policy", config_policy},
						 {"mode", config_mode},
						 {"failureMode", config_failure_mode},
						 {"maxPendingPerPod", config_max_pending}};
	const yaml_node_t *root = yaml_document_get_root_node(r->doc);

	return root ? reader_mapping(r, root, keys, ARRAY_SIZE(keys), config) : 0;
}

/* A second document would look like configuration and be none. */
static int read_end(const struct reader *r, yaml_parser_t *parser)
{
	yaml_document_t rest;
	const yaml_node_t *root;
	int ret = 0;

	if (!yaml_parser_load(parser, &rest))
		return pc_err_set(r->err, -EINVAL, "%s:%zu: not YAML: %s", r->path,
				  parser->problem_mark.line + 1, parser->problem ?: "unreadable");
	root = yaml_document_get_root_node(&rest);
	if (root)
		ret = reader_bad(r, root, "a second document; write everything into one");
	yaml_document_delete(&rest);
	return ret;
}

static int parse(const char *path, const char *text, size_t len, struct config *config,
		 struct pc_err *err)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	struct reader reader = {.path = path, .doc = &doc, .err = err};
	int r;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &doc)) {
		r = read_document(&reader, config);
		if (r == 0 && yaml_document_get_root_node(&doc))
			r = read_end(&reader, &parser);
		yaml_document_delete(&doc);
	} else {
		r = pc_err_set(err, -EINVAL, "%s:%zu: not YAML: %s", path,
			       parser.problem_mark.line + 1, parser.problem ?: "unreadable");
	}
	yaml_parser_delete(&parser);
	return r;
}

int config_load(const char *path, struct config *ret, struct pc_err *err)
{
	_cleanup_free_ struct config *config = malloc(sizeof(*config));
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!config)
		return -ENOMEM;
	r = file_read(path, FILE_MAX, &text, &len);
	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  path, strerror(-r));
	config_default(config);
	r = parse(path, text, len, config, err);
	if (r == 0)
		*ret = *config;
	return r;
}
