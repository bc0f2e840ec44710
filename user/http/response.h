/* SPDX-License-Identifier: Apache-2.0 */
/* One answer. A handler fills it in, the server sends it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define HTTP_RESPONSE_HEADERS 3

struct http_header {
	const char *name; /* static text */
	char value[64];
};

/* All zero at first. */
struct http_response {
	unsigned status;
	const char *content_type; /* static text */
	struct text body; /* owned; wiped when freed */
	struct http_header headers[HTTP_RESPONSE_HEADERS];
	size_t n_headers;
	bool close; /* end the connection after this answer */
};

/* Wipes and frees; leaves an empty response. */
void http_response_done(struct http_response *resp);

/* What does not fit is left out. */
void http_response_add_header(struct http_response *resp, const char *name, const char *value);

/* Status and type; the body is the caller's. Ends the connection after what no client in its right
 * mind asks, so that its next request is not read. */
void http_response_begin(struct http_response *resp, unsigned status, const char *content_type);
