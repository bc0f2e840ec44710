/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML document as a tree, for files that people write: one document, no anchors, a bounded depth
 * and number of nodes. Its contents are wiped when it is freed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "yaml/stream.h"

#define YML_MAX_DEPTH 32
#define YML_MAX_SIZE  (64U << 20)

struct yml_node {
	enum yml_kind kind; /* YML_SCALAR, YML_MAPPING or YML_LIST */
	unsigned line, column; /* from 1 */
	unsigned len; /* of its text, or how many children it has */
	const char *text; /* of a scalar; read.h has yml_text() */
	struct yml_node *first, *next; /* children; in a mapping keys and values take turns */
};

/* What messages need; every function that is given one fills err, when it fails. */
struct yml_source {
	const char *name; /* of the file */
	bool secret; /* nothing in it is quoted, but for what looks like a key */
	bool lineless; /* it is no file: messages name no line of it */
	struct pc_err *err;
};

struct yml_tree;

/* -EINVAL, -ENOMEM. */
int yml_tree_parse(const struct yml_source *src, const char *text, size_t len, size_t max_nodes,
		   struct yml_tree **ret);

/* NULL: there is nothing in the file. */
const struct yml_node *yml_tree_root(const struct yml_tree *tree);

/* Wipes and frees; NULL is fine. */
void yml_tree_free(struct yml_tree *tree);

static inline void cleanup_yml_tree(struct yml_tree **tree)
{
	yml_tree_free(*tree);
}

#define _cleanup_yml_tree_ _cleanup_(cleanup_yml_tree)
