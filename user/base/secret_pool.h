/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for secrets that stay: not swapped, if RLIMIT_MEMLOCK allows it, in no core dump and in no child process,
 * and wiped when it is released. It is taken from the kernel piece by piece, and kept for the next one. Any thread
 * may call these functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SECRET_POOL_MAX 32752 /* bytes of one piece */

/* All zero, aligned for anything. NULL: larger than that, or no memory. */
void *secret_pool_alloc(size_t size);

/* Returns NULL; NULL is fine. */
void *secret_pool_free(void *memory);

/* Whether any of it could not be locked so far. */
bool secret_pool_is_swappable(void);
