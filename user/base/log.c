// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"

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

static json_t *json_line(enum log_level level)
{
	struct timespec now;
	struct tm tm;
	char day[32], stamp[48];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(stamp, sizeof(stamp), "%s.%03ldZ", day, now.tv_nsec / 1000000);
	return json_pack("{ssssss}", "time", stamp, "level", level_name[level], "program",
			 settings.program);
}

static void json_emit(json_t *line)
{
	_cleanup_free_ char *text = json_dumps(line, JSON_COMPACT);

	if (text)
		fprintf(stderr, "%s\n", text);
	json_decref(line);
}

/* Client-made text must not be able to start a new line or to move a terminal. */
static void put_clean(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	if (settings.json) {
		json_t *line = json_line(level);

		json_object_set_new(line, "message", json_stringn_nocheck(text, strlen(text)));
		json_emit(line);
		return;
	}
	flockfile(stderr);
	fprintf(stderr, "%s: ", settings.program);
	if (level != LOG_LEVEL_INFO)
		fprintf(stderr, "%s: ", level_name[level]);
	put_clean(stderr, text);
	fputc('\n', stderr);
	funlockfile(stderr);
}

static bool needs_quotes(const char *v)
{
	return !*v || strpbrk(v, " \"=\\") || strcspn(v, "\t\r\n") != strlen(v);
}

static void put_quoted(FILE *out, const char *value)
{
	if (!needs_quotes(value)) {
		put_clean(out, value);
		return;
	}
	fputc('"', out);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		fputc((unsigned char)*value < 0x20 || *value == 0x7f ? '?' : *value, out);
	}
	fputc('"', out);
}

static void event_json(enum log_level level, const char *event, va_list ap)
{
	json_t *line = json_line(level);
	const char *key, *value;

	json_object_set_new(line, "event", json_string(event));
	while ((key = va_arg(ap, const char *))) {
		value = va_arg(ap, const char *);
		if (!value)
			continue;
		/* not UTF-8: keep the line, lose the value */
		json_object_set_new(line, key, json_string(value) ?: json_string("(not UTF-8)"));
	}
	json_emit(line);
}

void log_event(enum log_level level, const char *event, ...)
{
	const char *key, *value;
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, event);
	if (settings.json) {
		event_json(level, event, ap);
		va_end(ap);
		return;
	}
	flockfile(stderr);
	fprintf(stderr, "%s: %s", settings.program, event);
	while ((key = va_arg(ap, const char *))) {
		value = va_arg(ap, const char *);
		if (!value)
			continue;
		fprintf(stderr, " %s=", key);
		put_quoted(stderr, value);
	}
	fputc('\n', stderr);
	funlockfile(stderr);
	va_end(ap);
}
