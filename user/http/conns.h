/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may hold how many connections, and for how long. Nobody can hold a slot by sending a byte now
 * and then. libmicrohttpd's own timeout is off: it restarts with each byte, and it closes without another
 * look at the socket, where a request may wait that a busy machine has not let us read. When all slots are taken, the
 * caller that holds most gives one up: however many callers collude, any other can have total /
 * (callers connected). A caller that itself holds most gives up a connection that nobody waits for.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/server.h"

#define CONN_MAX_REQUESTS 100
#define CONN_MAX_AGE_MS	  60000

/* So long a client may take over its request, before the connection counts as one that rests. */
#define CONN_PATIENCE_MS 1000

struct conn_owner;
struct http_tls_pair;

enum conn_state {
	CONN_QUIET, /* came, or was answered, and has not asked since */
	CONN_ASKING, /* a request has begun, and is not whole yet */
	CONN_ANSWERING, /* the client waits for us */
};

struct conn {
	struct conn *prev, *next; /* of the same owner, the newest first */
	struct conn_owner *owner; /* NULL: shut down, holds no slot any more */
	int fd;
	uint64_t share;
	enum conn_state state;
	unsigned requests;
	int64_t opened_ms;
	int64_t since_ms; /* accepted, or last answer done */
	int64_t began_ms; /* accepted, or last request begun */
	struct http_server *server; /* this and the next: exchange.c's */
	struct http_tls_pair *pair; /* that its handshake has taken; NULL: none yet */
};

struct conn_times {
	int64_t idle_ms; /* from one answer to the next request */
	int64_t request_ms; /* to the first request, and for each one, until its answer is sent */
};

struct conns {
	pthread_mutex_t lock;
	struct http_limits limits;
	struct conn_owner *owners;
	unsigned count; /* of all that are told apart */
	bool draining;
};

void http_conns_init(struct conns *c, const struct http_limits *limits);
void http_conns_done(struct conns *c);

/* May shut another connection down to make room.
 * NULL: no memory, or all are this share's and waited for; then the caller shuts fd down. */
struct conn *http_conns_add(struct conns *c, int fd, uint64_t share, int64_t now_ms);
void http_conns_remove(struct conns *c, struct conn *conn);

/* A request begins; it is whole; its answer is done. */
void http_conns_begin(struct conns *c, struct conn *conn, int64_t now_ms);
void http_conns_whole(struct conns *c, struct conn *conn);
void http_conns_end(struct conns *c, struct conn *conn, int64_t now_ms);

/* Whether the request that has begun is to be the last one of its connection. */
bool http_conns_is_last(struct conns *c, const struct conn *conn, int64_t now_ms);

/* Shuts down every connection whose time is up, but not one whose request has come and has not been read:
 * then it is us who take so long. */
void http_conns_expire(struct conns *c, int64_t now_ms, const struct conn_times *times);

/* From now on each request is the last one of its connection; connections that rest are shut down. Returns how
 * many are left: of those who wait for an answer, and those who have not asked yet. */
unsigned http_conns_drain(struct conns *c);

/* Of each kind; parked is left alone. */
void http_conns_count(struct conns *c, struct http_counts *ret);
