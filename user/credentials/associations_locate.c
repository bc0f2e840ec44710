// SPDX-License-Identifier: Apache-2.0
/* libcyaml knows keys but not where they are once loaded; libyaml's document tree does. */
#include <string.h>
#include <yaml.h>

#include "associations_yaml.h"

/* Last match, so that a repeated key is found where it is too many. NULL: none. */
static const yaml_node_pair_t *find_pair(yaml_document_t *doc, const yaml_node_t *map,
					 const char *key)
{
	const yaml_node_pair_t *found = NULL;

	if (!map || map->type != YAML_MAPPING_NODE || !key)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *k = yaml_document_get_node(doc, p->key);

		if (k && k->type == YAML_SCALAR_NODE &&
		    !strcmp((const char *)k->data.scalar.value, key))
			found = p;
	}
	return found;
}

static yaml_node_t *find_value(yaml_document_t *doc, const yaml_node_t *map, const char *key)
{
	const yaml_node_pair_t *pair = find_pair(doc, map, key);

	return pair ? yaml_document_get_node(doc, pair->value) : NULL;
}

static yaml_node_t *find_entry(yaml_document_t *doc, long entry)
{
	yaml_node_t *root = yaml_document_get_root_node(doc), *seq;

	if (entry < 0)
		return root;
	seq = find_value(doc, root, "associations");
	if (!seq || seq->type != YAML_SEQUENCE_NODE ||
	    entry >= seq->data.sequence.items.top - seq->data.sequence.items.start)
		return NULL;
	return yaml_document_get_node(doc, seq->data.sequence.items.start[entry]);
}

static size_t line_in(yaml_document_t *doc, long entry, const char *key)
{
	const yaml_node_t *map = find_entry(doc, entry);
	const yaml_node_t *keys = find_value(doc, map, "static");
	const yaml_node_pair_t *pair = find_pair(doc, keys, key) ?: find_pair(doc, map, key);

	if (pair)
		return yaml_document_get_node(doc, pair->key)->start_mark.line + 1;
	return map ? map->start_mark.line + 1 : 0;
}

static void wipe_scalars(yaml_document_t *doc)
{
	for (yaml_node_t *n = doc->nodes.start; n < doc->nodes.top; n++)
		if (n->type == YAML_SCALAR_NODE)
			explicit_bzero(n->data.scalar.value, n->data.scalar.length);
}

size_t associations_yaml_line(const char *text, size_t len, long entry, const char *key,
			      const char **ret_problem)
{
	const char *problem = NULL;
	yaml_document_t doc;
	yaml_parser_t parser;
	size_t line = 0;

	if (!yaml_parser_initialize(&parser))
		return 0;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &doc)) {
		line = line_in(&doc, entry, key);
		wipe_scalars(&doc);
		yaml_document_delete(&doc);
	} else {
		problem = parser.problem ?: "not YAML";
		line = parser.problem_mark.line + 1;
	}
	yaml_parser_delete(&parser);
	if (ret_problem)
		*ret_problem = problem;
	return line;
}
