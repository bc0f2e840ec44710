/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <errno.h>

static inline int http_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -EINVAL;
}

/* The two digits behind a percent sign: the byte, or -EINVAL. Reads the second only if the first is a digit. */
static inline int http_percent_byte(const char *digits)
{
	int high = http_hex_digit(digits[0]);
	int low = high < 0 ? high : http_hex_digit(digits[1]);

	return low < 0 ? -EINVAL : high << 4 | low;
}
