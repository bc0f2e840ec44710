/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may hold how many connections, and how long. No slot can be held by sending a byte now and
 * then (libmicrohttpd's own timeout restarts with each byte), and when all slots are taken the pod
 * that holds most gives one up: however many pods work together, each other pod can have
 * total / (pods connected).
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CONN_MAX_REQUESTS 100
#define CONN_MAX_AGE_MS	  60000

struct conn_owner;

struct conn {
	struct conn *prev, *next; /* of the same owner */
	struct conn_owner *owner; /* NULL: shut down, holds no slot any more */
	int fd;
	bool unknown; /* of a caller without a stamp */
	bool busy; /* between a request's first line and the end of its answer */
	unsigned requests;
	int64_t opened_ms;
	int64_t since_ms; /* accepted, or last answer done */
};

struct conn_limits {
	unsigned total; /* of all pods */
	unsigned per_pod;
	unsigned unknown; /* unknown callers, who take nothing of the total */
};

struct conns {
	pthread_mutex_t lock;
	struct conn_limits limits;
	struct conn_owner *owners;
	unsigned count; /* of all pods */
};

void conns_init(struct conns *c, const struct conn_limits *limits);
void conns_done(struct conns *c);

/* pod: pod_cgroup_id; 0: unknown caller. May shut another connection down to make room. NULL: no
 * memory, or this pod has its share already; then the caller shuts fd down. */
struct conn *conns_add(struct conns *c, int fd, uint64_t pod, int64_t now_ms);
void conns_remove(struct conns *c, struct conn *conn);

/* A request begins; its answer is done. */
void conns_begin(struct conns *c, struct conn *conn);
void conns_end(struct conns *c, struct conn *conn, int64_t now_ms);

/* Whether the request that has begun is to be the last one of its connection. */
bool conns_is_last(struct conns *c, const struct conn *conn, int64_t now_ms);

/* Shuts down every connection without a finished request since limit_ms. */
void conns_expire(struct conns *c, int64_t now_ms, int64_t limit_ms);
