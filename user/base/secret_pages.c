// SPDX-License-Identifier: Apache-2.0
#include "base/secret_pages.h"

#include <string.h>
#include <sys/mman.h>

void *secret_pages_new(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return NULL;
	madvise(pages, size, MADV_DONTDUMP);
	mlock(pages, size);
	return pages;
}

void *secret_pages_free(void *pages, size_t size)
{
	if (!pages)
		return NULL;
	explicit_bzero(pages, size);
	munmap(pages, size); /* which unlocks them */
	return NULL;
}
