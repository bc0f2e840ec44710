// SPDX-License-Identifier: Apache-2.0
/* MODULES: http */
/* Request targets, against a second reader that was written for this test alone. */
#include "fuzz.h"

#include <errno.h>

#include "http/path.h"

#define SEGMENTS 512

struct model {
	char text[8192]; /* decoded segments, one after another, each ended by NUL */
	char *segment[SEGMENTS];
	size_t n, used;
	bool dir;
};

static int hex(int c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	if (c >= '0' && c <= '9')
		return c - '0';
	return at && at - digits >= 10 ? (int)(at - digits) : -1;
}

static bool model_segment(struct model *m, const char *from, size_t len)
{
	char *to = m->text + m->used, *start = to;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)from[i];

		if (c == '%') {
			if (i + 2 >= len || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0)
				return false;
			c = hex(from[i + 1]) * 16 + hex(from[i + 2]);
			i += 2;
		}
		if (c == '/' || c < 32 || c == 127)
			return false;
		*to++ = (char)c;
	}
	*to++ = '\0';
	m->dir = true;
	if (!strcmp(start, "..")) {
		if (!m->n)
			return false;
		m->n--;
	} else if (*start && strcmp(start, ".") != 0) {
		m->used = (size_t)(to - m->text);
		m->segment[m->n++] = start;
		m->dir = false;
	}
	return true;
}

/* False: refused. */
static bool model_read(struct model *m, const char *target)
{
	size_t len = strcspn(target, "?#"), at = 0;

	m->n = m->used = 0;
	m->dir = true;
	if (target[0] != '/')
		return false;
	while (at < len) {
		size_t n = strcspn(target + at + 1, "/?#");

		if (!model_segment(m, target + at + 1, n))
			return false;
		at += n + 1;
	}
	return true;
}

static void model_write(const struct model *m, char *out)
{
	*out = '\0';
	for (size_t i = 0; i < m->n; i++) {
		strcat(out, "/");
		strcat(out, m->segment[i]);
	}
	if (m->dir)
		strcat(out, "/");
}

/* Nobody may read the answer as another path than we do. */
static void check_canonical(const char *path)
{
	size_t len = strlen(path);

	MUST(path[0] == '/' && !strstr(path, "//") && !strstr(path, "/./") &&
	     !strstr(path, "/../"));
	MUST(len < 3 || strcmp(path + len - 3, "/..") != 0);
	MUST(len < 2 || strcmp(path + len - 2, "/.") != 0);
	for (; *path; path++)
		MUST((unsigned char)*path >= 32 && *path != 127);
}

/* Whatever the room: the same path, or that there is too little. */
static void check_room(const char *target, const char *full, size_t size)
{
	char *small = malloc(size + !size);
	int r;

	if (!small)
		abort();
	r = http_path_normalise(target, small, size);
	if (r == 0)
		MUST(strlen(full) < size && !strcmp(small, full));
	else
		MUST(r == -ENAMETOOLONG);
	free(small);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model model;
	static char want[sizeof(model.text) + SEGMENTS + 2];
	char *target = fuzz_string(data, size < SEGMENTS - 2 ? size : SEGMENTS - 2);
	size_t room = strlen(target) + 2;
	char *path = malloc(room);
	int r;

	if (!path)
		abort();
	r = http_path_normalise(target, path, room);
	MUST((r == 0) == model_read(&model, target));
	if (r == 0) {
		model_write(&model, want);
		MUST(!strcmp(path, want));
		check_canonical(path);
		for (size_t n = strlen(path); n <= strlen(path) + 3; n++)
			check_room(target, path, n);
		check_room(target, path, strlen(path) / 2);
	} else {
		MUST(r == -EINVAL);
	}
	free(path);
	free(target);
	return 0;
}
