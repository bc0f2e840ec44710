// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log_out.h"

static struct {
	const char *program;
	enum log_level max;
	bool json;
} settings = {.program = "podcred", .max = LOG_LEVEL_INFO};

static const char *const level_name[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/* For people: what ends a command needs no word for it. */
static const char *const level_prefix[] = {
	[LOG_LEVEL_ERROR] = "",
	[LOG_LEVEL_WARN] = "warning: ",
	[LOG_LEVEL_INFO] = "",
	[LOG_LEVEL_DEBUG] = "debug: ",
};

void log_setup(const char *program, enum log_level max, bool json)
{
	settings.program = program;
	settings.max = max;
	settings.json = json;
}

bool log_enabled(enum log_level level)
{
	return level <= settings.max;
}

/* ---- a line of bounded length ---- */

#define TAIL_JSON "\",\"cut\":true}\n" /* the longest end of a line: room is kept for it */

struct line {
	char text[LOG_LINE_MAX];
	size_t len;
	bool cut; /* what comes now has no room */
};

static void put(struct line *line, const char *s, size_t len)
{
	if (len >= sizeof(line->text) - sizeof(TAIL_JSON) - line->len)
		line->cut = true;
	if (line->cut)
		return;
	memcpy(line->text + line->len, s, len);
	line->len += len;
}

static void put_text(struct line *line, const char *s)
{
	put(line, s, strlen(s));
}

static void put_tail(struct line *line, const char *s)
{
	size_t len = strlen(s);

	memcpy(line->text + line->len, s, len);
	line->len += len;
}

/* Length of the UTF-8 character at s, 0 if there is none. */
static size_t character(const char *s, unsigned *ret)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *u = (const unsigned char *)s;
	size_t len = *u < 0x80 ? 1 : *u < 0xc0 ? 0 : *u < 0xe0 ? 2 : *u < 0xf0 ? 3 : 4;
	unsigned c = len < 2 ? *u : *u & (0x7fU >> len);

	for (size_t i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (!len || c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return len;
}

/* Client-made text must not be able to start a new line, to move a terminal, or to spoil JSON. */
static void put_clean(struct line *line, const char *s, bool quoted)
{
	char unicode[8];

	while (*s) {
		unsigned c = 0;
		size_t len = character(s, &c);
		bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);

		if (len && control && settings.json)
			put(line, unicode, (size_t)sprintf(unicode, "\\u%04x", c));
		else if (!len || control)
			put(line, "?", 1);
		else if (quoted && (c == '"' || c == '\\'))
			put(line, (const char[]){'\\', (char)c}, 2);
		else
			put(line, s, len);
		s += len ?: 1;
	}
}

/* ---- a line as JSON: its first members are the same for all ---- */

static void put_member(struct line *line, const char *key, const char *value)
{
	size_t before = line->len;

	put_text(line, line->len ? ",\"" : "{\"");
	put_clean(line, key, true);
	put_text(line, "\":\"");
	if (line->cut) {
		line->len = before;
		return;
	}
	put_clean(line, value, true);
	put_tail(line, "\"");
}

static void begin_json(struct line *line, enum log_level level)
{
	char day[32], stamp[48];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(stamp, sizeof(stamp), "%s.%03ldZ", day, now.tv_nsec / 1000000);
	put_member(line, "time", stamp);
	put_member(line, "level", level_name[level]);
	put_member(line, "program", settings.program);
}

static void end(struct line *line)
{
	if (settings.json)
		put_tail(line, line->cut ? ",\"cut\":true}\n" : "}\n");
	else
		put_tail(line, line->cut ? "...\n" : "\n");
}

/* ---- what is said ---- */

static void format_message(struct line *line, enum log_level level, const char *text)
{
	if (settings.json) {
		begin_json(line, level);
		put_member(line, "message", text);
	} else {
		put_text(line, settings.program);
		put_text(line, ": ");
		put_text(line, level_prefix[level]);
		put_clean(line, text, false);
	}
	end(line);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	struct line line = {};
	char text[LOG_LINE_MAX];
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	format_message(&line, level, text);
	log_out(line.text, line.len);
}

size_t log_format_dropped(uint64_t count, char ret[LOG_LINE_MAX])
{
	struct line line = {};
	char text[128];

	snprintf(text, sizeof(text),
		 "%" PRIu64 " log lines were dropped here: stderr was not read in time", count);
	format_message(&line, LOG_LEVEL_WARN, text);
	memcpy(ret, line.text, line.len);
	return line.len;
}

static bool needs_quotes(const char *v)
{
	return !*v || strpbrk(v, " \"=\\") || strcspn(v, "\t\r\n") != strlen(v);
}

static void put_field(struct line *line, const char *key, const char *value)
{
	bool quoted = needs_quotes(value);
	size_t before = line->len;

	put_text(line, " ");
	put_text(line, key);
	put_text(line, quoted ? "=\"" : "=");
	if (line->cut) {
		line->len = before;
		return;
	}
	put_clean(line, value, quoted);
	if (quoted)
		put_tail(line, "\"");
}

void log_event(enum log_level level, const char *event, ...)
{
	struct line line = {};
	const char *key, *value;
	va_list ap;

	if (!log_enabled(level))
		return;
	if (settings.json) {
		begin_json(&line, level);
		put_member(&line, "event", event);
	} else {
		put_text(&line, settings.program);
		put_text(&line, ": ");
		put_text(&line, event);
	}
	va_start(ap, event);
	while ((key = va_arg(ap, const char *))) {
		value = va_arg(ap, const char *);
		if (value && settings.json)
			put_member(&line, key, value);
		else if (value)
			put_field(&line, key, value);
	}
	va_end(ap);
	end(&line);
	log_out(line.text, line.len);
}
