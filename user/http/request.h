/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request, as a handler sees it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/server.h"

/* Headers that the parser of another server or a relay might read differently are not guessed at: the
 * request is ambiguous, and to be refused. Plain values; the strings live as long as the request. */
struct http_head {
	const char *method;
	const char *target; /* as the client sent it, query included: http/path.h */
	const char *host; /* NULL: none, which only HTTP/1.0 may */
	const char *extra[HTTP_EXTRA_MAX]; /* values in the order of http_options, NULL: none */
	bool host_repeated; /* more than one Host header */
	bool authorization; /* a non-empty Authorization header */
	/* Its text, if http_options.authorization_max has room for it, wiped after the request; else NULL. */
	const char *authorization_text;
	size_t authorization_len;
	bool forwarded; /* X-Forwarded-For and the like: somebody relays for somebody else */
	bool ambiguous; /* another parser might read another request */
	bool too_large; /* it announces a body that no request may have, which is not read */
};

/* GET or HEAD. */
bool http_is_read(const struct http_head *head);

struct http_request;

const struct http_head *http_request_head(const struct http_request *req);

/* The accepted socket; the server's. */
int http_request_fd(const struct http_request *req);

/* What http_options.share said of its connection. */
uint64_t http_request_share(const struct http_request *req);

/* The common name in the client's certificate, if http_options.tls believes that now; else NULL. */
const char *http_request_peer(const struct http_request *req, char *buf, size_t size);

/* http_options.body_max bytes at most, or what body_room has said; wiped after the request. Not NUL-terminated; NULL when it is empty. */
const char *http_request_body(const struct http_request *req, size_t *ret_len);

/* Of each header, as it was sent, without blanks around the value. Neither is NUL-terminated. */
typedef void http_header_fn(void *arg, const char *name, size_t name_len, const char *value,
			    size_t value_len);
void http_request_each_header(const struct http_request *req, http_header_fn *fn, void *arg);

/* The client's address as text, or NULL. */
const char *http_request_client(const struct http_request *req, char *buf, size_t size);

/* When the request had been read to its end, by CLOCK_MONOTONIC. The same in each step: deadlines count
 * from it. */
int64_t http_request_since_ms(const struct http_request *req);
uint64_t http_request_since_ns(const struct http_request *req);

/* ---- requests that wait ---- */

#define HTTP_DONE   0
#define HTTP_PARKED 1

/*
 * For a handler to return: it is called again from its beginning, and by whatever thread, once
 * http_wake() names the key, or the deadline has come, or the server stops; possibly earlier. No thread
 * waits meanwhile. A wake that comes between the handler's look and its park is not lost.
 *
 * HTTP_PARKED, or what keeps it from waiting: -ETIMEDOUT after the deadline, -ESHUTDOWN when the
 * server stops (both are to be answered), -EPIPE when the client has gone (to be returned).
 */
int http_park(struct http_request *req, int64_t deadline_ms, uint64_t key);
