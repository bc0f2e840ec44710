/* SPDX-License-Identifier: Apache-2.0 */
/* Search trees (search.h) of things that are found by a string. */
#pragma once

#include <errno.h>
#include <search.h>
#include <string.h>

/* First member of what is in such a tree. The string belongs to that, and stays while it is there. */
struct keyed {
	const char *key;
};

static inline int keyed_compare(const void *a, const void *b)
{
	const struct keyed *ka = a, *kb = b;

	return strcmp(ka->key, kb->key);
}

static inline void *keyed_find(void *const *tree, const char *key)
{
	const struct keyed wanted = {key};
	void *const *found = tfind(&wanted, tree, keyed_compare);

	return found ? *found : NULL;
}

/* node: with a key that the tree does not have. 0 or -ENOMEM. */
static inline int keyed_add(void **tree, const void *node)
{
	return tsearch(node, tree, keyed_compare) ? 0 : -ENOMEM;
}

static inline void keyed_remove(void **tree, const void *node)
{
	tdelete(node, tree, keyed_compare);
}
