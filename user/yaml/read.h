/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the nodes of a tree mean: each function checks the one that it is given, and complains with
 * "FILE:LINE: ...", one line that says what is wrong and what to write. 0, or -EINVAL.
 */
#pragma once

#include <stdint.h>

#include "tree.h"

__attribute__((format(printf, 3, 4))) int yml_bad(const struct yml_source *src,
						  const struct yml_node *node, const char *fmt,
						  ...);

/* The text of a node, or NULL when it is none: no scalar, or one with NUL bytes. */
const char *yml_text(const struct yml_node *node);

/* The value of a key in a mapping, or NULL. */
const struct yml_node *yml_get(const struct yml_node *mapping, const char *key);

/* A key that a mapping may have, and what to do with its value. Without read: its text, if valid, is
 * pointed to by the const char * at offset in target, as long as the tree lives. */
struct yml_key {
	const char *name;
	int (*read)(const struct yml_source *src, const struct yml_node *value, void *target);
	size_t offset;
	bool (*valid)(const char *text);
	const char *wants; /* what to write instead */
	bool required;
};

#define YML_KEY(name_, read_)                                                                      \
	{                                                                                          \
		.name = (name_), .read = (read_)                                                   \
	}
#define YML_REQUIRED(name_, read_)                                                                 \
	{                                                                                          \
		.name = (name_), .read = (read_), .required = true                                 \
	}
#define YML_TEXT(name_, type_, member_, valid_, wants_, required_)                                 \
	{                                                                                          \
		.name = (name_), .offset = offsetof(type_, member_), .valid = (valid_),            \
		.wants = (wants_), .required = (required_)                                         \
	}

/* Unknown, repeated and missing keys are refused. At most 32 keys. */
int yml_mapping(const struct yml_source *src, const struct yml_node *node,
		const struct yml_key *keys, size_t n, void *target);

/* key: what the list is the value of. */
int yml_list(const struct yml_source *src, const struct yml_node *node, const char *key,
	     int (*item)(const struct yml_source *, const struct yml_node *, void *), void *target);

/* min to max. */
int yml_number(const struct yml_source *src, const struct yml_node *node, const char *what,
	       uint64_t min, uint64_t max, uint64_t *ret);

/* One of the words; *ret is its index. Words may have holes (NULL). */
int yml_word(const struct yml_source *src, const struct yml_node *node, const char *what,
	     const char *const words[], size_t n, size_t *ret);
