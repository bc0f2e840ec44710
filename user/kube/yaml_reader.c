// SPDX-License-Identifier: Apache-2.0
/*
 * One YAML document. Plain scalars become null, boolean or integer where YAML's core schema says
 * so; everything else, and everything quoted, is a string.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/parse.h"
#include "kube/reader.h"
#include "yaml/stream.h"

struct yaml_reader {
	struct reader reader;
	struct yml_stream *stream;
};

static int next_event(const struct yaml_reader *yaml, struct yml_event *ret)
{
	int r = yml_stream_next(yaml->stream, ret);

	return r < 0 ? pc_err_set(yaml->reader.err, r, "line %zu: %s", ret->line, ret->text) : 0;
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

static json_t *scalar(const struct yml_event *event)
{
	if (event->tagged)
		return kube_reader_mark("tagged");
	if (event->plain)
		return plain_scalar(event->text, event->len);
	return json_stringn(event->text, event->len) ?: kube_reader_mark("unreadable");
}

static int next(struct reader *reader, enum node *ret, json_t **ret_value)
{
	static const enum node nodes[] = {
		[YML_SCALAR] = NODE_SCALAR, [YML_MAPPING] = NODE_MAPPING, [YML_LIST] = NODE_LIST,
		[YML_END] = NODE_END,	    [YML_DOCUMENT] = NODE_END,	  [YML_EOF] = NODE_END};
	struct yml_event event;
	int r = next_event((struct yaml_reader *)reader, &event);

	if (r < 0)
		return r;
	*ret = nodes[event.kind];
	if (*ret != NODE_SCALAR || !ret_value)
		return 0;
	*ret_value = scalar(&event);
	return *ret_value ? 0 : pc_err_set(reader->err, -ENOMEM, "no memory");
}

/* *ret stays NULL when there is no document. */
static int load(struct yaml_reader *yaml, const struct project_shape *shape, json_t **ret)
{
	struct yml_event event;
	int r = kube_reader_project(&yaml->reader, shape, ret);

	if (r < 0 || !*ret)
		return r;
	r = next_event(yaml, &event);
	if (r < 0 || event.kind == YML_EOF)
		return r;
	return pc_err_set(yaml->reader.err, -EINVAL,
			  "line %zu: a second YAML document; write one list (kind: List) with all "
			  "pods",
			  event.line);
}

int kube_project_yaml(const char *text, size_t len, const struct project_shape *shape, json_t **ret,
		      struct pc_err *err)
{
	_cleanup_yml_stream_ struct yml_stream *stream = NULL;
	struct yaml_reader yaml = {.reader = {.next = next, .err = err}};
	_cleanup_json_ json_t *root = NULL;
	int r = yml_stream_new(text, len, &stream);

	if (r < 0)
		return pc_err_set(err, r, "no memory");
	yaml.stream = stream;
	r = load(&yaml, shape, &root);
	if (r < 0)
		return r;
	*ret = root ? TAKE_PTR(root) : json_null();
	return 0;
}
