/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* What a noun ends with behind that number: printf("%u pod%s", n, plural(n)). */
static inline const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}
