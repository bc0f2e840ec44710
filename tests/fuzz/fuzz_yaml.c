// SPDX-License-Identifier: Apache-2.0
/* MODULES: yaml base */
/* LIBS: -lyaml */
/* YAML: the tree is what the stream says, and written out as JSON it is read as the same. */
#include "fuzz.h"

#include "yaml/read.h"

#define MAX_NODES 500

static struct pc_err err;
static const struct yml_source source = {.name = "f", .err = &err};

static void check_line(const char *msg)
{
	MUST(*msg);
	for (const char *c = msg; *c; c++)
		MUST((unsigned char)*c >= ' ' && *c != 127);
}

/* One character of UTF-8, which all text of libyaml is. */
static size_t decode(const char *text, uint32_t *ret)
{
	unsigned char first = (unsigned char)*text;
	size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	*ret = n == 1 ? first : first & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		MUST((text[i] & 0xc0) == 0x80);
		*ret = *ret << 6 | (text[i] & 0x3f);
	}
	return n;
}

static void put_text(FILE *out, const struct yml_node *node)
{
	uint32_t c;

	putc('"', out);
	for (size_t i = 0; i < node->len;) {
		i += decode(node->text + i, &c);
		if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7f)
			fprintf(out, "\\U%08x", c);
		else
			putc((int)c, out);
	}
	putc('"', out);
}

static size_t put(FILE *out, const struct yml_node *node)
{
	size_t n = 1, children = 0;

	MUST(node->line && node->column);
	if (node->kind == YML_SCALAR) {
		MUST(!node->first && node->text[node->len] == '\0');
		put_text(out, node);
		return n;
	}
	fputs(node->kind == YML_LIST ? "[" : "{", out);
	for (const struct yml_node *child = node->first; child; child = child->next) {
		if (node->kind == YML_MAPPING && children % 2)
			fputs(": ", out);
		else
			fprintf(out, "%s%s", children ? "," : "",
				node->kind == YML_MAPPING ? "? " : "");
		n += put(out, child);
		children++;
	}
	fputs(node->kind == YML_LIST ? "]" : "}", out);
	MUST(children == node->len && (node->kind == YML_LIST || children % 2 == 0));
	return n;
}

static char *write_out(const struct yml_tree *tree, size_t *ret_nodes, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	MUST(out);
	*ret_nodes = put(out, yml_tree_root(tree));
	fclose(out);
	return text;
}

/* Quotes and lines are not the same any more; kinds, texts and their order are. */
static void check_same(const struct yml_node *a, const struct yml_node *b)
{
	MUST(a->kind == b->kind && a->len == b->len);
	if (a->kind == YML_SCALAR)
		MUST(memcmp(a->text, b->text, a->len) == 0);
	a = a->first;
	b = b->first;
	for (; a && b; a = a->next, b = b->next)
		check_same(a, b);
	MUST(!a && !b);
}

static void check_round_trip(const struct yml_tree *tree)
{
	struct yml_tree *again = NULL;
	size_t nodes = 0, len = 0;
	char *text = write_out(tree, &nodes, &len);

	MUST(nodes <= MAX_NODES);
	if (yml_tree_parse(&source, text, len, nodes, &again) < 0) {
		fprintf(stderr, "%s\n%s\n", err.msg, text);
		abort();
	}
	check_same(yml_tree_root(tree), yml_tree_root(again));
	MUST(yml_tree_parse(&source, text, len, nodes - 1, &again) == -EINVAL);
	yml_tree_free(again);
	free(text);
}

/* The nodes of the whole stream, and how deep they are; false: refused. */
static bool walk_stream(const char *text, size_t size, size_t *ret_nodes, size_t *ret_depth)
{
	struct yml_stream *stream = NULL;
	struct yml_event event = {};
	size_t depth = 0;
	int r;

	MUST(yml_stream_new(text, size, &stream) == 0);
	while ((r = yml_stream_next(stream, &event)) == 0 && event.kind < YML_DOCUMENT) {
		*ret_nodes += event.kind != YML_END;
		MUST(event.kind != YML_END || depth);
		depth += event.kind == YML_MAPPING || event.kind == YML_LIST;
		depth -= event.kind == YML_END;
		*ret_depth = depth > *ret_depth ? depth : *ret_depth;
	}
	if (r < 0)
		check_line(event.text);
	yml_stream_free(stream);
	return r == 0 && event.kind == YML_EOF;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	struct yml_tree *tree = NULL;
	size_t nodes = 0, depth = 0;
	bool sound = walk_stream(text, size, &nodes, &depth);

	sound = sound && nodes <= MAX_NODES && depth <= YML_MAX_DEPTH;
	MUST(sound == (yml_tree_parse(&source, text, size, MAX_NODES, &tree) == 0));
	MUST(sound == (tree != NULL));
	if (!sound)
		check_line(err.msg);
	else if (yml_tree_root(tree))
		check_round_trip(tree);
	yml_tree_free(tree);
	free(text);
	return 0;
}
