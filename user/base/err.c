// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int pc_err_set(struct pc_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return code;
}

int pc_err_prefix(struct pc_err *err, int code, const char *fmt, ...)
{
	char prefix[256];
	size_t len, keep;
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	len = strlen(prefix);
	keep = strnlen(err->msg, sizeof(err->msg) - len - 3);
	memmove(err->msg + len + 2, err->msg, keep);
	memcpy(err->msg, prefix, len);
	memcpy(err->msg + len, ": ", 2);
	err->msg[len + 2 + keep] = '\0';
	return code;
}
