// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/secret.h"

static int value_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\r\n");
}

/* Bits that pad the last byte have to be 0, else two texts would mean the same. */
static int check_end(const char *text, unsigned digits, uint32_t bits)
{
	static const uint32_t unused[4] = {0, 0, 0xf, 3};
	unsigned pads = 0;

	while (*(text = skip_blanks(text)) == '=') {
		text++;
		pads++;
	}
	return !*text && digits != 1 && pads == (4 - digits) % 4 && !(bits & unused[digits])
		       ? 0
		       : -EINVAL;
}

int base64_decode(const char *text, char **ret, size_t *ret_len)
{
	_cleanup_secret_ char *out = malloc(strlen(text) / 4 * 3 + 4);
	uint32_t bits = 0;
	unsigned digits = 0;
	size_t len = 0;
	int r;

	if (!out)
		return -ENOMEM;
	while ((r = value_of(*(text = skip_blanks(text)))) >= 0) {
		bits = bits << 6 | (uint32_t)r;
		digits = (digits + 1) % 4;
		if (digits != 1)
			out[len++] = (char)(bits >> (digits ? 8 - 2 * digits : 0) & 0xff);
		text++;
	}
	r = check_end(text, digits, bits);
	if (r < 0)
		return r;
	out[len] = '\0';
	*ret = TAKE_PTR(out);
	if (ret_len)
		*ret_len = len;
	return 0;
}
