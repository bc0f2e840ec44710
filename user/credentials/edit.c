// SPDX-License-Identifier: Apache-2.0
#include "credentials/edit.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "credentials/associations.h"
#include "yaml/read.h"

#define TEXT_MOST (17 << 20)
#define MAX_NODES 4000000
#define KEY	  "associations:"

/* Bytes of the text: from the beginning of a line to that of another one. */
struct range {
	size_t begin, end;
};

struct place {
	const struct yml_node *list; /* the associations; NULL: there is no file */
	const struct yml_node *entry; /* ours; NULL: none */
	const struct yml_node *after; /* the one after ours, or after none: NULL */
	const struct yml_node *last;
};

static bool is(const struct yml_node *entry, const char *key, const char *want)
{
	const struct yml_node *value = yml_get(entry, key);

	return value && yml_text(value) && !strcmp(yml_text(value), want);
}

static void find(const struct cred_edit *edit, const struct yml_node *root, struct place *ret)
{
	*ret = (struct place){.list = yml_get(root, "associations")};
	for (const struct yml_node *i = ret->list->first; i; i = i->next) {
		if (is(i, "namespace", edit->name_space) &&
		    is(i, "serviceAccount", edit->service_account)) {
			ret->entry = i;
			ret->after = i->next;
		}
		ret->last = i;
	}
}

/* ---- lines ---- */

/* Where that line begins, from 1; behind the last one: the end. */
static size_t line_at(const struct cred_edit *edit, unsigned line)
{
	size_t at = 0;

	while (--line && at < edit->len) {
		const char *end = memchr(edit->text + at, '\n', edit->len - at);

		at = end ? (size_t)(end - edit->text) + 1 : edit->len;
	}
	return at;
}

static size_t line_length(const struct cred_edit *edit, size_t at)
{
	const char *end = memchr(edit->text + at, '\n', edit->len - at);

	return end ? (size_t)(end - edit->text) + 1 - at : edit->len - at;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Nothing, or a comment alone. */
static bool is_bare(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && is_blank(line[i]))
		i++;
	return i == len || line[i] == '#';
}

/* It may be in a text, too; then somebody is asked once too often. */
static bool has_comment(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '#' && (!i || is_blank(text[i - 1])))
			return true;
	return false;
}

/* What is bare at the end of an entry belongs to the next one. */
static struct range trim(const struct cred_edit *edit, struct range range)
{
	size_t end = range.begin;

	for (size_t at = range.begin; at < range.end;) {
		size_t len = line_length(edit, at);

		if (!is_bare(edit->text + at, len))
			end = at + len;
		at += len;
	}
	range.end = end;
	return range;
}

/* The columns before an entry's dash; negative: its line has something else, too. */
static int indentation(const struct cred_edit *edit, const struct yml_node *entry)
{
	size_t at = line_at(edit, entry->line), i = 0;
	size_t len = line_length(edit, at);
	const char *line = edit->text + at;

	while (i < len && line[i] == ' ')
		i++;
	if (i + 1 >= len || line[i] != '-' || line[i + 1] != ' ')
		return -1;
	return (int)i;
}

static int by_hand(const struct cred_edit *edit, unsigned line, struct pc_err *err)
{
	return pc_err_set(
		err, -EINVAL,
		"%s:%u: the entries are not written each from a line \"- ...\" of its own "
		"on; edit the file by hand",
		edit->name, line);
}

/* Of an entry; next: the one behind it, or NULL. */
static int range_of(const struct cred_edit *edit, const struct yml_node *entry,
		    const struct yml_node *next, struct range *ret, struct pc_err *err)
{
	int columns = indentation(edit, entry);

	if (columns < 0 || (next && indentation(edit, next) != columns))
		return by_hand(edit, entry->line, err);
	*ret = trim(edit, (struct range){line_at(edit, entry->line),
					 next ? line_at(edit, next->line) : edit->len});
	return columns;
}

/* ---- the new text ---- */

static void add_entry(struct text *t, const char *entry, int columns)
{
	bool first = true;

	if (t->len && t->data[t->len - 1] != '\n')
		text_add(t, "\n");
	while (*entry) {
		size_t len = strcspn(entry, "\n");

		for (int i = 0; i < columns; i++)
			text_add(t, " ");
		text_add(t, first ? "- " : "  ");
		text_add_bytes(t, entry, len);
		text_add(t, "\n");
		entry += len + (entry[len] == '\n');
		first = false;
	}
}

static void splice(const struct cred_edit *edit, struct range range, int columns, struct text *ret)
{
	text_add_bytes(ret, edit->text, range.begin);
	if (edit->entry)
		add_entry(ret, edit->entry, columns);
	text_add_bytes(ret, edit->text + range.end, edit->len - range.end);
}

/* Of the only entry: a list without any is none. */
static int splice_last(const struct cred_edit *edit, const struct yml_node *list,
		       struct range range, struct text *ret, struct pc_err *err)
{
	size_t at = line_at(edit, list->line), colon = 0;

	/* the list begins in the line of its first entry, and its key before that */
	for (size_t i = 0; i + strlen(KEY) <= at && !colon; i++)
		if ((!i || edit->text[i - 1] == '\n') && !memcmp(edit->text + i, KEY, strlen(KEY)))
			colon = i + strlen(KEY);
	if (!colon)
		return by_hand(edit, list->line, err);
	text_add_bytes(ret, edit->text, colon);
	text_add(ret, " []");
	text_add_bytes(ret, edit->text + colon, range.begin - colon);
	text_add_bytes(ret, edit->text + range.end, edit->len - range.end);
	return 0;
}

static int check_comments(const struct cred_edit *edit, struct range range, unsigned line,
			  struct pc_err *err)
{
	if (edit->discard_comments ||
	    !has_comment(edit->text + range.begin, range.end - range.begin))
		return 0;
	return pc_err_set(err, -EEXIST,
			  "%s:%u: the entry of %s/%s has comments, which would be lost; give "
			  "--discard-comments, or edit the file by hand",
			  edit->name, line, edit->name_space, edit->service_account);
}

static int change(const struct cred_edit *edit, const struct place *place, struct text *ret,
		  struct pc_err *err)
{
	struct range range = {};
	int columns = range_of(edit, place->entry, place->after, &range, err);

	if (columns < 0)
		return columns;
	if (check_comments(edit, range, place->entry->line, err) < 0)
		return -EEXIST;
	if (!edit->entry && place->list->len == 1)
		return splice_last(edit, place->list, range, ret, err);
	splice(edit, range, columns, ret);
	return 0;
}

/* "[]" becomes a list in lines. */
static int add_first(const struct cred_edit *edit, const struct yml_node *list, struct text *ret,
		     struct pc_err *err)
{
	size_t line = line_at(edit, list->line), at = line + list->column - 1, end;

	if (at + 2 > edit->len || memcmp(edit->text + at, "[]", 2) != 0)
		return by_hand(edit, list->line, err);
	end = line + line_length(edit, line);
	while (at > line && edit->text[at - 1] == ' ')
		at--;
	text_add_bytes(ret, edit->text, at);
	at = line + list->column + 1;
	text_add_bytes(ret, edit->text + at, end - at);
	add_entry(ret, edit->entry, 2);
	text_add_bytes(ret, edit->text + end, edit->len - end);
	return 0;
}

static int add(const struct cred_edit *edit, const struct place *place, struct text *ret,
	       struct pc_err *err)
{
	struct range range = {};
	int columns;

	if (!place->list) {
		text_add(ret, "associations:\n");
		add_entry(ret, edit->entry, 2);
		return 0;
	}
	if (!place->last)
		return add_first(edit, place->list, ret, err);
	columns = range_of(edit, place->last, NULL, &range, err);
	if (columns < 0)
		return columns;
	range.begin = range.end;
	splice(edit, range, columns, ret);
	return 0;
}

/* ---- before and after ---- */

/* All others are there as before, and ours as it is to be. */
static int check(const struct cred_edit *edit, const struct cred_table *before,
		 const struct text *text, struct pc_err *err)
{
	struct cred_table *after = NULL;
	size_t n = before ? cred_table_count(before) : 0, kept = 0;
	bool ours;
	int r = cred_table_parse(edit->name, text->data, text->len, &after, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct cred_association *a = cred_table_at(before, i);

		kept += cred_table_find(after, a->namespace, a->service_account) != NULL;
	}
	ours = cred_table_find(after, edit->name_space, edit->service_account);
	if (ours != !!edit->entry || kept + 1 < n || cred_table_count(after) + 1 < n)
		r = pc_err_set(err, -EINVAL, "%s: it cannot be changed safely; edit it by hand",
			       edit->name);
	cred_table_unref(after);
	return r;
}

static int edit_tree(const struct cred_edit *edit, struct text *ret, struct pc_err *err)
{
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	const struct yml_source src = {.name = edit->name, .secret = true, .err = err};
	struct place place = {};
	int r = edit->text ? yml_tree_parse(&src, edit->text, edit->len, MAX_NODES, &tree) : 0;

	if (r < 0)
		return r;
	if (tree)
		find(edit, yml_tree_root(tree), &place);
	if (place.entry)
		return change(edit, &place, ret, err);
	return edit->entry ? add(edit, &place, ret, err)
			   : pc_err_set(err, -ENOENT, "%s: no association of %s/%s", edit->name,
					edit->name_space, edit->service_account);
}

int cred_edit(const struct cred_edit *edit, struct text *ret, struct pc_err *err)
{
	struct cred_table *before = NULL;
	int r = edit->text ? cred_table_parse(edit->name, edit->text, edit->len, &before, err) : 0;

	if (r < 0)
		return r;
	ret->max = TEXT_MOST;
	r = edit_tree(edit, ret, err);
	if (r == 0 && text_error(ret) < 0)
		r = pc_err_set(err, text_error(ret), "%s: out of memory, or too large", edit->name);
	if (r == 0)
		r = check(edit, before, ret, err);
	cred_table_unref(before);
	return r;
}
