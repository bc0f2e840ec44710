// SPDX-License-Identifier: Apache-2.0
/* One YAML document. Plain scalars become null, boolean or integer where YAML's core schema says so;
 * all else, and everything quoted, is a string. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "err.h"
#include "parse.h"
#include "reader.h"

struct yaml_reader {
	struct reader reader;
	yaml_parser_t parser;
	size_t line; /* of the event that was read last */
};

static void cleanup_event(yaml_event_t *event)
{
	yaml_event_delete(event);
}

#define _cleanup_event_ _cleanup_(cleanup_event)

static int next_event(struct yaml_reader *yaml, yaml_event_t *ret)
{
	const yaml_parser_t *parser = &yaml->parser;

	if (yaml_parser_parse(&yaml->parser, ret)) {
		yaml->line = ret->start_mark.line + 1; /* libyaml counts from 0 */
		return 0;
	}
	memset(ret, 0, sizeof(*ret));
	if (parser->error == YAML_MEMORY_ERROR)
		return pc_err_set(yaml->reader.err, -ENOMEM, "no memory");
	/* Errors of the reader (encoding) know an offset only. */
	if (parser->error == YAML_READER_ERROR)
		return pc_err_set(yaml->reader.err, -EINVAL, "byte %zu: %s; write YAML in UTF-8",
				  parser->problem_offset, parser->problem);
	return pc_err_set(yaml->reader.err, -EINVAL, "line %zu: not YAML: %s; correct it",
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

static json_t *scalar(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	const yaml_char_t *tag = event->data.scalar.tag;

	if (tag && !tag_is(tag, "!") && !tag_is(tag, YAML_STR_TAG))
		return reader_mark("tagged");
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !tag)
		return plain_scalar(text, len);
	return json_stringn(text, len) ?: reader_mark("unreadable");
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

static enum node node_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return NODE_SCALAR;
	case YAML_SEQUENCE_START_EVENT:
		return NODE_LIST;
	case YAML_MAPPING_START_EVENT:
		return NODE_MAPPING;
	default:
		return NODE_END;
	}
}

static int next(struct reader *reader, enum node *ret, json_t **ret_value)
{
	struct yaml_reader *yaml = (struct yaml_reader *)reader;
	_cleanup_event_ yaml_event_t event = {0};
	int r = next_event(yaml, &event);

	if (r < 0)
		return r;
	/* No program writes them. Whoever does by hand must not lose what a merge would bring. */
	if (has_anchor(&event))
		return pc_err_set(
			reader->err, -EINVAL,
			"line %zu: anchors and aliases are not supported; write the value out",
			yaml->line);
	*ret = node_of(&event);
	if (*ret != NODE_SCALAR || !ret_value)
		return 0;
	*ret_value = scalar(&event);
	return *ret_value ? 0 : pc_err_set(reader->err, -ENOMEM, "no memory");
}

/* The marks of stream and document around the root. *ret_end: the stream is over. */
static int next_document(struct yaml_reader *yaml, bool *ret_end)
{
	for (;;) {
		_cleanup_event_ yaml_event_t event = {0};
		int r = next_event(yaml, &event);

		if (r < 0)
			return r;
		*ret_end = event.type == YAML_STREAM_END_EVENT;
		if (*ret_end || event.type == YAML_DOCUMENT_START_EVENT)
			return 0;
	}
}

static int load(struct yaml_reader *yaml, const struct project_shape *shape, json_t **ret)
{
	bool end;
	int r = next_document(yaml, &end);

	if (r == 0 && !end)
		r = reader_project(&yaml->reader, shape, ret);
	if (r == 0 && !end)
		r = next_document(yaml, &end);
	if (r == 0 && !end)
		return pc_err_set(yaml->reader.err, -EINVAL,
				  "line %zu: a second YAML document; write one list (kind: List) "
				  "with all pods",
				  yaml->line);
	return r;
}

int project_yaml(const char *text, size_t len, const struct project_shape *shape, json_t **ret,
		 struct pc_err *err)
{
	struct yaml_reader yaml = {.reader = {.next = next, .err = err}};
	_cleanup_json_ json_t *root = NULL;
	int r;

	if (!yaml_parser_initialize(&yaml.parser))
		return pc_err_set(err, -ENOMEM, "no memory");
	yaml_parser_set_input_string(&yaml.parser, (const unsigned char *)text, len);
	r = load(&yaml, shape, &root);
	yaml_parser_delete(&yaml.parser);
	if (r < 0)
		return r;
	*ret = root ? TAKE_PTR(root) : json_null();
	return 0;
}
