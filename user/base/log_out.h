/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The destination of log.c's lines: directly to stderr, or through a queue that one thread empties.
 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_MAX PIPE_BUF

/* One line, with its newline. */
void log_out(const char *line, size_t len);

/* The line in place of count others; of log.c. Returns its length. */
size_t log_format_dropped(uint64_t count, char ret[LOG_LINE_MAX]);
