// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <stdbool.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* last: the two digits in which the alphabets differ. */
static int value_of(char c, const char last[2])
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	if (at && at < alphabet + 62)
		return (int)(at - alphabet);
	return c == last[0] ? 62 : c == last[1] ? 63 : -1;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\r\n");
}

/* Bits that pad the last byte have to be 0, else two texts would mean the same. */
static bool is_end(unsigned digits, uint32_t bits)
{
	static const uint32_t unused[4] = {0, 0, 0xf, 3};

	return digits != 1 && !(bits & unused[digits]);
}

static int check_end(const char *text, unsigned digits, uint32_t bits)
{
	unsigned pads = 0;

	while (*(text = skip_blanks(text)) == '=') {
		text++;
		pads++;
	}
	return !*text && pads == (4 - digits) % 4 && is_end(digits, bits) ? 0 : -EINVAL;
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
	while ((r = value_of(*(text = skip_blanks(text)), "+/")) >= 0) {
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

int base64_url_decode(const char *text, size_t len, uint8_t *ret, size_t *ret_len)
{
	uint32_t bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int value = value_of(text[i], "-_");

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4)
			ret[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	if (!is_end(len % 4, bits))
		return -EINVAL;
	*ret_len = n;
	return 0;
}

/* Three bytes, or what is left of them at the end, as four characters; the last ones are padding then. */
static void encode(const uint8_t *bytes, size_t left, const char last[2], char ret[4])
{
	uint32_t bits = (uint32_t)bytes[0] << 16 | (left > 1 ? (uint32_t)bytes[1] << 8 : 0) |
			(left > 2 ? bytes[2] : 0);

	for (size_t i = 0; i < 4; i++) {
		uint32_t value = bits >> (18 - 6 * i) & 63;

		ret[i] = i > left ? '=' : value < 62 ? alphabet[value] : last[value - 62];
	}
}

void base64_encode(struct text *t, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	char four[4];

	for (size_t i = 0; i < len; i += 3) {
		encode(bytes + i, len - i, "+/", four);
		text_add_bytes(t, four, sizeof(four));
	}
}

void base64_url_encode(struct text *t, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	char four[4];

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;

		encode(bytes + i, left, "-_", four);
		text_add_bytes(t, four, left > 2 ? 4 : left + 1);
	}
}
