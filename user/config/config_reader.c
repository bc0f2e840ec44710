// SPDX-License-Identifier: Apache-2.0
#include "config_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

size_t reader_line(const yaml_node_t *node)
{
	return node->start_mark.line + 1;
}

/* What it quotes is the file's, line feeds included; a message is one line. */
int reader_bad(const struct reader *r, const yaml_node_t *node, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return pc_err_set(r->err, -EINVAL, "%s:%zu: %s", r->path, reader_line(node), text);
}

const char *reader_scalar(const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE)
		return NULL;
	/* "enforce\0d" must not pass as "enforce" */
	text = (const char *)node->data.scalar.value;
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

static const char *key_list(const struct reader_key *keys, size_t n, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "",
					 keys[i].name);
	return buf;
}

static const struct reader_key *find_key(const struct reader_key *keys, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (name && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

int reader_mapping(const struct reader *r, const yaml_node_t *node, const struct reader_key *keys,
		   size_t n, void *target)
{
	const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
	char list[256];
	unsigned seen = 0;

	if (node->type != YAML_MAPPING_NODE)
		return reader_bad(r, node, "expected a mapping with %s",
				  key_list(keys, n, list, sizeof(list)));
	for (const yaml_node_pair_t *p = pairs; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *name = yaml_document_get_node(r->doc, p->key);
		const struct reader_key *key = find_key(keys, n, reader_scalar(name));
		int ret;

		if (!key)
			return reader_bad(r, name, "unknown key \"%.64s\"; known are %s",
					  reader_scalar(name) ?: "(not a word)",
					  key_list(keys, n, list, sizeof(list)));
		if (seen & 1U << (key - keys))
			return reader_bad(r, name, "key \"%s\" is there twice; remove one",
					  key->name);
		seen |= 1U << (key - keys);
		ret = key->read(r, yaml_document_get_node(r->doc, p->value), target);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int reader_sequence(const struct reader *r, const yaml_node_t *node,
		    int (*item)(const struct reader *, const yaml_node_t *, void *), void *target)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return reader_bad(r, node, "expected a list (lines that begin with \"- \")");
	for (const yaml_node_item_t *i = node->data.sequence.items.start;
	     i < node->data.sequence.items.top; i++) {
		int ret = item(r, yaml_document_get_node(r->doc, *i), target);

		if (ret < 0)
			return ret;
	}
	return 0;
}

int reader_number(const struct reader *r, const yaml_node_t *node, const char *what, uint64_t max,
		  uint64_t *ret)
{
	const char *text = reader_scalar(node);

	if (!text || parse_u64(text, max, ret) < 0 || *ret == 0)
		return reader_bad(r, node, "%s \"%s\" is not a number from 1 to %llu", what,
				  text ?: "", (unsigned long long)max);
	return 0;
}

/* "a, b or c" */
static const char *word_list(const char *const words[], size_t n, char *buf, size_t size)
{
	size_t used = 0, left = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n; i++)
		left += words[i] != NULL;
	for (size_t i = 0, first = 1; i < n && used < size; i++) {
		if (!words[i])
			continue;
		left--;
		used += (size_t)snprintf(buf + used, size - used, "%s%s",
					 first	? ""
					 : left ? ", "
						: " or ",
					 words[i]);
		first = 0;
	}
	return buf;
}

int reader_word(const struct reader *r, const yaml_node_t *node, const char *what,
		const char *const words[], size_t n, size_t *ret)
{
	const char *text = reader_scalar(node);
	char list[128];

	for (size_t i = 0; text && i < n; i++) {
		if (words[i] && !strcmp(text, words[i])) {
			*ret = i;
			return 0;
		}
	}
	return reader_bad(r, node, "%s \"%.64s\" is not %s", what, text ?: "",
			  word_list(words, n, list, sizeof(list)));
}
