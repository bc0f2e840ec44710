/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the nodes of a tree mean. Each function checks the node that it is given, and reports an
 * error as "FILE:LINE: ...", one line that says what is wrong and what to write. Returns 0 or
 * -EINVAL.
 */
#pragma once

#include <stdint.h>

#include "yaml/tree.h"

__attribute__((format(printf, 3, 4))) int yml_bad(const struct yml_source *src,
						  const struct yml_node *node, const char *fmt,
						  ...);

/* The text of a node, or NULL when it is none: no scalar, or one with NUL bytes. */
const char *yml_text(const struct yml_node *node);

/* The value of a key in a mapping, or NULL. */
const struct yml_node *yml_get(const struct yml_node *mapping, const char *key);

/* A key that a mapping may have, and what to do with its value: read() decides, or else it is checked
 * by itself, and written to the member of target that has this offset and size. */
struct yml_key {
	const char *name;
	int (*read)(const struct yml_source *src, const struct yml_node *value, void *target);
	size_t offset, size;
	bool (*valid)(const char *text); /* of a text */
	const char *wants; /* what to write instead of one that is not valid */
	const char *const *words; /* or one of these; else a number from 1 to max */
	size_t n_words;
	uint64_t max;
	bool required;
	bool copied; /* the text goes into an array of size characters, with its NUL */
};

#define YML_KEY(name_, read_)                                                                      \
	{                                                                                          \
		.name = (name_), .read = (read_)                                                   \
	}
#define YML_REQUIRED(name_, read_)                                                                 \
	{                                                                                          \
		.name = (name_), .read = (read_), .required = true                                 \
	}
#define YML_MEMBER(type_, member_)                                                                 \
	.offset = offsetof(type_, member_), .size = sizeof(((type_ *)NULL)->member_)

/* To a const char *, which points into the tree. */
#define YML_TEXT(name_, type_, member_, valid_, wants_, required_)                                 \
	{                                                                                          \
		.name = (name_), YML_MEMBER(type_, member_), .valid = (valid_), .wants = (wants_), \
		.required = (required_)                                                            \
	}

/* To an array of char; what does not fit is not valid. */
#define YML_COPY(name_, type_, member_, valid_, wants_)                                            \
	{                                                                                          \
		.name = (name_), YML_MEMBER(type_, member_), .valid = (valid_), .wants = (wants_), \
		.copied = true                                                                     \
	}

/* To an integer, an enum or a bool: the index in an array of words, which may have holes (NULL). */
#define YML_WORD(name_, type_, member_, words_)                                                    \
	{                                                                                          \
		.name = (name_), YML_MEMBER(type_, member_), .words = (words_),                    \
		.n_words = ARRAY_SIZE(words_)                                                      \
	}

/* To an integer. */
#define YML_NUMBER(name_, type_, member_, max_)                                                    \
	{                                                                                          \
		.name = (name_), YML_MEMBER(type_, member_), .max = (max_)                         \
	}

/* Unknown, repeated and missing keys are refused. At most 32 keys. */
int yml_mapping(const struct yml_source *src, const struct yml_node *node,
		const struct yml_key *keys, size_t n, void *target);

/* key: what the list is the value of. */
int yml_list(const struct yml_source *src, const struct yml_node *node, const char *key,
	     int (*item)(const struct yml_source *, const struct yml_node *, void *), void *target);

/* One of the words; *ret is its index. Words may have holes (NULL). */
int yml_word(const struct yml_source *src, const struct yml_node *node, const char *what,
	     const char *const words[], size_t n, uint64_t *ret);
