// SPDX-License-Identifier: Apache-2.0
/*
 * The only file that uses libyaml. What it read may be secret, so all of its memory that can be
 * reached is wiped. libyaml moves a scalar while it grows: a process that cares about what its
 * freed memory holds sets mallopt(M_PERTURB).
 */
#include "yaml/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MAX_DIRECTIVES 64 /* %TAG: libyaml compares each with all that came before */

struct yml_stream {
	yaml_parser_t parser;
	yaml_event_t event; /* whose text the caller may look at */
	const char *text;
	size_t len, read;
	bool begun;
	const char *refusal; /* by read_text(): why */
	char problem[128];
};

static void drop_event(struct yml_stream *stream)
{
	yaml_event_t *event = &stream->event;

	if (event->type == YAML_SCALAR_EVENT)
		explicit_bzero(event->data.scalar.value, event->data.scalar.length);
	yaml_event_delete(event);
}

/* A byte order mark, by which libyaml would read UTF-16, and nothing else here would. */
static bool is_utf16(const struct yml_stream *stream)
{
	return stream->len >= 2 &&
	       (!memcmp(stream->text, "\xff\xfe", 2) || !memcmp(stream->text, "\xfe\xff", 2));
}

/* For libyaml, which reads all directives at once: between its reads is the only place to stop it. */
static int read_text(void *data, unsigned char *buffer, size_t size, size_t *ret_size)
{
	struct yml_stream *stream = data;
	const yaml_parser_t *parser = &stream->parser;
	size_t left = stream->len - stream->read;

	if (is_utf16(stream))
		stream->refusal = "this is UTF-16; write YAML in UTF-8";
	else if (parser->tag_directives.top - parser->tag_directives.start > MAX_DIRECTIVES)
		stream->refusal = "too many directives; is this the right file?";
	if (stream->refusal)
		return 0;
	*ret_size = size < left ? size : left;
	memcpy(buffer, stream->text + stream->read, *ret_size);
	stream->read += *ret_size;
	return 1;
}

int yml_stream_new(const char *text, size_t len, struct yml_stream **ret)
{
	struct yml_stream *stream = calloc(1, sizeof(*stream));

	if (!stream || !yaml_parser_initialize(&stream->parser)) {
		free(stream);
		return -ENOMEM;
	}
	stream->text = text;
	stream->len = len;
	yaml_parser_set_input(&stream->parser, read_text, stream);
	*ret = stream;
	return 0;
}

void yml_stream_free(struct yml_stream *stream)
{
	yaml_parser_t *parser;

	if (!stream)
		return;
	parser = &stream->parser;
	drop_event(stream);
	for (yaml_token_t *token = parser->tokens.head; token < parser->tokens.tail; token++)
		if (token->type == YAML_SCALAR_TOKEN)
			explicit_bzero(token->data.scalar.value, token->data.scalar.length);
	explicit_bzero(parser->raw_buffer.start,
		       (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
	explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
	yaml_parser_delete(parser);
	free(stream);
}

static size_t line_of(const struct yml_stream *stream, size_t offset)
{
	size_t line = 1;

	for (size_t i = 0; i < offset && i < stream->len; i++)
		line += stream->text[i] == '\n';
	return line;
}

/* libyaml's messages quote nothing. */
static int explain(struct yml_stream *stream, struct yml_event *ret)
{
	const yaml_parser_t *parser = &stream->parser;

	*ret = (struct yml_event){.line = parser->problem_mark.line + 1, .text = stream->problem};
	if (parser->error == YAML_MEMORY_ERROR) {
		ret->text = "no memory";
		return -ENOMEM;
	}
	if (stream->refusal) {
		ret->line = parser->mark.line + 1;
		ret->text = stream->refusal;
		return -EINVAL;
	}
	if (parser->error == YAML_READER_ERROR) { /* knows an offset only */
		ret->line = line_of(stream, parser->problem_offset);
		snprintf(stream->problem, sizeof(stream->problem),
			 "byte %zu: %s; write YAML in UTF-8", parser->problem_offset,
			 parser->problem);
	} else {
		snprintf(stream->problem, sizeof(stream->problem), "not YAML: %s; correct it",
			 parser->problem ?: "syntax error");
	}
	return -EINVAL;
}

static void describe_scalar(const yaml_event_t *event, struct yml_event *ret)
{
	const char *tag = (const char *)event->data.scalar.tag;

	ret->kind = YML_SCALAR;
	ret->text = (const char *)event->data.scalar.value;
	ret->len = event->data.scalar.length;
	ret->plain = !tag && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	ret->tagged = tag && strcmp(tag, "!") != 0 && strcmp(tag, YAML_STR_TAG) != 0;
}

/* Whether it has an anchor, or is an alias. */
static bool describe(const yaml_event_t *event, struct yml_event *ret)
{
	*ret = (struct yml_event){.line = event->start_mark.line + 1, /* libyaml counts from 0 */
				  .column = event->start_mark.column + 1};
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		describe_scalar(event, ret);
		return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT:
		ret->kind = YML_LIST;
		return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT:
		ret->kind = YML_MAPPING;
		return event->data.mapping_start.anchor;
	case YAML_DOCUMENT_START_EVENT:
		ret->kind = YML_DOCUMENT;
		return false;
	case YAML_STREAM_END_EVENT:
		ret->kind = YML_EOF;
		return false;
	default:
		ret->kind = YML_END;
		return event->type == YAML_ALIAS_EVENT;
	}
}

/* Marks around the nodes: the begin of the stream, of its first document, the end of each. */
static bool is_mark(struct yml_stream *stream)
{
	switch (stream->event.type) {
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return true;
	case YAML_DOCUMENT_START_EVENT:
		stream->begun = !stream->begun;
		return stream->begun;
	default:
		return false;
	}
}

int yml_stream_next(struct yml_stream *stream, struct yml_event *ret)
{
	do {
		drop_event(stream);
		if (!yaml_parser_parse(&stream->parser, &stream->event))
			return explain(stream, ret);
	} while (is_mark(stream));
	if (!describe(&stream->event, ret))
		return 0;
	ret->text = "anchors and aliases are not supported; write the value out";
	return -EINVAL;
}
