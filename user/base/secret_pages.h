/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for secrets that live long: whole pages, which are not swapped out, in no core dump, and wiped. */
#pragma once

#include <stddef.h>

/*
 * Zeroed. Locked as far as RLIMIT_MEMLOCK goes: beyond it the pages are as good, but may be swapped out. NULL: no
 * memory.
 */
void *secret_pages_new(size_t size);

/* size: as it was made with. Returns NULL; NULL is fine. */
void *secret_pages_free(void *pages, size_t size);
