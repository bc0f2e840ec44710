// SPDX-License-Identifier: Apache-2.0
#include "http/path.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "http/percent.h"

/* One byte of a segment; moves *s behind it. */
static int next_byte(const char **s)
{
	int c = (unsigned char)*(*s)++;

	if (c == '%') {
		c = http_percent_byte(*s);
		if (c < 0)
			return -EINVAL;
		*s += 2;
		if (c == '/')
			return -EINVAL;
	}
	return c < 0x20 || c == 0x7f ? -EINVAL : c;
}

static bool ends_segment(char c)
{
	return c == '\0' || c == '/' || c == '?' || c == '#';
}

/* out holds "/a/b", without a slash at the end; removes "/b". */
static int drop_last(char *out, size_t *len)
{
	if (*len == 0)
		return -EINVAL;
	do
		(*len)--;
	while (out[*len] != '/');
	return 0;
}

/* Appends the segment at *s to out as "/segment". *ret_dir: what follows the last slash names a
 * directory, so the path ends in one. */
static int add_segment(const char **s, char *out, size_t size, size_t *len, bool *ret_dir)
{
	size_t start = *len, used;
	const char *segment;

	if (start + 2 > size)
		return -ENAMETOOLONG;
	out[(*len)++] = '/';
	while (!ends_segment(**s)) {
		int c = next_byte(s);

		if (c < 0)
			return c;
		if (*len + 2 > size)
			return -ENAMETOOLONG;
		out[(*len)++] = (char)c;
	}
	segment = out + start + 1;
	used = *len - start - 1;
	*ret_dir = true;
	if (used == 0 || (used == 1 && segment[0] == '.')) {
		*len = start;
		return 0;
	}
	if (used == 2 && !memcmp(segment, "..", 2)) {
		*len = start;
		return drop_last(out, len);
	}
	*ret_dir = false;
	return 0;
}

int http_path_normalise(const char *target, char *ret, size_t size)
{
	const char *s = target;
	size_t len = 0;
	bool dir = true;

	if (size < 2)
		return -ENAMETOOLONG;
	if (*s != '/')
		return -EINVAL;
	while (*s == '/') {
		int r;

		s++;
		r = add_segment(&s, ret, size, &len, &dir);
		if (r < 0)
			return r;
	}
	if (dir) {
		if (len + 2 > size)
			return -ENAMETOOLONG;
		ret[len++] = '/';
	}
	ret[len] = '\0';
	return 0;
}
