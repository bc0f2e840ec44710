// SPDX-License-Identifier: Apache-2.0
#include "read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

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
	return pc_err_set(src->err, -EINVAL, "%s:%u: %s", src->name, node->line, text);
}

const char *yml_text(const struct yml_node *node)
{
	/* "enforce\0d" must not pass as "enforce" */
	return node->kind == YML_SCALAR && strlen(node->text) == node->len ? node->text : NULL;
}

static bool is_key(const struct yml_node *node, const char *name)
{
	const char *text = yml_text(node);

	return text && !strcmp(text, name);
}

const struct yml_node *yml_get(const struct yml_node *mapping, const char *key)
{
	for (const struct yml_node *name = mapping->first; name; name = name->next->next)
		if (is_key(name, key))
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
		if (is_key(name, keys[i].name))
			return &keys[i];
	return NULL;
}

static int read_value(const struct yml_source *src, const struct yml_key *key,
		      const struct yml_node *value, void *target)
{
	const char *text;

	if (key->read)
		return key->read(src, value, target);
	text = yml_text(value);
	if (!text || !key->valid(text))
		return yml_bad(src, value, "bad value of '%s'; write %s", key->name, key->wants);
	*(const char **)((char *)target + key->offset) = text;
	return 0;
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

int yml_number(const struct yml_source *src, const struct yml_node *node, const char *what,
	       uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *text = yml_text(node);
	uint64_t number;

	if (!text || parse_u64(text, max, &number) < 0 || number < min)
		return yml_bad(src, node, "%s \"%.64s\" is not a number from %llu to %llu", what,
			       shown(src, node), (unsigned long long)min, (unsigned long long)max);
	*ret = number;
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

int yml_word(const struct yml_source *src, const struct yml_node *node, const char *what,
	     const char *const words[], size_t n, size_t *ret)
{
	char list[128];

	for (size_t i = 0; i < n; i++) {
		if (words[i] && is_key(node, words[i])) {
			*ret = i;
			return 0;
		}
	}
	return yml_bad(src, node, "%s \"%.64s\" is not %s", what, shown(src, node),
		       word_list(words, n, list, sizeof(list)));
}
