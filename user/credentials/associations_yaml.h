/* SPDX-License-Identifier: Apache-2.0 */
/* Between associations.c (what the values mean) and associations_yaml.c (how they are written). */
#pragma once

#include <stddef.h>

#include "associations.h"

struct associations_doc {
	struct association *entries;
	unsigned entries_count;
};

/* Shape only: types, unknown, repeated and missing keys. 0 or -errno with err filled. */
int associations_yaml_load(const char *name, const char *text, size_t len,
			   struct associations_doc **ret, struct pc_err *err);

/* Wipes and frees; NULL is fine. */
void associations_yaml_free(struct associations_doc *doc);

/* The line (from 1) of the last such key in entry number entry (from 0), else of the entry
 * itself; 0 when even that is not there. ret_problem (may be NULL): what libyaml has against the
 * text, static, or NULL; the line is then the place of the problem. */
size_t associations_yaml_line(const char *text, size_t len, long entry, const char *key,
			      const char **ret_problem);
