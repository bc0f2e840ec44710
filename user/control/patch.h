/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON patch (RFC 6902) that is made and tried out at the same time. A patch that does not apply would have the API
 * server refuse the pod, whatever the failure policy says, so none leaves that has not been applied here.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* All zero, but document: the object that operations are applied to at once. */
struct patch {
	json_t *document;
	json_t *operations; /* in order; NULL: none yet */
	int error; /* the first one; nothing is done after it */
};

/* path: a JSON pointer, format as printf's, of up to 255 bytes. value is taken, NULL counts as out of memory. */
__attribute__((format(printf, 3, 4))) void patch_add(struct patch *patch, json_t *value,
						     const char *path, ...);
__attribute__((format(printf, 2, 3))) void patch_remove(struct patch *patch, const char *path, ...);

bool patch_is_empty(const struct patch *patch);

/* Drops the operations; the document stays as it is. */
void patch_done(struct patch *patch);

/*
 * Applies operations to document: add and remove, which is what is made here. -EINVAL: it does not apply; the
 * document is then anything. -ENOMEM.
 */
int patch_apply(json_t *document, const json_t *operations);
