/* SPDX-License-Identifier: Apache-2.0 */
/* Several texts in one piece of memory. */
#pragma once

#include <stddef.h>
#include <string.h>

/* With its NUL; nothing for NULL. */
static inline size_t pack_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* Copies text to *at, which it moves behind it. Returns the copy; NULL for NULL. */
static inline const char *pack_put(char **at, const char *text)
{
	char *copy = *at;

	if (!text)
		return NULL;
	*at = stpcpy(copy, text) + 1;
	return copy;
}
