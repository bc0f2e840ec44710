/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All open connections: so that one pod cannot take every slot, and so that none can be held by
 * sending a byte now and then (libmicrohttpd's own timeout restarts with each byte).
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

struct conn {
	struct conn *prev, *next;
	int fd;
	uint64_t pod; /* pod_cgroup_id; 0: unknown caller */
	int64_t since_ms; /* accepted, or last answer done */
};

struct conns {
	pthread_mutex_t lock;
	struct conn *head;
	unsigned max_per_pod;
};

void conns_init(struct conns *c, unsigned max_per_pod);
void conns_done(struct conns *c);

/* NULL: no memory, or this pod has its share already; then the caller shuts fd down. */
struct conn *conns_add(struct conns *c, int fd, uint64_t pod, int64_t now_ms);
void conns_touch(struct conns *c, struct conn *conn, int64_t now_ms);
void conns_remove(struct conns *c, struct conn *conn);

/* Shuts down every connection without a finished request since limit_ms. */
void conns_expire(struct conns *c, int64_t now_ms, int64_t limit_ms);
