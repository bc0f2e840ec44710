// SPDX-License-Identifier: Apache-2.0
#include "http/response.h"

#include <stdio.h>
#include <string.h>

void http_response_done(struct http_response *resp)
{
	text_done(&resp->body);
	memset(resp, 0, sizeof(*resp));
}

void http_response_add_header(struct http_response *resp, const char *name, const char *value)
{
	struct http_header *header = &resp->headers[resp->n_headers];

	if (resp->n_headers == HTTP_RESPONSE_HEADERS)
		return;
	header->name = name;
	snprintf(header->value, sizeof(header->value), "%s", value);
	resp->n_headers++;
}

/* 404 and 401 belong to a healthy conversation (clients probe and renew); the others do not. */
static bool ends_connection(unsigned status)
{
	return status >= 400 && status != 404 && status != 401 && status < 500;
}

void http_response_begin(struct http_response *resp, unsigned status, const char *content_type)
{
	resp->status = status;
	resp->content_type = content_type;
	resp->close = ends_connection(status);
}
