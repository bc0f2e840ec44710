/* SPDX-License-Identifier: Apache-2.0 */
/* The only place where text becomes a number. Total functions: no I/O, no globals, no locale. */
#pragma once

#include <stdint.h>

/* Whole string, decimal digits only. 0, -EINVAL (not a number), -ERANGE (above max). */
int parse_u64(const char *text, uint64_t max, uint64_t *ret);
