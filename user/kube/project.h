/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod list says, as far as podcred needs it: only the members that a shape names become a
 * jansson value, for JSON and YAML alike. Everything else is skipped unread, since any tenant
 * writes there: NUL bytes, repeated keys, numbers beyond any type, text that is not UTF-8, and deep
 * nesting do no harm. In a member that is needed they leave a mark (kube_project_defect), so that
 * they affect only the object that they are in. Input that is not JSON or YAML at all is refused,
 * with the line.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct pc_err;

struct project_shape {
	const char *key; /* NULL ends a list of members */
	const struct project_shape *members; /* of a mapping; NULL: a scalar */
	bool list; /* of such mappings */
	bool any; /* a mapping of which all members are kept, as scalars; see KUBE_PROJECT_ANY_MAX */
	bool strict; /* a mapping that has to be understood: a member that is not named leaves a mark */
};

/* Keys and values of such a mapping, in bytes and with a NUL each: of a larger one nothing is kept but a
 * mark, so that whoever may write there cannot fill the memory. */
#define KUBE_PROJECT_ANY_MAX 4096

/* -EINVAL or -ENOMEM; the message has no file name, callers put it in front. A mapping or list that
 * the shape has no members for is an empty one. */
int kube_project_json(const char *text, size_t len, const struct project_shape *shape, json_t **ret,
		      struct pc_err *err);
int kube_project_yaml(const char *text, size_t len, const struct project_shape *shape, json_t **ret,
		      struct pc_err *err);

/* What made the value one that cannot be used, for a message, or NULL. */
const char *kube_project_defect(const json_t *value);

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(cleanup_json)
