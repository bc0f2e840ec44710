/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests whose pod has no name yet. Their connections are suspended, so that no polling thread
 * blocks, and asked for again by the ticker until the name is there or the time is up.
 */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent.h"

struct waiter {
	struct waiter *next;
	struct MHD_Connection *connection;
	int fd;
	int64_t deadline_ms;
};

struct waiting {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* first waiter came, or closing */
	struct waiter *head;
	unsigned count;
	bool closing;
};

void waiting_init(struct waiting *w);
void waiting_done(struct waiting *w);

/* Whether the connection has ended in both directions. libmicrohttpd does not look while it is
 * suspended. */
bool waiting_gone(int fd);

/* Suspends the connection. false: the end is near. No limit: each waiter is a connection, and
 * conns.h shares these out fairly. */
bool waiting_park(struct waiting *w, struct waiter *waiter);

/* Resumes who has a name now, lost the identity, is gone, or is out of time. */
void waiting_check(struct waiting *w, agent_peer_fn peer, int64_t now_ms);

/* Resumes everybody, admits nobody any more, wakes the ticker. */
void waiting_close(struct waiting *w);

/* Sleeps at most busy_ms while somebody waits, else at most idle_ms. false: closing. */
bool waiting_sleep(struct waiting *w, unsigned busy_ms, unsigned idle_ms);
