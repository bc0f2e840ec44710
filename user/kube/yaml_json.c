// SPDX-License-Identifier: Apache-2.0
#include "yaml_json.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "cleanup.h"
#include "err.h"
#include "parse.h"

struct reader {
	yaml_parser_t parser;
	struct pc_err *err;
};

static void cleanup_event(yaml_event_t *event)
{
	yaml_event_delete(event);
}

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_event_ _cleanup_(cleanup_event)
#define _cleanup_json_	_cleanup_(cleanup_json)

/* libyaml counts from 0. */
static size_t line_of(const yaml_event_t *event)
{
	return event->start_mark.line + 1;
}

static int next_event(struct reader *reader, yaml_event_t *ret)
{
	const yaml_parser_t *parser = &reader->parser;

	if (yaml_parser_parse(&reader->parser, ret))
		return 0;
	memset(ret, 0, sizeof(*ret));
	if (parser->error == YAML_MEMORY_ERROR)
		return pc_err_set(reader->err, -ENOMEM, "no memory");
	/* Errors of the reader (encoding) know an offset only. */
	if (parser->error == YAML_READER_ERROR)
		return pc_err_set(reader->err, -EINVAL, "byte %zu: %s; write YAML in UTF-8",
				  parser->problem_offset, parser->problem);
	return pc_err_set(reader->err, -EINVAL, "line %zu: not YAML: %s; correct it",
			  parser->problem_mark.line + 1,
			  parser->problem ? parser->problem : "syntax error");
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

/* Core schema. A number too long for 64 bits stays text: so does a uid that is all digits. */
static json_t *plain_scalar(const char *text, size_t len)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	bool minus = text[0] == '-';
	uint64_t number;

	if (is_one_of(text, nulls))
		return json_null();
	if (is_one_of(text, trues))
		return json_true();
	if (is_one_of(text, falses))
		return json_false();
	if (parse_u64(text + (minus || text[0] == '+'), INT64_MAX, &number) == 0)
		return json_integer(minus ? -(json_int_t)number : (json_int_t)number);
	return json_stringn(text, len);
}

static bool tag_is(const yaml_char_t *tag, const char *want)
{
	return tag && strcmp((const char *)tag, want) == 0;
}

static int load_scalar(struct reader *reader, const yaml_event_t *event, json_t **ret)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	const yaml_char_t *tag = event->data.scalar.tag;

	if (tag && !tag_is(tag, "!") && !tag_is(tag, YAML_STR_TAG))
		return pc_err_set(reader->err, -EINVAL, "line %zu: a tag; write the value without",
				  line_of(event));
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !tag)
		*ret = plain_scalar(text, len);
	else
		*ret = json_stringn(text, len);
	if (!*ret)
		return pc_err_set(reader->err, -EINVAL, "line %zu: not UTF-8; correct it",
				  line_of(event));
	return 0;
}

static int load_node(struct reader *reader, const yaml_event_t *event, int depth, json_t **ret);

static int load_sequence(struct reader *reader, int depth, json_t **ret)
{
	_cleanup_json_ json_t *list = json_array();

	if (!list)
		return pc_err_set(reader->err, -ENOMEM, "no memory");
	for (;;) {
		_cleanup_event_ yaml_event_t event = {0};
		json_t *item = NULL;
		int r;

		r = next_event(reader, &event);
		if (r < 0)
			return r;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		r = load_node(reader, &event, depth, &item);
		if (r < 0)
			return r;
		if (json_array_append_new(list, item) < 0)
			return pc_err_set(reader->err, -ENOMEM, "no memory");
	}
	*ret = TAKE_PTR(list);
	return 0;
}

/* event is a key of map; read its value. */
static int load_pair(struct reader *reader, const yaml_event_t *event, int depth, json_t *map)
{
	_cleanup_event_ yaml_event_t value_event = {0};
	const char *key = (const char *)event->data.scalar.value;
	json_t *value = NULL;
	int r;

	if (event->type != YAML_SCALAR_EVENT || event->data.scalar.anchor ||
	    strlen(key) != event->data.scalar.length)
		return pc_err_set(reader->err, -EINVAL,
				  "line %zu: a key that is no plain text; write a string",
				  line_of(event));
	if (json_object_get(map, key))
		return pc_err_set(reader->err, -EINVAL,
				  "line %zu: a key that this mapping has already; remove one",
				  line_of(event));
	r = next_event(reader, &value_event);
	if (r == 0)
		r = load_node(reader, &value_event, depth, &value);
	if (r < 0)
		return r;
	if (json_object_set_new(map, key, value) < 0)
		return pc_err_set(reader->err, -EINVAL, "line %zu: cannot store this key",
				  line_of(event));
	return 0;
}

static int load_mapping(struct reader *reader, int depth, json_t **ret)
{
	_cleanup_json_ json_t *map = json_object();

	if (!map)
		return pc_err_set(reader->err, -ENOMEM, "no memory");
	for (;;) {
		_cleanup_event_ yaml_event_t event = {0};
		int r;

		r = next_event(reader, &event);
		if (r < 0)
			return r;
		if (event.type == YAML_MAPPING_END_EVENT)
			break;
		r = load_pair(reader, &event, depth, map);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(map);
	return 0;
}

static bool has_anchor(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return true;
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor;
	default:
		return false;
	}
}

/* event starts a node; read to its end. */
static int load_node(struct reader *reader, const yaml_event_t *event, int depth, json_t **ret)
{
	/* With aliases a small file could stand for a huge tree, or for one without end. */
	if (has_anchor(event))
		return pc_err_set(
			reader->err, -EINVAL,
			"line %zu: anchors and aliases are not supported; write the value out",
			line_of(event));
	if (event->type == YAML_SCALAR_EVENT)
		return load_scalar(reader, event, ret);
	if (depth >= YAML_JSON_DEPTH)
		return pc_err_set(reader->err, -EINVAL,
				  "line %zu: nested more than %d deep; this is no PodList",
				  line_of(event), YAML_JSON_DEPTH);
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return load_sequence(reader, depth + 1, ret);
	return load_mapping(reader, depth + 1, ret);
}

static int load_document(struct reader *reader, json_t **ret)
{
	_cleanup_json_ json_t *root = NULL;

	for (;;) {
		_cleanup_event_ yaml_event_t event = {0};
		int r;

		r = next_event(reader, &event);
		if (r < 0)
			return r;
		switch (event.type) {
		case YAML_STREAM_END_EVENT:
			*ret = root ? TAKE_PTR(root) : json_null();
			return 0;
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (root)
				return pc_err_set(
					reader->err, -EINVAL,
					"line %zu: a second YAML document; write one list "
					"(kind: List) with all pods",
					line_of(&event));
			break;
		default:
			r = load_node(reader, &event, 0, &root);
			if (r < 0)
				return r;
		}
	}
}

int yaml_json_load(const char *text, size_t len, json_t **ret, struct pc_err *err)
{
	struct reader reader = {.err = err};
	int r;

	if (!yaml_parser_initialize(&reader.parser))
		return pc_err_set(err, -ENOMEM, "no memory");
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, len);
	r = load_document(&reader, ret);
	yaml_parser_delete(&reader.parser);
	return r;
}
