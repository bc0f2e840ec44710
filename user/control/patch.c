// SPDX-License-Identifier: Apache-2.0
#include "control/patch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define PATH_SIZE 256

/* ---- applying ---- */

/* The next reference token of a pointer, without its escapes. *path moves to the '/' behind it, or the end. */
static int next_token(const char **path, char ret[PATH_SIZE])
{
	const char *at = *path;
	size_t n = 0;

	if (*at++ != '/')
		return -EINVAL;
	while (*at && *at != '/') {
		char c = *at++;

		if (c == '~') {
			if (*at != '0' && *at != '1')
				return -EINVAL;
			c = *at++ == '0' ? '~' : '/';
		}
		if (n + 1 >= PATH_SIZE)
			return -EINVAL;
		ret[n++] = c;
	}
	ret[n] = 0;
	*path = at;
	return 0;
}

/* 0 to max, without leading zeros. */
static int index_of(const char *token, size_t max, size_t *ret)
{
	uint64_t value;

	if ((*token == '0' && token[1]) || parse_u64(token, max, &value) < 0)
		return -EINVAL;
	*ret = (size_t)value;
	return 0;
}

static json_t *child_of(json_t *parent, const char *token)
{
	size_t index;

	if (json_is_object(parent))
		return json_object_get(parent, token);
	if (json_is_array(parent) && json_array_size(parent) &&
	    index_of(token, json_array_size(parent) - 1, &index) == 0)
		return json_array_get(parent, index);
	return NULL;
}

/* The object or array that holds what path means, and the name or index of that in it. */
static int find_parent(json_t *document, const char *path, json_t **ret, char ret_token[PATH_SIZE])
{
	json_t *parent = document;
	int r = next_token(&path, ret_token);

	while (r == 0 && *path) {
		parent = child_of(parent, ret_token);
		if (!parent)
			return -EINVAL;
		r = next_token(&path, ret_token);
	}
	*ret = parent;
	return r;
}

static int add(json_t *parent, const char *token, json_t *value)
{
	size_t index = json_array_size(parent);

	if (json_is_object(parent))
		return json_object_set(parent, token, value) < 0 ? -ENOMEM : 0;
	if (!json_is_array(parent))
		return -EINVAL;
	if (strcmp(token, "-") != 0 && index_of(token, index, &index) < 0)
		return -EINVAL;
	return json_array_insert(parent, index, value) < 0 ? -ENOMEM : 0;
}

static int take_out(json_t *parent, const char *token)
{
	size_t index;

	if (!child_of(parent, token))
		return -EINVAL;
	if (json_is_object(parent))
		return json_object_del(parent, token) < 0 ? -EINVAL : 0;
	return index_of(token, json_array_size(parent), &index)
		       ?: json_array_remove(parent, index) < 0 ? -EINVAL
							       : 0;
}

static int apply_one(json_t *document, const json_t *operation)
{
	const char *op = json_string_value(json_object_get(operation, "op")),
		   *path = json_string_value(json_object_get(operation, "path"));
	json_t *value = json_object_get(operation, "value"), *parent, *copy;
	char token[PATH_SIZE];
	int r;

	if (!op || !path || find_parent(document, path, &parent, token) < 0)
		return -EINVAL;
	if (!strcmp(op, "remove"))
		return take_out(parent, token);
	if (strcmp(op, "add") != 0 || !value)
		return -EINVAL;
	/* else a later operation would change the value of this one */
	copy = json_deep_copy(value);
	r = copy ? add(parent, token, copy) : -ENOMEM;
	json_decref(copy);
	return r;
}

int patch_apply(json_t *document, const json_t *operations)
{
	size_t i;
	json_t *operation;
	int r = 0;

	json_array_foreach (operations, i, operation) {
		r = apply_one(document, operation);
		if (r < 0)
			break;
	}
	return r;
}

/* ---- making ---- */

static void append(struct patch *patch, json_t *operation)
{
	if (!patch->error && !operation)
		patch->error = -ENOMEM;
	if (!patch->error)
		patch->error = apply_one(patch->document, operation);
	if (!patch->error && !patch->operations && !(patch->operations = json_array()))
		patch->error = -ENOMEM;
	if (!patch->error && json_array_append(patch->operations, operation) < 0)
		patch->error = -ENOMEM;
	json_decref(operation);
}

/* value is taken; NULL: there is none. */
__attribute__((format(printf, 2, 0))) static json_t *make(const char *op, const char *fmt,
							  va_list args, json_t *value)
{
	char path[PATH_SIZE];
	int n = vsnprintf(path, sizeof(path), fmt, args);

	if (n < 0 || (size_t)n >= sizeof(path)) {
		json_decref(value);
		return NULL;
	}
	return value ? json_pack("{s:s, s:s, s:o}", "op", op, "path", path, "value", value)
		     : json_pack("{s:s, s:s}", "op", op, "path", path);
}

void patch_add(struct patch *patch, json_t *value, const char *path, ...)
{
	va_list args;

	va_start(args, path);
	append(patch, value ? make("add", path, args, value) : NULL);
	va_end(args);
}

void patch_remove(struct patch *patch, const char *path, ...)
{
	va_list args;

	va_start(args, path);
	append(patch, make("remove", path, args, NULL));
	va_end(args);
}

bool patch_is_empty(const struct patch *patch)
{
	return !json_array_size(patch->operations);
}

void patch_done(struct patch *patch)
{
	json_decref(patch->operations);
	patch->operations = NULL;
}
