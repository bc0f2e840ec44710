/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that are planted in a confined child, to see what comes of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* do_NAME(), which makes the call, and a row of it. */
#define PLANT(name, call)                                                                          \
	static long do_##name(void)                                                                \
	{                                                                                          \
		return call;                                                                       \
	}
#define ROW(name)                                                                                  \
	{                                                                                          \
#name, do_##name                                                                   \
	}

struct planted_row {
	const char *name;
	long (*call)(void);
};

struct planted_rows {
	const struct planted_row *row;
	size_t n;
};

/* What no daemon may do, nor a program that it executes; and what may be done by such a program alone. */
extern const struct planted_rows planted_never, planted_by_programs;

/* The errno of a call in a child, 0 when it did something; 255 when the child could not be confined. */
int planted_outcome(long (*call)(void), int (*confine)(int how), int how);

/* Each of them has that outcome. One that has it without confinement, too, proves nothing, and is named: there must not be
 * many. */
void planted_expect(const struct planted_rows *rows, int (*confine)(int how), int how, int wanted);

/* For a row: a thread can be started. */
long planted_threads(void);

/* For main(), in place of tests: an emulator (qemu-user) has no seccomp filters. Says so. */
bool planted_is_skipped(void);
