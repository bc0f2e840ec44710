// SPDX-License-Identifier: Apache-2.0
#include "yaml/tree.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 4000 /* of most; with malloc's head it fits a page */

/* Memory of nodes and texts. It never moves, so no copy of a secret is left behind. */
struct block {
	struct block *next;
	size_t size, used;
	alignas(max_align_t) char data[];
};

struct yml_tree {
	struct block *blocks; /* the one in use first */
	struct yml_node *root;
};

struct builder {
	const struct yml_source *src;
	struct yml_stream *stream;
	struct yml_tree *tree;
	struct yml_node *open[YML_MAX_DEPTH]; /* lists and mappings whose end is to come */
	struct yml_node *last[YML_MAX_DEPTH]; /* child of each */
	size_t depth, nodes_left;
};

static void *take(struct yml_tree *tree, size_t size)
{
	struct block *block = tree->blocks;

	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!block || block->size - block->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = malloc(sizeof(*block) + room);
		if (!block)
			return NULL;
		*block = (struct block){.next = tree->blocks, .size = room};
		tree->blocks = block;
	}
	block->used += size;
	return block->data + block->used - size;
}

static int fail(const struct builder *b, int code, size_t line, const char *what)
{
	return b->src->lineless
		       ? pc_err_set(b->src->err, code, "%s: %s", b->src->name, what)
		       : pc_err_set(b->src->err, code, "%s:%zu: %s", b->src->name, line, what);
}

static int next(struct builder *b, struct yml_event *ret)
{
	int r = yml_stream_next(b->stream, ret);

	return r < 0 ? fail(b, r, ret->line, ret->text) : 0;
}

/* NULL: no memory. */
static struct yml_node *make_node(struct yml_tree *tree, const struct yml_event *event)
{
	struct yml_node *node = take(tree, sizeof(*node));
	char *text = event->text ? take(tree, event->len + 1) : NULL;

	if (!node || (event->text && !text))
		return NULL;
	if (text)
		memcpy(text, event->text, event->len + 1);
	*node = (struct yml_node){
		.kind = event->kind,
		.line = (unsigned)event->line,
		.column = (unsigned)event->column,
		.len = (unsigned)event->len,
		.text = text,
	};
	return node;
}

static void link_node(struct builder *b, struct yml_node *node)
{
	size_t i = b->depth - 1;

	if (!b->depth)
		b->tree->root = node;
	else if (b->last[i])
		b->last[i]->next = node;
	else
		b->open[i]->first = node;
	if (b->depth) {
		b->last[i] = node;
		b->open[i]->len++;
	}
}

static int add_node(struct builder *b, const struct yml_event *event)
{
	struct yml_node *node;

	if (!b->nodes_left--)
		return fail(b, -EINVAL, event->line, "too many values; is this the right file?");
	node = make_node(b->tree, event);
	if (!node)
		return fail(b, -ENOMEM, event->line, "no memory");
	link_node(b, node);
	if (node->kind == YML_SCALAR)
		return 0;
	if (b->depth == YML_MAX_DEPTH)
		return fail(b, -EINVAL, event->line, "nested too deeply; is this the right file?");
	b->open[b->depth] = node;
	b->last[b->depth++] = NULL;
	return 0;
}

/* A second document would look like the file's content and be none. The line is that of its root. */
static int check_end(struct builder *b)
{
	struct yml_event event;
	int r = next(b, &event);

	if (r < 0 || event.kind == YML_EOF)
		return r;
	r = next(b, &event);
	return r < 0 ? r
		     : fail(b, -EINVAL, event.line, "a second document; write everything into one");
}

static int build(struct builder *b)
{
	struct yml_event event;
	int r;

	do {
		r = next(b, &event);
		if (r < 0 || event.kind == YML_EOF)
			return r;
		if (event.kind == YML_END)
			b->depth--;
		else
			r = add_node(b, &event);
		if (r < 0)
			return r;
	} while (b->depth);
	return check_end(b);
}

int yml_tree_parse(const struct yml_source *src, const char *text, size_t len, size_t max_nodes,
		   struct yml_tree **ret)
{
	_cleanup_yml_tree_ struct yml_tree *tree = calloc(1, sizeof(*tree));
	_cleanup_yml_stream_ struct yml_stream *stream = NULL;
	struct builder b = {.src = src, .tree = tree, .nodes_left = max_nodes};
	int r;

	if (len > YML_MAX_SIZE)
		return fail(&b, -EINVAL, 1, "too large; is this the right file?");
	if (!tree || yml_stream_new(text, len, &stream) < 0)
		return fail(&b, -ENOMEM, 1, "no memory");
	b.stream = stream;
	r = build(&b);
	if (r < 0)
		return r;
	*ret = tree;
	tree = NULL;
	return 0;
}

const struct yml_node *yml_tree_root(const struct yml_tree *tree)
{
	return tree->root;
}

void yml_tree_free(struct yml_tree *tree)
{
	if (!tree)
		return;
	for (struct block *block = tree->blocks, *next; block; block = next) {
		next = block->next;
		explicit_bzero(block->data, block->used);
		free(block);
	}
	free(tree);
}
