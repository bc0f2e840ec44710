/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are answered by the thread of a loop. The server's threads read each request whole, and copy it; no
 * thread waits while the loop finds the answer, which may take as many turns and other requests as it likes.
 *
 * Everything here is for the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http/response.h"
#include "http/server.h"

struct http_desk;
struct http_ticket;
struct loop;

struct http_field {
	const char *name, *value; /* without blanks around it */
};

/* One request. The copy is wiped when the ticket has been answered. */
struct http_ask {
	/* 0, or how the request is to be refused, before its body was read: 400, as another parser may have read
	 * another request, or 413 */
	unsigned refuse;
	const char *method;
	const char *target; /* as the client sent it, query included: escapes are not decoded */
	const char *client; /* its address; "" if it has none */
	const char *peer; /* the common name in its verified certificate; NULL: none */
	const struct http_field *fields; /* as they came */
	size_t n_fields;
	const char *body; /* with a NUL behind it, which does not count */
	size_t body_len;
	uint64_t since_ns; /* when it was whole, by CLOCK_MONOTONIC */
};

/* The value of the only field of that name, whatever its case; NULL: there is none. *ret_count (may be NULL): how
 * many there are; the first one counts then. */
const char *http_ask_get(const struct http_ask *ask, const char *name, size_t *ret_count);

struct http_desk_options {
	struct loop *loop;
	/* handle, ctx, poll, tick, refused and share are not used; body_max may be 0. Each client address has a share of
	 * the connections of its own. */
	struct http_options server;
	unsigned waiting_max; /* requests that are not answered yet; one more gets 503. Not 0 */
	unsigned deadline_ms; /* for the answer; then it is 503. Not 0 */
	void *arg;
	/* Each ticket is answered once: here, or at any time later, also when the client has gone meanwhile. */
	void (*handle)(void *arg, struct http_ticket *ticket);
};

int http_desk_start(const struct http_desk_options *options, struct http_desk **ret,
		    struct pc_err *err);

/* What the server does, see http/server.h. */
unsigned http_desk_drain(struct http_desk *desk);
struct http_counts http_desk_counts(const struct http_desk *desk);

/* Not from handle. Ends the server and its connections. Tickets that are not answered yet may be answered still, but nobody gets
 * it; the loop is not called for it any more. NULL is fine. */
void http_desk_stop(struct http_desk *desk);

const struct http_ask *http_ticket_ask(const struct http_ticket *ticket);

/* Sends it, and frees the ticket. Takes what is in resp, which is empty then. */
void http_ticket_answer(struct http_ticket *ticket, struct http_response *resp);
