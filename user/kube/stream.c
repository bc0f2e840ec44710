// SPDX-License-Identifier: Apache-2.0
#include "kube/stream.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "kube/project.h"

/* A key, or what the list says of itself. A continue token holds the name of an object. */
#define MEMBER_MAX (64U << 10)
/* A buffer that was needed once for something large is given back. */
#define KEEP_MAX (64U << 10)

enum state {
	START,
	FIRST_KEY, /* right behind the bracket */
	KEY,
	IN_KEY,
	COLON,
	MEMBER,
	IN_MEMBER,
	AFTER_MEMBER,
	FIRST_ITEM,
	ITEM,
	IN_ITEM,
	AFTER_ITEM,
	END,
};

/* Where in a value the next byte is. */
struct scan {
	size_t depth; /* of brackets; the bits say which ones */
	bool string, escaped; /* in one; behind a backslash */
	bool word; /* a value without brackets and quotes: what follows it ends it */
	uint8_t curly[KUBE_STREAM_DEPTH / 8];
};

struct piece {
	char *data;
	size_t len, room;
	size_t max;
	bool wanted, too_large;
};

struct kube_stream {
	enum kube_stream_kind kind;
	const struct kube_stream_events *events;
	void *arg;
	int error;
	struct pc_err why;
	size_t offset; /* of the next byte */
	enum state state;
	struct scan scan;
	struct piece piece;
	bool has_items;
	json_t **member; /* where the value goes that is being read */
	json_t *list_kind, *metadata;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int bad(const struct kube_stream *stream, struct pc_err *err, const char *what)
{
	return pc_err_set(err, -EINVAL, "byte %zu of the answer: %s", stream->offset, what);
}

/* ---- pieces: what has come of a value so far ---- */

static void piece_start(struct piece *piece, bool wanted, size_t max)
{
	piece->len = 0;
	piece->max = max;
	piece->wanted = wanted;
	piece->too_large = false;
}

static int piece_add(struct piece *piece, const char *data, size_t len)
{
	size_t room = piece->room ?: 4096;
	char *grown;

	if (!piece->wanted || piece->too_large)
		return 0;
	if (len > piece->max - piece->len) {
		piece->too_large = true;
		return 0;
	}
	while (room < piece->len + len)
		room *= 2;
	if (room > piece->room) {
		grown = realloc(piece->data, room);
		if (!grown)
			return -ENOMEM;
		piece->data = grown;
		piece->room = room;
	}
	memcpy(piece->data + piece->len, data, len);
	piece->len += len;
	return 0;
}

static void piece_shrink(struct piece *piece)
{
	piece->len = 0;
	if (piece->room <= KEEP_MAX)
		return;
	free(piece->data);
	piece->data = NULL;
	piece->room = 0;
}

int kube_stream_new(enum kube_stream_kind kind, const struct kube_stream_events *events, void *arg,
		    struct kube_stream **ret)
{
	struct kube_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	stream->kind = kind;
	stream->events = events;
	stream->arg = arg;
	piece_start(&stream->piece, true, KUBE_STREAM_MAX);
	*ret = stream;
	return 0;
}

struct kube_stream *kube_stream_free(struct kube_stream *stream)
{
	if (!stream)
		return NULL;
	free(stream->piece.data);
	json_decref(stream->list_kind);
	json_decref(stream->metadata);
	free(stream);
	return NULL;
}

/* The value is whole: what has come before, and these last bytes of it. */
static int hand_over(struct kube_stream *stream, const char *data, size_t len, struct pc_err *err)
{
	struct piece *piece = &stream->piece;
	int r = 0;

	if (piece->len || len > piece->max) {
		r = piece_add(piece, data, len);
		if (r < 0)
			return r;
		data = piece->data;
		len = piece->len;
	}
	for (; len && is_space(*data); len--)
		data++;
	while (len && is_space(data[len - 1]))
		len--;
	if (piece->too_large)
		stream->events->skipped(stream->arg);
	else if (len) /* an empty line is no object */
		r = stream->events->object(stream->arg, data, len, err);
	piece_shrink(piece);
	return r < 0 ? r : 0;
}

/* ---- values: where one ends ---- */

static int scan_open(struct kube_stream *stream, bool curly, struct pc_err *err)
{
	struct scan *scan = &stream->scan;
	uint8_t bit = (uint8_t)(1 << (scan->depth % 8));

	if (scan->depth == KUBE_STREAM_DEPTH)
		return bad(stream, err, "brackets deeper than the API has them");
	if (curly)
		scan->curly[scan->depth / 8] |= bit;
	else
		scan->curly[scan->depth / 8] &= (uint8_t)~bit;
	scan->depth++;
	return 0;
}

static int scan_close(struct kube_stream *stream, bool curly, struct pc_err *err)
{
	struct scan *scan = &stream->scan;

	scan->depth--;
	if ((scan->curly[scan->depth / 8] >> (scan->depth % 8) & 1) != curly)
		return bad(stream, err, "a closing bracket of the other kind");
	return 0;
}

static int scan_start(struct kube_stream *stream, char first, struct pc_err *err)
{
	struct scan *scan = &stream->scan;

	scan->depth = 0;
	scan->string = scan->escaped = false;
	scan->word = first != '"' && first != '{' && first != '[';
	if (first && strchr("]},:", first))
		return bad(stream, err, "a value is missing");
	return 0;
}

/* In a string. 1: it ends with this byte. */
static int scan_text(struct scan *scan, char c)
{
	if (scan->escaped)
		scan->escaped = false;
	else if (c == '\\')
		scan->escaped = true;
	else if (c == '"')
		scan->string = false;
	return !scan->string && scan->depth == 0;
}

static int scan_bracket(struct kube_stream *stream, char c, struct pc_err *err)
{
	int r;

	switch (c) {
	case '"':
		stream->scan.string = true;
		return 0;
	case '{':
	case '[':
		return scan_open(stream, c == '{', err);
	case '}':
	case ']':
		r = scan_close(stream, c == '}', err);
		return r < 0 ? r : stream->scan.depth == 0;
	default:
		return 0;
	}
}

/* Takes bytes up to the end of the value; *ret: how many. 1: it has ended, 0: it goes on. */
static int scan_value(struct kube_stream *stream, const char *data, size_t len, size_t *ret,
		      struct pc_err *err)
{
	struct scan *scan = &stream->scan;
	int r = 0;
	size_t i;

	for (i = 0; i < len && r == 0; i++, stream->offset++) {
		if (scan->string)
			r = scan_text(scan, data[i]);
		else if (!scan->word)
			r = scan_bracket(stream, data[i], err);
		else if (is_space(data[i]) || (data[i] && strchr(",]}", data[i]))) {
			r = 1;
			break;
		}
	}
	*ret = i;
	return r;
}

/* ---- a list ---- */

static int keep_member(struct kube_stream *stream, struct pc_err *err)
{
	static const struct project_shape members[] = {
		{.key = "resourceVersion"}, {.key = "continue"}, {}};
	static const struct project_shape shape = {.members = members};

	if (!stream->member)
		return 0;
	if (stream->piece.too_large)
		return bad(stream, err, "what the list says of itself is too long");
	return kube_project_json(stream->piece.data, stream->piece.len, &shape, stream->member,
				 err);
}

static bool is_key(const struct kube_stream *stream, const char *key)
{
	const struct piece *piece = &stream->piece;

	return piece->len == strlen(key) + 2 && memcmp(piece->data + 1, key, piece->len - 2) == 0;
}

/* Of the key that is in the piece. */
static int choose_member(struct kube_stream *stream, struct pc_err *err)
{
	stream->member = NULL;
	if (stream->piece.too_large)
		return 0;
	if (is_key(stream, "kind"))
		stream->member = &stream->list_kind;
	if (is_key(stream, "metadata"))
		stream->member = &stream->metadata;
	if (stream->member && *stream->member)
		return bad(stream, err, "a second kind or metadata");
	return 0;
}

static int start_member(struct kube_stream *stream, char c, struct pc_err *err)
{
	bool items = !stream->piece.too_large && is_key(stream, "items");

	if (items && stream->has_items)
		return bad(stream, err, "a second list of items");
	if (items && c != '[' && c != 'n') /* an empty list may be null */
		return bad(stream, err, "items is no list");
	stream->has_items = stream->has_items || items;
	if (items && c == '[') {
		stream->state = FIRST_ITEM;
		return 1;
	}
	piece_start(&stream->piece, stream->member, MEMBER_MAX);
	stream->state = IN_MEMBER;
	return scan_start(stream, c, err);
}

static int start_item(struct kube_stream *stream, char c, struct pc_err *err)
{
	piece_start(&stream->piece, true, KUBE_STREAM_MAX);
	stream->state = IN_ITEM;
	return scan_start(stream, c, err);
}

static int start_key(struct kube_stream *stream, char c, struct pc_err *err)
{
	if (c != '"')
		return bad(stream, err, "a key is missing");
	piece_start(&stream->piece, true, MEMBER_MAX);
	stream->state = IN_KEY;
	return scan_start(stream, c, err);
}

static int expect(struct kube_stream *stream, bool right, enum state next, const char *missing,
		  struct pc_err *err)
{
	if (!right)
		return bad(stream, err, missing);
	stream->state = next;
	return 1;
}

/* A byte between values. 1: it is used up; 0: a value starts with it. */
static int step(struct kube_stream *stream, char c, struct pc_err *err)
{
	switch (stream->state) {
	case START:
		return expect(stream, c == '{', FIRST_KEY, "it is no JSON object", err);
	case FIRST_KEY:
		return c == '}' ? expect(stream, true, END, "", err) : start_key(stream, c, err);
	case KEY:
		return start_key(stream, c, err);
	case COLON:
		return expect(stream, c == ':', MEMBER, "a colon is missing", err);
	case MEMBER:
		return start_member(stream, c, err);
	case AFTER_MEMBER:
		return expect(stream, c == ',' || c == '}', c == ',' ? KEY : END,
			      "a comma or a bracket is missing", err);
	case FIRST_ITEM:
		return c == ']' ? expect(stream, true, AFTER_MEMBER, "", err)
				: start_item(stream, c, err);
	case ITEM:
		return start_item(stream, c, err);
	case AFTER_ITEM:
		return expect(stream, c == ',' || c == ']', c == ',' ? ITEM : AFTER_MEMBER,
			      "a comma or a bracket is missing", err);
	default:
		return bad(stream, err, "something behind its end");
	}
}

static bool in_value(const struct kube_stream *stream)
{
	return stream->state == IN_KEY || stream->state == IN_MEMBER || stream->state == IN_ITEM;
}

static int end_value(struct kube_stream *stream, const char *data, size_t len, struct pc_err *err)
{
	int r;

	if (stream->state == IN_ITEM) {
		stream->state = AFTER_ITEM;
		return hand_over(stream, data, len, err);
	}
	r = piece_add(&stream->piece, data, len);
	if (r == 0)
		r = stream->state == IN_KEY ? choose_member(stream, err) : keep_member(stream, err);
	stream->state = stream->state == IN_KEY ? COLON : AFTER_MEMBER;
	return r;
}

/* As far as it goes in these bytes. */
static int feed_value(struct kube_stream *stream, const char *data, size_t len, size_t *ret_used,
		      struct pc_err *err)
{
	int r = scan_value(stream, data, len, ret_used, err);

	if (r < 0)
		return r;
	return r ? end_value(stream, data, *ret_used, err)
		 : piece_add(&stream->piece, data, *ret_used);
}

static int feed_list(struct kube_stream *stream, const char *data, size_t len, struct pc_err *err)
{
	size_t used;
	int r = 0;

	for (; len && r >= 0; data += used, len -= used) {
		used = 1;
		if (in_value(stream)) {
			r = feed_value(stream, data, len, &used, err);
			continue;
		}
		r = is_space(*data) ? 1 : step(stream, *data, err);
		used = r > 0;
		stream->offset += used;
	}
	return r < 0 ? r : 0;
}

/* ---- lines ---- */

static int feed_lines(struct kube_stream *stream, const char *data, size_t len, struct pc_err *err)
{
	for (size_t used; len; data += used, len -= used) {
		const char *end = memchr(data, '\n', len);
		size_t line = end ? (size_t)(end - data) : len;
		int r = end ? hand_over(stream, data, line, err)
			    : piece_add(&stream->piece, data, line);

		if (r < 0)
			return r;
		used = line + (end != NULL);
		stream->offset += used;
		if (end)
			piece_start(&stream->piece, true, KUBE_STREAM_MAX);
	}
	return 0;
}

/* ---- both ---- */

static int fail(struct kube_stream *stream, int error, struct pc_err *err)
{
	stream->error = error;
	return pc_err_set(err, error, "%s", stream->why.msg);
}

int kube_stream_feed(struct kube_stream *stream, const char *data, size_t len, struct pc_err *err)
{
	int r = stream->error;

	if (r == 0 && stream->kind == KUBE_STREAM_LIST)
		r = feed_list(stream, data, len, &stream->why);
	else if (r == 0)
		r = feed_lines(stream, data, len, &stream->why);
	if (r == -ENOMEM && !stream->why.msg[0])
		pc_err_set(&stream->why, r, "no memory");
	return r < 0 ? fail(stream, r, err) : 0;
}

/* Not a mark, and no text with a NUL in it. */
static const char *get_text(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : "";
}

int kube_stream_end(struct kube_stream *stream, struct kube_stream_list *ret, struct pc_err *err)
{
	bool list = stream->kind == KUBE_STREAM_LIST;

	if (stream->error)
		return fail(stream, stream->error, err);
	if (list ? stream->state != END : stream->piece.len || stream->piece.too_large)
		return bad(stream, err, "it ends too early");
	if (!list)
		return 0;
	if (!stream->has_items)
		return bad(stream, err, "it has no items");
	ret->kind = get_text(stream->list_kind);
	ret->version = get_text(json_object_get(stream->metadata, "resourceVersion"));
	ret->next = get_text(json_object_get(stream->metadata, "continue"));
	return 0;
}
