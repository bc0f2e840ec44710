// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int text_grow(struct text *t, size_t need)
{
	size_t room = t->room ? t->room : 512;
	char *data;

	while (room < need)
		room *= 2;
	data = malloc(room);
	if (!data)
		return -ENOMEM;
	if (t->data) {
		memcpy(data, t->data, t->len);
		explicit_bzero(t->data, t->len); /* realloc would leave a copy behind */
		free(t->data);
	}
	t->data = data;
	t->room = room;
	return 0;
}

static void text_put(struct text *t, const char *s, size_t len)
{
	if (t->error || !len)
		return;
	if (len > (t->max ?: TEXT_MAX) - t->len)
		t->error = -E2BIG;
	else if (t->len + len > t->room)
		t->error = text_grow(t, t->len + len);
	if (t->error)
		return;
	memcpy(t->data + t->len, s, len);
	t->len += len;
}

void text_add(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

void text_add_bytes(struct text *t, const void *data, size_t len)
{
	text_put(t, data, len);
}

void text_addf(struct text *t, const char *fmt, ...)
{
	char piece[256];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(piece, sizeof(piece), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(piece))
		t->error = t->error ?: -E2BIG;
	else
		text_put(t, piece, (size_t)len);
}

void text_add_string(struct text *t, const char *s)
{
	text_put(t, "\"", 1);
	for (; *s; s++) {
		char escape[8];

		if (*s == '"' || *s == '\\')
			text_put(t, "\\", 1);
		if ((unsigned char)*s >= 0x20) {
			text_put(t, s, 1);
			continue;
		}
		snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)(unsigned char)*s);
		text_add(t, escape);
	}
	text_put(t, "\"", 1);
}

void text_add_member(struct text *t, const char *key, const char *value)
{
	if (t->len && t->data[t->len - 1] != '{')
		text_put(t, ",", 1);
	text_add_string(t, key);
	text_put(t, ":", 1);
	text_add_string(t, value);
}

static const char *xml_entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&apos;";
	default:
		return NULL;
	}
}

void text_add_xml(struct text *t, const char *s)
{
	for (; *s; s++) {
		const char *entity = xml_entity(*s);
		bool fits = (*s >= ' ' && *s <= '~') || *s == '\t' || *s == '\n';

		if (entity)
			text_add(t, entity);
		else
			text_put(t, fits ? s : "?", 1);
	}
}

void text_add_xml_element(struct text *t, const char *tag, const char *value)
{
	text_add(t, "<");
	text_add(t, tag);
	text_add(t, ">");
	text_add_xml(t, value);
	text_add(t, "</");
	text_add(t, tag);
	text_add(t, ">");
}

int text_error(const struct text *t)
{
	return t->error;
}

char *text_string(const struct text *t)
{
	char *copy = t->error ? NULL : malloc(t->len + 1);

	if (!copy)
		return NULL;
	if (t->len)
		memcpy(copy, t->data, t->len);
	copy[t->len] = '\0';
	return copy;
}

void text_done(struct text *t)
{
	if (t->data)
		explicit_bzero(t->data, t->len);
	free(t->data);
	memset(t, 0, sizeof(*t));
}
