/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as a stream of nodes, for documents that are too large for a tree, or may hold anything.
 * Anchors and aliases are refused: no program writes them, and people who write them by hand must
 * not silently lose what a merge would add.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

enum yml_kind {
	YML_SCALAR,
	YML_MAPPING, /* keys and values take turns, up to its YML_END */
	YML_LIST,
	YML_END,
	YML_DOCUMENT, /* another document begins */
	YML_EOF,
};

struct yml_event {
	enum yml_kind kind;
	size_t line, column; /* from 1 */
	const char *text; /* a scalar's, NUL-terminated; gone with the next call */
	size_t len; /* there may be NUL bytes in it */
	bool plain; /* a scalar without quotes and tag: it may be a number, true or null */
	bool tagged; /* and not as a string */
};

struct yml_stream;

/* Reads from text, which must stay. -ENOMEM. */
int yml_stream_new(const char *text, size_t len, struct yml_stream **ret);

/* -EINVAL or -ENOMEM: ret->line and ret->text say where and why; the stream is of no use any more. */
int yml_stream_next(struct yml_stream *stream, struct yml_event *ret);

/* Wipes what it has read; NULL is fine. */
void yml_stream_free(struct yml_stream *stream);

static inline void cleanup_yml_stream(struct yml_stream **stream)
{
	yml_stream_free(*stream);
}

#define _cleanup_yml_stream_ _cleanup_(cleanup_yml_stream)
