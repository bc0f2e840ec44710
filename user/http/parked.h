/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait, by what they wait for. Their connections are suspended, so that they occupy
 * no thread of libmicrohttpd. An epoll instance of our own notices when a client hangs up
 * meanwhile, or is shut down by conns.c.
 */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct parked_request {
	struct parked_request *prev, *next; /* of the same key */
	struct parked_key *key; /* while it is parked */
	struct MHD_Connection *connection;
	int fd;
	int64_t deadline_ms;
	uint64_t wanted; /* the key */
	unsigned seen; /* parked.wakes, before the handler looked */
};

struct parked {
	pthread_mutex_t lock;
	struct parked_key *keys;
	unsigned count;
	bool closing;
	int64_t next_ms; /* no deadline comes before it; INT64_MAX: none */
	atomic_uint wakes;
	int epoll_fd; /* readable: there is something to do */
	int change_fd; /* an eventfd in it: somebody parked */
};

int http_parked_init(struct parked *p);
void http_parked_done(struct parked *p);

/* Whether the connection has ended in both directions. */
bool http_parked_is_gone(int fd);

/* Suspends the connection. 1; 0 when what it waits for may have happened, or the end is near: run the
 * handler again; -errno. */
int http_parked_add(struct parked *p, struct parked_request *r);

void http_parked_wake(struct parked *p, uint64_t key);

/* Resumes whose time is up, and those whose clients are gone. */
void http_parked_expire(struct parked *p, int64_t now_ms);

/* Asks about each key, with the socket of one request, and wakes it if so. */
void http_parked_poll(struct parked *p, bool (*ask)(void *ctx, uint64_t key, int fd), void *ctx);

/* When there is something to do, given that waiting requests are polled at poll_ms. */
int64_t http_parked_next(struct parked *p, int64_t poll_ms);

/* Resumes everybody, admits nobody any more. */
void http_parked_close(struct parked *p);
bool http_parked_is_closing(struct parked *p);
unsigned http_parked_count(struct parked *p);
