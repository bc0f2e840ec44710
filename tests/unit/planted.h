/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that are planted in a confined child, to see what comes of them. */
#pragma once

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

/* The errno of a call in a child, 0 when it did something; 255 when the child could not be confined. */
int planted_outcome(long (*call)(void), int (*confine)(int how), int how);

/* For a row: a thread can be started. */
long planted_threads(void);
