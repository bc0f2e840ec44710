/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The headers of one request, as far as anything here depends on them. libmicrohttpd is lenient:
 * blanks before the colon stay in the name, a folded line is joined to its name, a trailing blank
 * stays in the value. Where another parser on the way might have read something else, nothing is
 * guessed: the request is marked and refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "http/request.h"

/* Longer than any value that is right. */
#define HEADER_VALUE_SIZE 64

struct header_value {
	bool seen;
	char text[HEADER_VALUE_SIZE]; /* without blanks around it; "?" when it does not fit */
};

/* All else zero before the first header. */
struct headers {
	const char *const *extra_names; /* of http_options: HTTP_EXTRA_MAX; NULL: none */
	size_t authorization_max; /* of http_options */
	bool bodies; /* a request may have one */
	struct header_value host, length, encoding, extra[HTTP_EXTRA_MAX];
	bool host_repeated;
	bool authorization;
	const char *authorization_text; /* where it was found; NULL: there is no such header */
	size_t authorization_len;
	bool forwarded;
	bool ambiguous;
};

/* value stays where it is as long as h. */
void http_headers_add(struct headers *h, const char *name, size_t name_len, const char *value,
		      size_t value_len);

/* Blanks around a value. */
void http_headers_trim(const char **value, size_t *len);

/* To head, whose method is set. What is taken points into h. */
void http_headers_apply(const struct headers *h, struct http_head *head);

/* Whether a body of more than max bytes is announced. */
bool http_headers_length_above(const struct headers *h, size_t max);

/* Whether its value is to be wiped when nobody needs it any more. */
bool http_headers_is_secret(const char *name, size_t name_len);
