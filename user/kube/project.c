// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "kube/pod_json.h"
#include "kube/reader.h"

/* No shape names this key, so only a mark has it. */
#define MARK ""

json_t *kube_reader_mark(const char *defect)
{
	return json_pack("{ss}", MARK, defect);
}

const char *kube_project_defect(const json_t *value)
{
	return json_string_value(json_object_get(value, MARK));
}

static int no_memory(const struct reader *reader)
{
	return pc_err_set(reader->err, -ENOMEM, "no memory");
}

/* node is what was read of it already. Not by recursion: it may be as deep as the file is long. */
static int skip(struct reader *reader, enum node node)
{
	size_t depth = 0;

	for (;;) {
		int r;

		if (node == NODE_END)
			depth--;
		else if (node != NODE_SCALAR)
			depth++;
		if (depth == 0)
			return 0;
		r = reader->next(reader, &node, NULL);
		if (r < 0)
			return r;
	}
}

/* By length too: a key may hold NUL bytes. */
static const struct project_shape *find_member(const struct project_shape *members,
					       const json_t *key)
{
	const char *text = json_string_value(key);
	size_t len = json_string_length(key);

	for (; text && members->key; members++)
		if (strlen(members->key) == len && memcmp(members->key, text, len) == 0)
			return members;
	return NULL;
}

static int project_member(struct reader *reader, const struct project_shape *member, json_t *map)
{
	_cleanup_json_ json_t *value = NULL;
	int r = kube_reader_project(reader, member, &value);

	if (r < 0)
		return r;
	if (json_object_get(map, member->key)) { /* readers differ on which one counts */
		json_decref(value);
		value = kube_reader_mark("there twice");
	}
	return json_object_set_new(map, member->key, TAKE_PTR(value)) < 0 ? no_memory(reader) : 0;
}

/* The first one of them is named. */
static int mark_unknown(struct reader *reader, const json_t *key, json_t *map)
{
	const char *text = json_string_value(key) ?: "?";
	char quoted[POD_JSON_QUOTE_SIZE], defect[POD_JSON_QUOTE_SIZE + 64];

	if (json_object_get(map, MARK))
		return 0;
	snprintf(defect, sizeof(defect), "%s is not known to this version of podcred",
		 kube_pod_json_quote(text, quoted));
	return json_object_set_new(map, MARK, json_string(defect)) < 0 ? no_memory(reader) : 0;
}

static int project_mapping(struct reader *reader, const struct project_shape *shape, json_t *map)
{
	for (;;) {
		_cleanup_json_ json_t *key = NULL;
		const struct project_shape *member;
		enum node node;
		int r = reader->next(reader, &node, &key);

		if (r < 0 || node == NODE_END)
			return r;
		r = node == NODE_SCALAR ? 0 : skip(reader, node);
		if (r < 0)
			return r;
		member = find_member(shape->members, key);
		if (!member && shape->strict)
			r = mark_unknown(reader, key, map);
		if (member)
			r = project_member(reader, member, map);
		else if (r == 0 && (r = reader->next(reader, &node, NULL)) == 0)
			r = skip(reader, node);
		if (r < 0)
			return r;
	}
}

/* Why this member of a mapping with any keys cannot be kept, or NULL. *left: what may still come. */
static const char *any_defect(const json_t *map, const json_t *key, const json_t *value,
			      size_t *left)
{
	const char *text = json_string_value(key);
	size_t len = json_string_length(key), need = len + json_string_length(value) + 2;

	if (!text || !len || strlen(text) != len)
		return "a mapping with a key that is none";
	if (json_object_get(map, text))
		return "a mapping with a key that is there twice";
	if (need > *left)
		return "too large";
	*left -= need;
	return NULL;
}

/* In place of all that was kept, and without what is to come. */
static int give_up_any(struct reader *reader, json_t *map, const char *defect)
{
	json_object_clear(map);
	if (json_object_set_new(map, MARK, json_string(defect)) < 0)
		return no_memory(reader);
	return skip(reader, NODE_MAPPING);
}

static int project_any(struct reader *reader, json_t *map)
{
	static const struct project_shape scalar = {};
	size_t left = KUBE_PROJECT_ANY_MAX;

	for (;;) {
		_cleanup_json_ json_t *key = NULL, *value = NULL;
		const char *defect;
		enum node node;
		int r = reader->next(reader, &node, &key);

		if (r < 0 || node == NODE_END)
			return r;
		r = node == NODE_SCALAR ? 0 : skip(reader, node);
		if (r == 0)
			r = kube_reader_project(reader, &scalar, &value);
		if (r < 0)
			return r;
		defect = any_defect(map, key, value, &left);
		if (defect)
			return give_up_any(reader, map, defect);
		if (json_object_set_new(map, json_string_value(key), TAKE_PTR(value)) < 0)
			return no_memory(reader);
	}
}

static int project_list(struct reader *reader, const struct project_shape *members, json_t *list)
{
	const struct project_shape item = {.members = members};

	for (;;) {
		json_t *value = NULL;
		int r = kube_reader_project(reader, &item, &value);

		if (r < 0 || !value) /* the end */
			return r;
		if (json_array_append_new(list, value) < 0)
			return no_memory(reader);
	}
}

int kube_reader_project(struct reader *reader, const struct project_shape *shape, json_t **ret)
{
	_cleanup_json_ json_t *value = NULL;
	enum node node;
	int r = reader->next(reader, &node, &value);

	if (r < 0 || node == NODE_END)
		return r;
	if (node != NODE_SCALAR)
		value = node == NODE_LIST ? json_array() : json_object();
	if (!value)
		return no_memory(reader);
	if (node == NODE_MAPPING && shape->any)
		r = project_any(reader, value);
	else if (node == NODE_MAPPING && shape->members && !shape->list)
		r = project_mapping(reader, shape, value);
	else if (node == NODE_LIST && shape->list)
		r = project_list(reader, shape->members, value);
	else
		r = skip(reader, node);
	if (r == 0)
		*ret = TAKE_PTR(value);
	return r;
}
