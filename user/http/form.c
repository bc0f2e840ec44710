// SPDX-License-Identifier: Apache-2.0
#include "http/form.h"

#include <errno.h>
#include <string.h>

#include "http/percent.h"

/* One byte, decoded; moves *at behind it. */
static int next_byte(const char **at, const char *end)
{
	int c = (unsigned char)*(*at)++;

	if (c == '+')
		return ' ';
	if (c == '%') {
		c = end - *at < 2 ? -EINVAL : http_percent_byte(*at);
		*at += 2;
	}
	return c ?: -EINVAL;
}

/* From text up to end, where there is room for the NUL: decoding makes nothing longer. */
static int decode(char *text, const char *end)
{
	const char *at = text;
	char *out = text;

	while (at < end) {
		int c = next_byte(&at, end);

		if (c < 0)
			return c;
		*out++ = (char)c;
	}
	*out = '\0';
	return 0;
}

static int read_pair(char *text, char *end, struct http_form_pair *ret)
{
	char *equals = memchr(text, '=', (size_t)(end - text));

	if (!equals || equals == text || decode(text, equals) < 0 || decode(equals + 1, end) < 0)
		return -EINVAL;
	*ret = (struct http_form_pair){text, equals + 1};
	return 0;
}

int http_form_parse(char *text, size_t len, struct http_form_pair *ret, size_t max)
{
	char *last = text + len;
	size_t n = 0;

	for (char *at = text, *end; at < last; at = end + 1) {
		end = memchr(at, '&', (size_t)(last - at)) ?: last;
		if (end == at)
			continue;
		if (n == max)
			return -E2BIG;
		if (read_pair(at, end, &ret[n++]) < 0)
			return -EINVAL;
	}
	return (int)n;
}
