/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One logger for daemons and commands: a line on stderr, as text or as JSON. Library modules do not
 * call it (debug excepted). A secret is never passed to it. A line is written whole or not at all,
 * is at most PIPE_BUF bytes long, and says so when it was cut (log_out.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Process-wide settings; call before any thread starts. program appears in every line. */
void log_setup(const char *program, enum log_level max, bool json);

/*
 * For daemons: from log_queue() on, lines are queued, and nobody waits until somebody reads them.
 * What finds no room is counted, and one line says how many. log_start() makes the thread that
 * writes, which keeps the privileges that its maker has: give them up first. -errno.
 */
void log_queue(void);
int log_start(void);

/* Before the process ends: what is queued is written, or for a second nobody has read it. */
void log_stop(void);

/* How many lines of this process found no room so far. */
uint64_t log_dropped(void);

/* Whether a line of this level would be written. */
bool log_enabled(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * A line with named fields, for audit and events: "event key=value ...", or one JSON object.
 * Arguments after event are pairs of const char * (key, value), ended by NULL; a NULL value is
 * left out. Values are quoted as needed, so a pod cannot forge a second line or field.
 */
__attribute__((sentinel)) void log_event(enum log_level level, const char *event, ...);
