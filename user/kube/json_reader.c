// SPDX-License-Identifier: Apache-2.0
/*
 * JSON by its structure, which must be sound to the end: where a string ends is never in doubt, so
 * no text can pass for what follows it. The contents of a string are parsed by jansson, and only
 * where they are needed.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "kube/reader.h"

enum state {
	WANT_VALUE,
	WANT_FIRST, /* right behind an opening bracket */
	WANT_KEY,
	WANT_COMMA,
};

struct json_reader {
	struct reader reader;
	const char *text;
	size_t len, pos;
	enum state state;
	char *closing; /* brackets that are to come, the next one last */
	size_t depth, room;
};

static int bad(const struct json_reader *json, const char *what)
{
	size_t line = 1;

	for (size_t i = 0; i < json->pos && i < json->len; i++)
		line += json->text[i] == '\n';
	return pc_err_set(json->reader.err, -EINVAL, "line %zu: not JSON: %s; correct it", line,
			  json->pos < json->len ? what : "it ends too early");
}

/* The next byte that counts, 0 at the end (and for a NUL, which is wrong everywhere). */
static char peek(struct json_reader *json)
{
	while (json->pos < json->len && json->text[json->pos] &&
	       strchr(" \t\r\n", json->text[json->pos]))
		json->pos++;
	return json->pos < json->len ? json->text[json->pos] : '\0';
}

static int open_bracket(struct json_reader *json, char closing)
{
	if (json->depth == json->room) {
		size_t room = json->room ? json->room * 2 : 64;
		char *grown = realloc(json->closing, room);

		if (!grown)
			return pc_err_set(json->reader.err, -ENOMEM, "no memory");
		json->closing = grown;
		json->room = room;
	}
	json->closing[json->depth++] = closing;
	json->pos++;
	json->state = WANT_FIRST;
	return 0;
}

static bool in_mapping(const struct json_reader *json)
{
	return json->depth && json->closing[json->depth - 1] == '}';
}

static int decode(const struct json_reader *json, size_t start, json_t **ret_value)
{
	json_error_t error;

	if (!ret_value)
		return 0;
	*ret_value = json_loadb(json->text + start, json->pos - start,
				JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!*ret_value && json_error_code(&error) != json_error_out_of_memory)
		*ret_value = kube_reader_mark("unreadable");
	return *ret_value ? 0 : pc_err_set(json->reader.err, -ENOMEM, "no memory");
}

static int read_string(struct json_reader *json, json_t **ret_value)
{
	size_t start = json->pos++;

	for (; json->pos < json->len && json->text[json->pos] != '"'; json->pos++)
		if (json->text[json->pos] == '\\')
			json->pos++;
	if (json->pos >= json->len)
		return bad(json, "");
	json->pos++;
	return decode(json, start, ret_value);
}

/* Literals and numbers; a number may be larger than any type. */
static int read_word(struct json_reader *json, json_t **ret_value)
{
	static const char *const words[] = {"true", "false", "null"};
	size_t start = json->pos;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i]);

		if (json->len - start >= len && memcmp(json->text + start, words[i], len) == 0)
			json->pos += len;
	}
	if (json->pos == start && json->text[start] != '-' &&
	    (json->text[start] < '0' || json->text[start] > '9'))
		return bad(json, "a value is missing");
	if (json->pos == start)
		while (json->pos < json->len && json->text[json->pos] &&
		       strchr("+-.0123456789Ee", json->text[json->pos]))
			json->pos++;
	return decode(json, start, ret_value);
}

static int read_key(struct json_reader *json, json_t **ret_value)
{
	int r;

	if (peek(json) != '"')
		return bad(json, "a key is missing");
	r = read_string(json, ret_value);
	if (r < 0)
		return r;
	if (peek(json) != ':')
		return bad(json, "a colon is missing");
	json->pos++;
	json->state = WANT_VALUE;
	return 0;
}

static int read_value(struct json_reader *json, enum node *ret, json_t **ret_value)
{
	char c = peek(json);

	if (c == '{' || c == '[') {
		*ret = c == '{' ? NODE_MAPPING : NODE_LIST;
		return open_bracket(json, c == '{' ? '}' : ']');
	}
	json->state = WANT_COMMA;
	if (c == '"')
		return read_string(json, ret_value);
	return json->pos < json->len ? read_word(json, ret_value) : bad(json, "");
}

static int next(struct reader *reader, enum node *ret, json_t **ret_value)
{
	struct json_reader *json = (struct json_reader *)reader;
	bool first = json->state == WANT_FIRST;

	*ret = NODE_SCALAR;
	if (first || json->state == WANT_COMMA) {
		char c = peek(json);

		if (c && json->depth && c == json->closing[json->depth - 1]) {
			json->pos++;
			json->depth--;
			json->state = WANT_COMMA;
			*ret = NODE_END;
			return 0;
		}
		if (!first && c != ',')
			return bad(json, "a comma or a bracket is missing");
		json->pos += !first;
		json->state = in_mapping(json) ? WANT_KEY : WANT_VALUE;
	}
	return json->state == WANT_KEY ? read_key(json, ret_value)
				       : read_value(json, ret, ret_value);
}

int kube_project_json(const char *text, size_t len, const struct project_shape *shape, json_t **ret,
		      struct pc_err *err)
{
	struct json_reader json = {.reader = {.next = next, .err = err}, .text = text, .len = len};
	_cleanup_json_ json_t *root = NULL;
	int r = kube_reader_project(&json.reader, shape, &root);

	if (r == 0) {
		peek(&json);
		if (json.pos < json.len)
			r = bad(&json, "something behind its end");
	}
	free(json.closing);
	if (r == 0)
		*ret = TAKE_PTR(root);
	return r;
}
