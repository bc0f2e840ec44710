/* SPDX-License-Identifier: Apache-2.0 */
/* A document, node by node: what the readers of JSON and YAML have in common. */
#pragma once

#include <jansson.h>

#include "kube/project.h"

enum node { NODE_SCALAR, NODE_MAPPING, NODE_LIST, NODE_END /* of the mapping or list */ };

struct reader {
	/* The next node; in a mapping keys and values take turns. ret_value (NULL: not wanted) is
	 * written for a scalar only: its value, or a mark. */
	int (*next)(struct reader *reader, enum node *ret, json_t **ret_value);
	struct pc_err *err;
};

/* The next node, to its end. *ret stays NULL where a list ends. */
int kube_reader_project(struct reader *reader, const struct project_shape *shape, json_t **ret);

/* The value that says: there is one, but none that can be used. NULL: no memory. */
json_t *kube_reader_mark(const char *defect);
