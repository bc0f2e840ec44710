// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube identity base */
/* LIBS: -ljansson */
/*
 * Lists and watches, cut into objects. The first byte says which, and how the rest is split: that must
 * change nothing. What jansson takes for a list has to be cut into the items that jansson sees.
 */
#include "fuzz.h"

#include <jansson.h>

#include "base/err.h"
#include "kube/stream.h"

struct seen {
	char *text; /* the objects, each with its length in front */
	size_t len, n;
	int r;
	struct pc_err err;
	char list[512];
};

static int on_object(void *arg, const char *json, size_t len, struct pc_err *err)
{
	struct seen *seen = arg;

	(void)err;
	MUST(len && !memchr(" \t\r\n", json[0], 4) && !memchr(" \t\r\n", json[len - 1], 4));
	seen->text = realloc(seen->text, seen->len + sizeof(len) + len);
	MUST(seen->text);
	memcpy(seen->text + seen->len, &len, sizeof(len));
	memcpy(seen->text + seen->len + sizeof(len), json, len);
	seen->len += sizeof(len) + len;
	seen->n++;
	return 0;
}

static void on_skipped(void *arg)
{
	(void)arg;
	MUST(!"nothing here is that large");
}

static const struct kube_stream_events events = {.object = on_object, .skipped = on_skipped};

/* step 0: at once. Each piece is on its own, so that a read behind it is caught. */
static struct seen read_answer(enum kube_stream_kind kind, const uint8_t *data, size_t size,
			       size_t step)
{
	struct kube_stream_list list = {.kind = "", .version = "", .next = ""};
	struct seen seen = {};
	struct kube_stream *stream;

	MUST(kube_stream_new(kind, &events, &seen, &stream) == 0);
	for (size_t at = 0, n; at < size && seen.r == 0; at += n) {
		char *piece;

		n = step && step < size - at ? step : size - at;
		piece = fuzz_copy(data + at, n);
		seen.r = kube_stream_feed(stream, piece, n, &seen.err);
		free(piece);
	}
	if (seen.r == 0)
		seen.r = kube_stream_end(stream, &list, &seen.err);
	else
		MUST(kube_stream_feed(stream, "x", 1, NULL) == seen.r);
	snprintf(seen.list, sizeof(seen.list), "%s %s %s", list.kind, list.version, list.next);
	kube_stream_free(stream);
	return seen;
}

static bool is_same(const struct seen *a, const struct seen *b)
{
	return a->r == b->r && a->n == b->n && a->len == b->len &&
	       !strcmp(a->err.msg, b->err.msg) && !strcmp(a->list, b->list) &&
	       (!a->len || !memcmp(a->text, b->text, a->len));
}

static void check_splits(enum kube_stream_kind kind, const uint8_t *data, size_t size, size_t step)
{
	struct seen whole = read_answer(kind, data, size, 0);
	struct seen bytes = read_answer(kind, data, size, 1);
	struct seen pieces = read_answer(kind, data, size, step);

	MUST(is_same(&whole, &bytes));
	MUST(is_same(&whole, &pieces));
	free(whole.text);
	free(bytes.text);
	free(pieces.text);
}

static void check_item(const struct seen *seen, size_t *at, const json_t *want)
{
	json_t *item;
	size_t len;

	memcpy(&len, seen->text + *at, sizeof(len));
	item = json_loadb(seen->text + *at + sizeof(len), len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
			  NULL);
	MUST(item && json_equal(item, want));
	json_decref(item);
	*at += sizeof(len) + len;
}

/* Keys with escapes are for jansson alone. */
static void check_items(const uint8_t *data, size_t size)
{
	json_t *json =
		json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	json_t *items = json_object_get(json, "items"), *item;
	struct seen seen = read_answer(KUBE_STREAM_LIST, data, size, 0);
	size_t at = 0, i;

	if (json_is_array(items) && !memchr(data, '\\', size)) {
		MUST(seen.r == 0 && seen.n == json_array_size(items));
		json_array_foreach (items, i, item)
			check_item(&seen, &at, item);
	}
	json_decref(json);
	free(seen.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	check_splits(data[0] & 1 ? KUBE_STREAM_LINES : KUBE_STREAM_LIST, data + 1, size - 1,
		     2 + (data[0] >> 1) % 32);
	check_items(data + 1, size - 1);
	return 0;
}
