/* SPDX-License-Identifier: Apache-2.0 */
/* YYYY-MM-DDTHH:MM:SSZ: the one form that every SDK reads, and the only one that is written. */
#pragma once

#include <time.h>

#define TIMESTAMP_SIZE 21

/* 0, or -ERANGE for a year without four digits. */
int timestamp_format(time_t when, char ret[TIMESTAMP_SIZE]);

/* 0 or -EINVAL. */
int timestamp_parse(const char *text, time_t *ret);

/* What other programs write (RFC 3339): perhaps with a fraction, which is cut off, or an offset for the Z. 0 or -EINVAL. */
int timestamp_parse_any(const char *text, time_t *ret);
