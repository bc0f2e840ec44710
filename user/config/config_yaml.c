// SPDX-License-Identifier: Apache-2.0
/* The file as YAML: walked node by node, since each complaint names its line. */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "cleanup.h"
#include "file.h"
#include "parse.h"

#define FILE_MAX (1 << 20)

struct reader {
	const char *path;
	yaml_document_t *doc;
	struct pc_err *err;
};

__attribute__((format(printf, 3, 4))) static int bad(const struct reader *r,
						     const yaml_node_t *node, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return pc_err_set(r->err, -EINVAL, "%s:%zu: %s", r->path, node->start_mark.line + 1, text);
}

static const char *scalar(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

/* A key that a mapping may have, and what to do with its value. */
struct key {
	const char *name;
	int (*read)(const struct reader *r, const yaml_node_t *value, void *target);
};

static const char *key_list(const struct key *keys, size_t n, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "",
					 keys[i].name);
	return buf;
}

static const struct key *find_key(const struct key *keys, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (name && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int read_mapping(const struct reader *r, const yaml_node_t *node, const struct key *keys,
			size_t n, void *target)
{
	const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
	char list[256];
	unsigned seen = 0;

	if (node->type != YAML_MAPPING_NODE)
		return bad(r, node, "expected a mapping with %s",
			   key_list(keys, n, list, sizeof(list)));
	for (const yaml_node_pair_t *p = pairs; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *name = yaml_document_get_node(r->doc, p->key);
		const struct key *key = find_key(keys, n, scalar(name));
		int ret;

		if (!key)
			return bad(r, name, "unknown key \"%s\"; known are %s",
				   scalar(name) ?: "(not a word)",
				   key_list(keys, n, list, sizeof(list)));
		if (seen & 1U << (key - keys))
			return bad(r, name, "key \"%s\" is there twice; remove one", key->name);
		seen |= 1U << (key - keys);
		ret = key->read(r, yaml_document_get_node(r->doc, p->value), target);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int read_sequence(const struct reader *r, const yaml_node_t *node,
			 int (*item)(const struct reader *, const yaml_node_t *, void *),
			 void *target)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return bad(r, node, "expected a list (lines that begin with \"- \")");
	for (const yaml_node_item_t *i = node->data.sequence.items.start;
	     i < node->data.sequence.items.top; i++) {
		int ret = item(r, yaml_document_get_node(r->doc, *i), target);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int read_action(const struct reader *r, const yaml_node_t *node, enum config_action *ret)
{
	const char *text = scalar(node);

	for (int i = CONFIG_ALLOW; text && i <= CONFIG_DENY; i++) {
		if (!strcmp(text, config_action_name((enum config_action)i))) {
			*ret = (enum config_action)i;
			return 0;
		}
	}
	return bad(r, node, "action \"%s\" is not allow, redirect or deny", text ?: "");
}

static int read_number(const struct reader *r, const yaml_node_t *node, const char *what,
		       uint64_t max, uint64_t *ret)
{
	const char *text = scalar(node);

	if (!text || parse_u64(text, max, ret) < 0 || *ret == 0)
		return bad(r, node, "%s \"%s\" is not a number from 1 to %llu", what, text ?: "",
			   (unsigned long long)max);
	return 0;
}

static int port_port(const struct reader *r, const yaml_node_t *node, void *target)
{
	struct config_port *port = target;
	uint64_t value = 0;
	int ret = read_number(r, node, "port", 65535, &value);

	if (ret == 0)
		port->port = (uint16_t)value;
	return ret;
}

static int port_protocol(const struct reader *r, const yaml_node_t *node, void *target)
{
	struct config_port *port = target;
	const char *text = scalar(node);

	if (text && !strcmp(text, "tcp"))
		port->protocol = IPPROTO_TCP;
	else if (text && !strcmp(text, "udp"))
		port->protocol = IPPROTO_UDP;
	else
		return bad(r, node, "protocol \"%s\" is not tcp or udp", text ?: "");
	return 0;
}

static int port_action(const struct reader *r, const yaml_node_t *node, void *target)
{
	return read_action(r, node, &((struct config_port *)target)->action);
}

static int dest_port(const struct reader *r, const yaml_node_t *node, void *target)
{
	static const struct key keys[] = {
		{"port", port_port}, {"protocol", port_protocol}, {"action", port_action}};
	struct config_port port = {.protocol = IPPROTO_TCP, .action = CONFIG_REDIRECT};
	struct config_destination *dest = target;
	int ret = read_mapping(r, node, keys, ARRAY_SIZE(keys), &port);

	if (ret < 0)
		return ret;
	if (!port.port)
		return bad(r, node, "a port entry needs \"port\"");
	if (port.protocol != IPPROTO_TCP && port.action == CONFIG_REDIRECT)
		return bad(r, node, "only tcp can be redirected; write action: deny or allow");
	for (size_t i = 0; i < dest->n_ports; i++)
		if (dest->ports[i].port == port.port && dest->ports[i].protocol == port.protocol)
			return bad(r, node, "port %u is there twice; remove one", port.port);
	if (dest->n_ports == CONFIG_MAX_PORTS)
		return bad(r, node, "more than %d ports for one address", CONFIG_MAX_PORTS);
	dest->ports[dest->n_ports++] = port;
	return 0;
}

static int dest_address(const struct reader *r, const yaml_node_t *node, void *target)
{
	struct config_destination *dest = target;
	const char *text = scalar(node);

	if (!text || net_prefix_parse(text, &dest->prefix, &dest->bits) < 0 || !dest->bits)
		return bad(r, node,
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
	return read_sequence(r, node, dest_port, target);
}

static int config_destination(const struct reader *r, const yaml_node_t *node, void *target)
{
	static const struct key keys[] = {
		{"address", dest_address}, {"action", dest_action}, {"ports", dest_ports}};
	struct config_destination dest = {.action = CONFIG_DENY};
	struct config *config = target;
	int ret = read_mapping(r, node, keys, ARRAY_SIZE(keys), &dest);

	if (ret < 0)
		return ret;
	if (!dest.bits)
		return bad(r, node, "a destination needs \"address\"");
	if (dest.action == CONFIG_REDIRECT)
		return bad(r, node, "redirect needs a port: list it under \"ports\"");
	if (dest.n_ports && dest.bits != 128)
		return bad(r, node, "\"ports\" need a single address, not a prefix");
	for (size_t i = 0; i < config->n_destinations; i++)
		if (config->destinations[i].bits == dest.bits &&
		    !memcmp(config->destinations[i].prefix.ip, dest.prefix.ip, 16))
			return bad(r, node, "this address is there twice; merge the two");
	if (config->n_destinations == CONFIG_MAX_DESTINATIONS)
		return bad(r, node, "more than %d destinations", CONFIG_MAX_DESTINATIONS);
	config->destinations[config->n_destinations++] = dest;
	return 0;
}

static int config_destinations(const struct reader *r, const yaml_node_t *node, void *target)
{
	((struct config *)target)->n_destinations = 0;
	return read_sequence(r, node, config_destination, target);
}

static int config_agent_item(const struct reader *r, const yaml_node_t *node, void *target)
{
	int ret = config_set_agent(target, scalar(node) ?: "", r->err);

	if (ret < 0)
		return pc_err_prefix(r->err, ret, "%s:%zu", r->path, node->start_mark.line + 1);
	return 0;
}

static int config_agent(const struct reader *r, const yaml_node_t *node, void *target)
{
	if (node->type == YAML_SCALAR_NODE)
		return config_agent_item(r, node, target);
	return read_sequence(r, node, config_agent_item, target);
}

static int config_max_pending(const struct reader *r, const yaml_node_t *node, void *target)
{
	uint64_t value = 0;
	int ret = read_number(r, node, "maxPendingPerPod", 16384, &value);

	if (ret == 0)
		((struct config *)target)->max_pending_per_pod = (uint32_t)value;
	return ret;
}

static int read_document(const struct reader *r, struct config *config)
{
	static const struct key keys[] = {{"agent", config_agent},
					  {"destinations", config_destinations},
					  {"maxPendingPerPod", config_max_pending}};
	const yaml_node_t *root = yaml_document_get_root_node(r->doc);

	return root ? read_mapping(r, root, keys, ARRAY_SIZE(keys), config) : 0;
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
		ret = bad(r, root, "a second document; write everything into one");
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
		return pc_err_set(err, r, "cannot read %s: %s; check the path given with --config",
				  path, strerror(-r));
	config_default(config);
	r = parse(path, text, len, config, err);
	if (r == 0)
		*ret = *config;
	return r;
}
