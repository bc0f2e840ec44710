/* SPDX-License-Identifier: Apache-2.0 */
/* Texts whose memory is wiped before it is freed, and files that hold them. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/* Returns NULL; NULL is fine. */
char *secret_free(char *text);

static inline void cleanup_secret(char **text)
{
	secret_free(*text);
}

#define _cleanup_secret_ _cleanup_(cleanup_secret)

/* free() and realloc() for a library that handles secrets: what is given back is wiped first. */
void secret_wiping_free(void *p);
void *secret_wiping_realloc(void *p, size_t size);

/* As file_read(), without a copy of the file in freed memory. */
int secret_read(const char *path, size_t max, char **ret, size_t *ret_len);
