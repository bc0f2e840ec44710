// SPDX-License-Identifier: Apache-2.0
/* MODULES: yaml base */
/* LIBS: -l:libyaml.a -Wl,--wrap=free */
/* The stream, the tree that is made of it, its limits, and that nothing of it stays in memory. What
 * keys and values may be is tested with those that ask: test_config, test_agent_associations. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "yaml/read.h"

#define SECRET "wJalrXUtnFEMI"

static size_t frees, leaks;

void __real_free(void *p);
void __wrap_free(void *p);

/* libyaml is linked statically, so this sees its memory, too. */
void __wrap_free(void *p)
{
	frees++;
	if (p && memmem(p, malloc_usable_size(p), SECRET, strlen(SECRET)))
		leaks++;
	__real_free(p);
}

static struct pc_err err;
static const struct yml_source source = {.name = "f.yaml", .err = &err};
static const struct yml_source secret_source = {.name = "f.yaml", .secret = true, .err = &err};

static struct yml_tree *parse(const char *text)
{
	struct yml_tree *tree = NULL;

	if (yml_tree_parse(&source, text, strlen(text), 100, &tree) < 0)
		fail_msg("%s\nfor:\n%s", err.msg, text);
	return tree;
}

static void expect(const char *want, int r)
{
	assert_int_equal(r, -EINVAL);
	if (strncmp(err.msg, want, strlen(want)) != 0)
		fail_msg("\"%s\", want \"%s\"", err.msg, want);
}

static void refused(const char *text, size_t len, size_t max_nodes, const char *want)
{
	struct yml_tree *tree = NULL;

	expect(want, yml_tree_parse(&source, text, len, max_nodes, &tree));
	assert_null(tree);
}

static void events(void **state)
{
	static const char text[] = "a: [x, 'y', !!str z, !!int 1, \"n\\0\"]\n---\n{}\n";
	static const struct yml_event want[] = {
		{YML_MAPPING, 1, 1, NULL, 0, false, false},
		{YML_SCALAR, 1, 1, "a", 1, true, false},
		{YML_LIST, 1, 4, NULL, 0, false, false},
		{YML_SCALAR, 1, 5, "x", 1, true, false},
		{YML_SCALAR, 1, 8, "y", 1, false, false},
		{YML_SCALAR, 1, 13, "z", 1, false, false},
		{YML_SCALAR, 1, 22, "1", 1, false, true},
		{YML_SCALAR, 1, 31, "n\0", 2, false, false},
		{YML_END, 1, 36, NULL, 0, false, false},
		{YML_END, 2, 1, NULL, 0, false, false},
		{YML_DOCUMENT, 2, 1, NULL, 0, false, false},
		{YML_MAPPING, 3, 1, NULL, 0, false, false},
		{YML_END, 3, 2, NULL, 0, false, false},
		{YML_EOF, 4, 1, NULL, 0, false, false},
	};
	_cleanup_yml_stream_ struct yml_stream *stream = NULL;

	(void)state;
	assert_int_equal(yml_stream_new(text, strlen(text), &stream), 0);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		struct yml_event got;

		assert_int_equal(yml_stream_next(stream, &got), 0);
		if (got.kind != want[i].kind || got.line != want[i].line ||
		    got.plain != want[i].plain || got.tagged != want[i].tagged)
			fail_msg("event %zu: kind %d, line %zu", i, got.kind, got.line);
		assert_int_equal(got.len, want[i].len);
		assert_true(!got.text == !want[i].text);
		if (got.kind == YML_SCALAR) {
			assert_int_equal(got.column, want[i].column);
			assert_memory_equal(got.text, want[i].text, got.len + 1);
		}
	}
}

static void tree(void **state)
{
	_cleanup_yml_tree_ struct yml_tree *tree =
		parse("# comment\nkey:\n  - one\n  - {two: 2, none: }\n  - []\nlast: \"a\\0b\"\n");
	const struct yml_node *root = yml_tree_root(tree), *list = yml_get(root, "key");
	const struct yml_node *map = list->first->next;

	(void)state;
	assert_int_equal(root->kind, YML_MAPPING);
	assert_int_equal(root->len, 4); /* keys and values */
	assert_int_equal(list->kind, YML_LIST);
	assert_int_equal(list->len, 3);
	assert_string_equal(yml_text(list->first), "one");
	assert_int_equal(list->first->line, 3);
	assert_int_equal(list->first->column, 5);
	assert_string_equal(yml_text(yml_get(map, "two")), "2");
	assert_string_equal(yml_text(yml_get(map, "none")), "");
	assert_null(yml_get(map, "three"));
	assert_int_equal(map->next->len, 0);
	assert_null(map->next->next);
	assert_null(yml_text(map)); /* no scalar */
	assert_null(yml_text(yml_get(root, "last"))); /* a NUL in it */
	assert_int_equal(yml_get(root, "last")->len, 3);
}

static void empty(void **state)
{
	static const char *const texts[] = {"", "\n", "# nothing\n", "\xef\xbb\xbf"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_yml_tree_ struct yml_tree *tree = parse(texts[i]);

		assert_null(yml_tree_root(tree));
	}
	yml_tree_free(NULL);
	yml_stream_free(NULL);
}

static void broken(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"a: 1\nb: [\n", "f.yaml:3: not YAML: "},
		{"a: 1\nb: \"", "f.yaml:2: not YAML: "},
		{"a:\n\t- b\n", "f.yaml:2: not YAML: "},
		{"a: 1\nb: 2\n\xff\n", "f.yaml:3: byte 10: "},
		{"a: 1\nb: \x01\n", "f.yaml:2: byte "},
		{"a: &x 1\n",
		 "f.yaml:1: anchors and aliases are not supported; write the value out"},
		{"a: 1\nb: *x\n", "f.yaml:2: anchors and aliases"},
		{"a: 1\nb: &x []\n", "f.yaml:2: anchors and aliases"},
		{"a: 1\n<<: {b: *x}\n", "f.yaml:2: anchors and aliases"},
		{"&x a: 1\n", "f.yaml:1: anchors and aliases"},
		{"a: 1\n---\nb: 2\n", "f.yaml:3: a second document; write everything into one"},
		{"a: 1\n---\n", "f.yaml:3: a second document"},
		{"--- 1\n--- [\n", "f.yaml:2: a second document"},
		{"a: 1\n--- *x\n", "f.yaml:2: anchors and aliases"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, strlen(cases[i].text), 100, cases[i].want);
}

/* libyaml reads it by its mark; what else reads the file here does not. */
static void encodings(void **state)
{
	static const char little[] = "\xff\xfe"
				     "a\0:\0 \0"
				     "1\0",
			  big[] = "\xfe\xff\0a\0:\0 \0"
				  "1";
	static const char unmarked[] = "a\0:\0 \0"
				       "1\0";

	(void)state;
	refused(little, sizeof(little) - 1, 100, "f.yaml:1: this is UTF-16; write YAML in UTF-8");
	refused(little, 2, 100, "f.yaml:1: this is UTF-16; ");
	refused(big, sizeof(big) - 1, 100, "f.yaml:1: this is UTF-16; write YAML in UTF-8");
	refused(unmarked, sizeof(unmarked) - 1, 100, "f.yaml:1: byte 1: ");
	yml_tree_free(parse("\xef\xbb\xbf"
			    "a: 1\n"));
}

static void limits(void **state)
{
	char deep[] = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]";
	struct yml_tree *tree = NULL;

	(void)state;
	assert_int_equal(strlen(deep), 2 * (YML_MAX_DEPTH + 1) + 1);
	refused(deep, strlen(deep), 100, "f.yaml:1: nested too deeply; ");
	deep[0] = deep[strlen(deep) - 1] = ' ';
	yml_tree_free(parse(deep));
	refused("a: 1\nb: 2\n", 10, 4, "f.yaml:2: too many values; ");
	assert_int_equal(yml_tree_parse(&source, "a: 1\nb: 2\n", 10, 5, &tree), 0);
	yml_tree_free(tree);
	refused("", YML_MAX_SIZE + 1, 100, "f.yaml:1: too large; ");
}

/* Texts that are larger than a block, and as large as its rest. */
static void blocks(void **state)
{
	(void)state;
	for (size_t len = 1; len < 100000; len = len * 3 / 2 + 1) {
		_cleanup_free_ char *text = malloc(len + 20);
		const struct yml_node *list;
		struct yml_tree *tree;

		memset(strcpy(text, "- ") + 2, 'x', len);
		strcpy(text + 2 + len, "\n- y");
		assert_int_equal(yml_tree_parse(&source, text, strlen(text), 3, &tree), 0);
		list = yml_tree_root(tree);
		assert_int_equal(list->first->len, len);
		assert_string_equal(yml_text(list->first->next), "y");
		yml_tree_free(tree);
	}
}

struct target {
	const char *text;
	uint16_t number;
	bool flag;
	enum { ZERO, ONE } which;
	uint64_t word;
};

static bool is_lower(const char *text)
{
	return *text >= 'a' && *text <= 'z';
}

static int read_word(const struct yml_source *src, const struct yml_node *node, void *target)
{
	static const char *const words[] = {"red", NULL, "blue", "green"};

	return yml_word(src, node, "word", words, ARRAY_SIZE(words),
			&((struct target *)target)->word);
}

static int read_words(const struct yml_source *src, const struct yml_node *node, void *target)
{
	return yml_list(src, node, "words", read_word, target);
}

static int read_target(const struct yml_source *src, const struct yml_tree *tree, void *target)
{
	static const char *const flags[] = {"no", "yes"}, *const which[] = {NULL, "one"};
	static const struct yml_key keys[] = {
		YML_WORD("flag", struct target, flag, flags),
		YML_WORD("which", struct target, which, which),
		YML_TEXT("text", struct target, text, is_lower, "a word", true),
		YML_NUMBER("number", struct target, number, 10), YML_KEY("words", read_words)};

	return yml_mapping(src, yml_tree_root(tree), keys, ARRAY_SIZE(keys), target);
}

static void typed(void **state)
{
	_cleanup_yml_tree_ struct yml_tree *tree =
		parse("text: abc\nnumber: \"10\"\nwords: [red, green]\nflag: yes\nwhich: one\n");
	struct target target = {};

	(void)state;
	assert_int_equal(read_target(&source, tree, &target), 0);
	assert_string_equal(target.text, "abc");
	assert_int_equal(target.number, 10);
	assert_int_equal(target.word, 3);
	assert_true(target.flag);
	assert_int_equal(target.which, ONE);
}

static void ill_typed(void **state)
{
	static const struct {
		const char *text, *want, *want_secret;
	} cases[] = {
		{"[]", "1: expected a mapping with flag, which, text, number, words; write", NULL},
		{"text: a\n\nnumber: 0", "3: number \"0\" is not a number from 1 to 10",
		 "3: number \"(hidden, it may be a secret)\" is not a number from 1 to 10"},
		{"flag: true", "1: flag \"true\" is not no or yes", NULL},
		{"which: zero", "1: which \"zero\" is not one", NULL},
		{"number: 11", "1: number \"11\" is not a number",
		 "1: number \"(hidden, it may be a secret)\" is not"},
		{"number: -3", "1: number \"-3\" is not a number", "1: number \"(hidden, "},
		{"number: []", "1: number \"\" is not a number", "1: number \"(hidden, "},
		{"number: \"3\\0\"", "1: number \"\" is not a number", "1: number \"(hidden, "},
		{"number: \"\\n\"", "1: number \"?\" is not a number", "1: number \"(hidden, "},
		{"words: {}", "1: expected a list for \"words\"; write", NULL},
		{"words:\n- red\n- pink", "3: word \"pink\" is not red, blue or green", NULL},
		{"text: [a]", "1: bad value of 'text'; write a word", NULL},
		{"text: 1", "1: bad value of 'text'; write a word", NULL},
		{"text: \"a\\0\"", "1: bad value of 'text'; write a word", NULL},
		{"\nnumber: 3", "2: missing key 'text'; add it", NULL},
		{"\"text\\0\": a",
		 "1: unknown key \"(not a word)\"; known are flag, which, text, number", NULL},
		{"[text]: a",
		 "1: unknown key \"(not a word)\"; known are flag, which, text, number", NULL},
		{"txt: a", "1: unknown key \"txt\"; known are flag, which, text, number, words",
		 NULL},
		{"AKIA7: a", "1: unknown key \"AKIA7\"; known",
		 "1: unknown key \"(hidden, it may be a secret)\"; known are flag"},
		{"text: a\ntext: b", "2: key \"text\" is there twice; remove one", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_yml_tree_ struct yml_tree *tree = parse(cases[i].text);
		struct target target = {};
		char want[200];

		snprintf(want, sizeof(want), "f.yaml:%s", cases[i].want);
		expect(want, read_target(&source, tree, &target));
		snprintf(want, sizeof(want), "f.yaml:%s", cases[i].want_secret ?: cases[i].want);
		expect(want, read_target(&secret_source, tree, &target));
	}
}

static void wiped(void **state)
{
	static const char *const texts[] = {
		"a: " SECRET "\n",
		"a: '" SECRET "'\n",
		"a: [\"" SECRET "\", {" SECRET ": x}]\n",
		"a: |\n  " SECRET "\n",
		"a: " SECRET "\nb: [\n",
		"a: " SECRET "\nb: *x\n",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[" SECRET,
		"{" SECRET ": \x01",
		"{" SECRET ": \"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct yml_tree *tree = NULL;

		frees = leaks = 0;
		yml_tree_parse(&secret_source, texts[i], strlen(texts[i]), 100, &tree);
		yml_tree_free(tree);
		assert_null(strstr(err.msg, SECRET));
		assert_true(frees > 5);
		if (leaks)
			fail_msg("%zu blocks with the secret freed for:\n%s", leaks, texts[i]);
	}
}

/* Each %TAG is compared with all before it: a file full of them takes minutes. */
static void directives(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	for (int i = 0; i < 20000; i++)
		fprintf(f, "%%TAG !a%d! tag:x,2000:\n", i);
	fprintf(f, "---\na: b\n");
	fclose(f);
	refused(text, len, 100, "f.yaml:");
	assert_non_null(strstr(err.msg, ": too many directives; is this the right file?"));
	yml_tree_free(parse("%YAML 1.1\n%TAG !a! tag:x,2000:\n---\na: b\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events), cmocka_unit_test(tree),	cmocka_unit_test(empty),
		cmocka_unit_test(broken), cmocka_unit_test(encodings),	cmocka_unit_test(limits),
		cmocka_unit_test(blocks), cmocka_unit_test(typed),	cmocka_unit_test(ill_typed),
		cmocka_unit_test(wiped),  cmocka_unit_test(directives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
