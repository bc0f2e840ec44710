/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server for callers that do not trust each other: shares of connections, limits of
 * time and size, requests that wait without a thread. The user of this module says who called; here
 * a caller is only a number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "http/response.h"

struct http_request; /* http/request.h */
struct http_tls; /* http/tls.h */

/* Headers that a server may ask for beside those that it knows. */
#define HTTP_EXTRA_MAX 4

/* Whose part of the connections one takes. Any other number: a caller that is told apart from others. */
#define HTTP_SHARE_UNKNOWN 0
#define HTTP_SHARE_LOCAL   UINT64_MAX /* not told apart either, but certainly on this machine */

static inline bool http_share_is_known(uint64_t share)
{
	return share != HTTP_SHARE_UNKNOWN && share != HTTP_SHARE_LOCAL;
}

struct http_limits {
	unsigned total; /* connections of all that are told apart */
	unsigned unknown; /* HTTP_SHARE_UNKNOWN, which take nothing of it */
	unsigned local; /* HTTP_SHARE_LOCAL, likewise */
};

/*
 * One step of an answer. HTTP_DONE: the response is there; what http_park() says: it is called again;
 * or a negative errno: the connection ends without an answer. Called from several threads at once; must
 * not block. The response is empty before, and freed by the server.
 */
typedef int (*http_handler_fn)(void *ctx, struct http_request *req, struct http_response *resp);

/* All but listen, ctx and handle may be left zero. Nothing is kept by reference after http_start(),
 * but ctx, tls and the names of headers. */
struct http_options {
	const struct net_addr *listen; /* addresses to listen on, ports not zero */
	size_t n_listen;
	const int *listen_fds; /* plain TCP listeners made by the caller, who keeps them */
	size_t n_listen_fds;
	bool handover; /* share the addresses with an older server of this user, and take over from it */
	bool may_be_deaf; /* start even if it can listen nowhere yet */
	bool late; /* does not listen on these addresses before http_listen() */
	struct http_limits limits; /* none of them zero */
	unsigned threads; /* for each listener; 1 */
	unsigned idle_timeout_s; /* from one answer to the next request; 10 */
	unsigned request_timeout_ms; /* to the first request, and for each one; 60000 */
	size_t authorization_max; /* bytes of an Authorization header whose text the handler sees; 0: of none */
	const char *extra_headers[HTTP_EXTRA_MAX]; /* to find in http_head.extra; NULL: no more */
	struct http_tls *tls; /* NULL: no TLS */
	size_t body_max; /* bytes of a body that the handler sees; 0: it sees none, and small ones are read */

	void *ctx;
	http_handler_fn handle;
	/* Whose share a new connection takes. Default: HTTP_SHARE_UNKNOWN. */
	uint64_t (*share)(void *ctx, int fd);
	/* In place of body_max, for a request that announces a body, before the handler is called. */
	size_t (*body_room)(void *ctx, const struct http_request *req);
	/* A connection there was no room for, before it is shut down. */
	void (*refused)(void *ctx, int fd);
	/* Asked every poll_ms while requests wait, once for each key whatever number waits for it,
	 * with the socket of one of them: whether to wake the key. Must not call the server. */
	bool (*poll)(void *ctx, uint64_t key, int fd);
	unsigned poll_ms;
	/* Once a second, from http_turn(). */
	void (*tick)(void *ctx, int64_t now_ms);
};

struct http_server;

/* Listens, answers in threads of its own. An address that the machine does not have yet is no error,
 * while there is another to listen on. */
int http_start(const struct http_options *options, struct http_server **ret, struct pc_err *err);

/* Whether any socket listens on that address, of whatever user. */
bool http_is_listened_on(const struct net_addr *addr);

/* Whether it listens on options->listen[i]; if not, tries again. 0, or why not. For one thread at a
 * time. */
int http_listen(struct http_server *server, size_t i, struct pc_err *err);

/*
 * What is to be done beside answering, by one thread at a time: requests whose deadline has come or
 * whose client has gone, connections that dawdle, poll() and tick(). http_turn() does it, and returns
 * after how many milliseconds it is to be called again, or earlier: when http_fd() is readable.
 */
int http_fd(const struct http_server *server);
int http_turn(struct http_server *server);

/* Resumes all requests that wait for this key. From any thread, at any time. */
void http_wake(struct http_server *server, uint64_t key);

struct http_counts {
	unsigned known, unknown, local; /* connections, by share */
	unsigned parked; /* requests that wait */
};
struct http_counts http_counts(const struct http_server *server);

/* For a server that is about to stop: each answer is the last one of its connection from now on, and connections that
 * rest end. It still listens, for those that are in the queue already. Returns how many connections somebody waits on,
 * or has not asked on yet; to be called until there are none, or no longer. */
unsigned http_drain(struct http_server *server);

/* Closes the listeners and all connections, idle and parked ones too, and frees. NULL is fine. */
void http_stop(struct http_server *server);
