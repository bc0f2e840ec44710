/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded, growing piece of text that is wiped whenever its memory is freed. Bodies with
 * credentials are written with it instead of a JSON library, whose copies of the secrets nobody
 * would wipe. Errors are sticky: write everything, then ask text_error() once.
 */
#pragma once

#include <stddef.h>

/* Unless text.max says otherwise. aws-c-auth refuses bodies of 10,000 bytes and more. */
#define TEXT_MAX 9999

struct text {
	char *data; /* not NUL-terminated */
	size_t len;
	size_t room;
	size_t max; /* 0: TEXT_MAX */
	int error;
};

void text_add(struct text *t, const char *s);

/* Any bytes. */
void text_add_bytes(struct text *t, const void *data, size_t len);

/* Up to 255 bytes; no secrets, as its buffer is not wiped. */
__attribute__((format(printf, 2, 3))) void text_addf(struct text *t, const char *fmt, ...);

/* "key":"value", with a comma in front unless it is the first of its object. value is
 * printable ASCII or UTF-8; quotes, backslashes and control bytes are escaped. */
void text_add_member(struct text *t, const char *key, const char *value);

/* "value" alone, escaped in the same way. */
void text_add_string(struct text *t, const char *value);

/* As character data of XML: escaped. What is neither printable ASCII, tab nor newline becomes a question mark. */
void text_add_xml(struct text *t, const char *s);

/* <tag>value</tag>, with value escaped in that way. */
void text_add_xml_element(struct text *t, const char *tag, const char *value);

/* 0, -ENOMEM, or -E2BIG above its bound. */
int text_error(const struct text *t);

/* A copy with its NUL, to be freed; not wiped. NULL: text_error(), or no memory. */
char *text_string(const struct text *t);

void text_done(struct text *t);
