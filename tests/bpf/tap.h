/* SPDX-License-Identifier: Apache-2.0 */
/* Results as TAP, the form that tests/run.sh reads. */
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_n, tap_failed;

__attribute__((format(printf, 2, 3))) static inline int tap_check(int ok, const char *format, ...)
{
	va_list args;

	tap_n++;
	tap_failed += !ok;
	printf("%s %d - ", ok ? "ok" : "not ok", tap_n);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return ok;
}

static inline void tap_same(long long want, long long got, const char *what)
{
	if (!tap_check(want == got, "%s", what))
		printf("#   want: %lld\n#   got:  %lld\n", want, got);
}

static inline int tap_done(void)
{
	printf("1..%d\n", tap_n);
	return tap_failed || !tap_n ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* No result can be had: tests/run.sh sees a test without a plan, which fails. */
__attribute__((noreturn)) static inline void tap_bail(const char *what)
{
	printf("Bail out! %s: %m\n", what);
	exit(EXIT_FAILURE);
}
