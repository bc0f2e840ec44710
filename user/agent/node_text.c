// SPDX-License-Identifier: Apache-2.0
#include "agent/node_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"

#define FRESH_NS (60 * CLOCK_S) /* the resolver writes every 15 s */
#define MAX_SIZE (256 * 1024)

/* Not by the clock that the file has: it may be set. A new text is a new file. */
static bool is_same(const struct node_text *text, const struct stat *st)
{
	return text->ino == st->st_ino && text->written.tv_sec == st->st_mtim.tv_sec &&
	       text->written.tv_nsec == st->st_mtim.tv_nsec;
}

static int check_age(struct node_text *text, uint64_t now_ns)
{
	struct stat st;

	if (stat(text->path, &st) < 0)
		return -errno;
	if (is_same(text, &st))
		return now_ns - text->since_ns > FRESH_NS ? -ESTALE : 0;
	text->ino = st.st_ino;
	text->written = st.st_mtim;
	text->since_ns = now_ns;
	return 0;
}

/* Half a line would spoil what comes after it. */
static int check_end(const char *s, size_t len)
{
	return len && s[len - 1] == '\n' ? 0 : -EBADMSG;
}

int agent_node_text_read(struct node_text *text, uint64_t now_ns, char **ret)
{
	char *s = NULL;
	size_t len = 0;
	int r = check_age(text, now_ns);

	if (r == 0)
		r = file_read(text->path, MAX_SIZE, &s, &len);
	if (r == 0)
		r = check_end(s, len);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}
