/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may hold how many connections, and how long. No slot can be held by sending a byte now and
 * then (libmicrohttpd's own timeout restarts with each byte), and when all slots are taken the pod
 * that holds most gives one up: however many pods work together, each other pod can have
 * total / (pods connected). A pod that holds most itself gives up one that nobody waits for.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CONN_MAX_REQUESTS 100
#define CONN_MAX_AGE_MS	  60000

/* So long a client may take over its request, before the connection counts as one that rests. */
#define CONN_PATIENCE_MS 1000

/* In place of a pod's cgroup id, for callers without a stamp. */
#define CONN_OUTSIDE 0
#define CONN_NODE    UINT64_MAX /* from the agent's own address: a process of the node */

struct conn_owner;

enum conn_state {
	CONN_QUIET, /* came, or was answered, and has not asked since */
	CONN_ASKING, /* a request has begun, and is not whole yet */
	CONN_ANSWERING, /* the client waits for us */
};

struct conn {
	struct conn *prev, *next; /* of the same owner, the newest first */
	struct conn_owner *owner; /* NULL: shut down, holds no slot any more */
	int fd;
	bool unknown; /* of a caller without a stamp */
	enum conn_state state;
	unsigned requests;
	int64_t opened_ms;
	int64_t since_ms; /* accepted, or last answer done */
	int64_t began_ms; /* accepted, or last request begun */
};

struct conn_limits {
	unsigned total; /* of all pods; the others take nothing of it */
	unsigned outside; /* CONN_OUTSIDE */
	unsigned node; /* CONN_NODE */
};

struct conns {
	pthread_mutex_t lock;
	struct conn_limits limits;
	struct conn_owner *owners;
	unsigned count; /* of all pods */
};

void conns_init(struct conns *c, const struct conn_limits *limits);
void conns_done(struct conns *c);

/* pod: pod_cgroup_id, CONN_OUTSIDE or CONN_NODE. May shut another connection down to make room.
 * NULL: no memory, or all are this pod's and waited for; then the caller shuts fd down. */
struct conn *conns_add(struct conns *c, int fd, uint64_t pod, int64_t now_ms);
void conns_remove(struct conns *c, struct conn *conn);

/* A request begins; it is whole; its answer is done. */
void conns_begin(struct conns *c, struct conn *conn, int64_t now_ms);
void conns_whole(struct conns *c, struct conn *conn);
void conns_end(struct conns *c, struct conn *conn, int64_t now_ms);

/* Whether the request that has begun is to be the last one of its connection. */
bool conns_is_last(struct conns *c, const struct conn *conn, int64_t now_ms);

/* Shuts down every connection without a finished request since limit_ms. */
void conns_expire(struct conns *c, int64_t now_ms, int64_t limit_ms);
