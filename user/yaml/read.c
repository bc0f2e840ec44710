// SPDX-License-Identifier: Apache-2.0
#include "yaml/read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

/* What it quotes is the file's, line feeds included; a message is one line. */
int yml_bad(const struct yml_source *src, const struct yml_node *node, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return src->lineless
		       ? pc_err_set(src->err, -EINVAL, "%s: %s", src->name, text)
		       : pc_err_set(src->err, -EINVAL, "%s:%u: %s", src->name, node->line, text);
}

const char *yml_text(const struct yml_node *node)
{
	/* "enforce\0d" must not pass as "enforce" */
	return node->kind == YML_SCALAR && strlen(node->text) == node->len ? node->text : NULL;
}

static bool is_word(const struct yml_node *node, const char *name)
{
	const char *text = yml_text(node);

	return text && !strcmp(text, name);
}

const struct yml_node *yml_get(const struct yml_node *mapping, const char *key)
{
	for (const struct yml_node *name = mapping->first; name; name = name->next->next)
		if (is_word(name, key))
			return name->next;
	return NULL;
}

/* Keys are typed by people and never look like a key id, secret or token; anything else might be
 * a value that lost its place. */
static bool looks_like_key(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-");

	return n && n <= 24 && !s[n];
}

static const char *shown(const struct yml_source *src, const struct yml_node *node)
{
	const char *text = yml_text(node) ?: "";

	return src->secret && !looks_like_key(text) ? "(hidden, it may be a secret)" : text;
}

static const char *key_list(const struct yml_key *keys, size_t n, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "",
					 keys[i].name);
	return buf;
}

static const struct yml_key *find_key(const struct yml_key *keys, size_t n,
				      const struct yml_node *name)
{
	for (size_t i = 0; i < n; i++)
		if (is_word(name, keys[i].name))
			return &keys[i];
	return NULL;
}

/* "a, b or c" */
static const char *word_list(const char *const words[], size_t n, char *buf, size_t size)
{
	size_t used = 0, last = 0;

	for (size_t i = 0; i < n; i++)
		last = words[i] ? i : last;
	for (size_t i = 0; i <= last && used < size; i++)
		if (words[i])
			used += (size_t)snprintf(buf + used, size - used, "%s%s",
						 !used	     ? ""
						 : i == last ? " or "
							     : ", ",
						 words[i]);
	return buf;
}

int yml_word(const struct yml_source *src, const struct yml_node *node, const char *what,
	     const char *const words[], size_t n, uint64_t *ret)
{
	char list[128] = "";

	for (size_t i = 0; i < n; i++) {
		if (words[i] && is_word(node, words[i])) {
			*ret = i;
			return 0;
		}
	}
	return yml_bad(src, node, "%s \"%.64s\" is not %s", what, shown(src, node),
		       word_list(words, n, list, sizeof(list)));
}

static int read_text(const struct yml_source *src, const struct yml_key *key,
		     const struct yml_node *value, void *member)
{
	const char *text = yml_text(value);

	if (!text || !key->valid(text) || (key->copied && value->len >= key->size))
		return yml_bad(src, value, "bad value of '%s'; write %s", key->name, key->wants);
	if (key->copied)
		memcpy(member, text, value->len + 1);
	else
		memcpy(member, &text, sizeof(text));
	return 0;
}

static int read_number(const struct yml_source *src, const struct yml_key *key,
		       const struct yml_node *value, uint64_t *ret)
{
	const char *text = yml_text(value);

	if (!text || parse_u64(text, key->max, ret) < 0 || !*ret)
		return yml_bad(src, value, "%s \"%.64s\" is not a number from 1 to %llu", key->name,
			       shown(src, value), (unsigned long long)key->max);
	return 0;
}

static void store(void *to, size_t size, uint64_t number)
{
	const uint8_t byte = (uint8_t)number;
	const uint16_t half = (uint16_t)number;
	const uint32_t word = (uint32_t)number;

	memcpy(to,
	       size == 1   ? (const void *)&byte
	       : size == 2 ? (const void *)&half
	       : size == 4 ? (const void *)&word
			   : (const void *)&number,
	       size);
}

static int read_value(const struct yml_source *src, const struct yml_key *key,
		      const struct yml_node *value, void *target)
{
	void *member = (char *)target + key->offset;
	uint64_t number = 0;
	int r;

	if (key->read)
		return key->read(src, value, target);
	if (key->valid)
		return read_text(src, key, value, member);
	r = key->words ? yml_word(src, value, key->name, key->words, key->n_words, &number)
		       : read_number(src, key, value, &number);
	if (r == 0)
		store(member, key->size, number);
	return r;
}

static int check_missing(const struct yml_source *src, const struct yml_node *node,
			 const struct yml_key *keys, size_t n, unsigned seen)
{
	for (size_t i = 0; i < n; i++)
		if (keys[i].required && !(seen & 1U << i))
			return yml_bad(src, node, "missing key '%s'; add it", keys[i].name);
	return 0;
}

int yml_mapping(const struct yml_source *src, const struct yml_node *node,
		const struct yml_key *keys, size_t n, void *target)
{
	char list[256];
	unsigned seen = 0;

	key_list(keys, n, list, sizeof(list));
	if (node->kind != YML_MAPPING)
		return yml_bad(src, node, "expected a mapping with %s; write \"key: value\" lines",
			       list);
	for (const struct yml_node *name = node->first; name; name = name->next->next) {
		const struct yml_key *key = find_key(keys, n, name);
		int r;

		if (!key)
			return yml_bad(src, name, "unknown key \"%.64s\"; known are %s",
				       yml_text(name) ? shown(src, name) : "(not a word)", list);
		if (seen & 1U << (key - keys))
			return yml_bad(src, name, "key \"%s\" is there twice; remove one",
				       key->name);
		seen |= 1U << (key - keys);
		r = read_value(src, key, name->next, target);
		if (r < 0)
			return r;
	}
	return check_missing(src, node, keys, n, seen);
}

int yml_list(const struct yml_source *src, const struct yml_node *node, const char *key,
	     int (*item)(const struct yml_source *, const struct yml_node *, void *), void *target)
{
	if (node->kind != YML_LIST)
		return yml_bad(src, node,
			       "expected a list for \"%s\"; write lines that begin with \"- \"",
			       key);
	for (const struct yml_node *i = node->first; i; i = i->next) {
		int r = item(src, i, target);

		if (r < 0)
			return r;
	}
	return 0;
}
