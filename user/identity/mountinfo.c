// SPDX-License-Identifier: Apache-2.0
#include "identity/mountinfo.h"

#include <stddef.h>
#include <string.h>

/* Fields of a line before the optional ones, and after the lone "-" that ends those. */
#define FIELD_ROOT  3
#define FIELD_POINT 4

struct mount_line {
	char *root, *point;
	const char *type;
};

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The kernel writes blank, tab, newline, backslash and '#' as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && is_octal(s[2]) &&
		    is_octal(s[3])) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

static bool split_line(char *line, struct mount_line *ret)
{
	struct mount_line m = {0};
	char *field;

	for (int i = 0; (field = strsep(&line, " ")) != NULL; i++) {
		if (i == FIELD_ROOT)
			m.root = field;
		else if (i == FIELD_POINT)
			m.point = field;
		else if (i > FIELD_POINT && strcmp(field, "-") == 0)
			break;
	}
	m.type = strsep(&line, " ");
	if (!m.root || !m.point || !m.type || m.root[0] != '/' || m.point[0] != '/')
		return false;
	unescape(m.root);
	unescape(m.point);
	*ret = m;
	return true;
}

/*
 * How much of the hierarchy a mount shows: "/" is the reader's own cgroup namespace root, each
 * "/.." one level more, and any other component is only a part of it.
 */
static int reach_of_root(const char *root)
{
	int up = 0;

	while (strncmp(root, "/..", 3) == 0 && (root[3] == '/' || root[3] == '\0')) {
		up++;
		root += 3;
	}
	return *root == '\0' || strcmp(root, "/") == 0 ? up : -1;
}

/* Of two mounts on one place the later one is seen. Of two that show the same, the shorter path is the usual
 * one: the other is below a mount of the host's root. */
static bool is_better(const char *point, int reach, const char *best, int best_reach)
{
	if (!best || strcmp(point, best) == 0)
		return true;
	return reach != best_reach ? reach > best_reach : strlen(point) < strlen(best);
}

struct mountinfo_pick mountinfo_pick_cgroup2(char *text, bool (*usable)(const char *path))
{
	struct mountinfo_pick pick = {0};
	int best = 0;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		struct mount_line m;
		int reach;

		if (!split_line(line, &m))
			continue;
		if (strcmp(m.type, "cgroup") == 0)
			pick.saw_v1 = true;
		if (strcmp(m.type, "cgroup2") != 0 || !usable(m.point))
			continue;
		reach = reach_of_root(m.root);
		if (is_better(m.point, reach, pick.path, best)) {
			pick.path = m.point;
			best = reach;
		}
	}
	return pick;
}
