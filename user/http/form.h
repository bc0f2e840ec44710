/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a form (application/x-www-form-urlencoded), as a body or a query has it. */
#pragma once

#include <stddef.h>

struct http_form_pair {
	const char *name, *value;
};

/*
 * Cuts text into pairs and decodes them, all in place: the pairs point into it. It has len bytes, and room for a NUL
 * behind them. Empty pieces ("a=1&&b=2") are passed over. Returns how many pairs there are. -EINVAL: a piece without
 * "=", or without a name; a malformed escape; a NUL; -E2BIG: more than max. ret and text are undefined then.
 */
int http_form_parse(char *text, size_t len, struct http_form_pair *ret, size_t max);
