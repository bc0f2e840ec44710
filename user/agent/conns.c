// SPDX-License-Identifier: Apache-2.0
#include "conns.h"

#include <stdlib.h>
#include <sys/socket.h>

void conns_init(struct conns *c, unsigned max_per_pod)
{
	pthread_mutex_init(&c->lock, NULL);
	c->head = NULL;
	c->max_per_pod = max_per_pod;
}

void conns_done(struct conns *c)
{
	pthread_mutex_destroy(&c->lock);
}

static unsigned count_pod(const struct conns *c, uint64_t pod)
{
	unsigned n = 0;

	for (const struct conn *conn = c->head; conn; conn = conn->next)
		n += conn->pod == pod;
	return n;
}

struct conn *conns_add(struct conns *c, int fd, uint64_t pod, int64_t now_ms)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	*conn = (struct conn){.fd = fd, .pod = pod, .since_ms = now_ms};
	pthread_mutex_lock(&c->lock);
	if (count_pod(c, pod) >= c->max_per_pod) {
		pthread_mutex_unlock(&c->lock);
		free(conn);
		return NULL;
	}
	conn->next = c->head;
	if (c->head)
		c->head->prev = conn;
	c->head = conn;
	pthread_mutex_unlock(&c->lock);
	return conn;
}

void conns_touch(struct conns *c, struct conn *conn, int64_t now_ms)
{
	pthread_mutex_lock(&c->lock);
	conn->since_ms = now_ms;
	pthread_mutex_unlock(&c->lock);
}

void conns_remove(struct conns *c, struct conn *conn)
{
	pthread_mutex_lock(&c->lock);
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		c->head = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	pthread_mutex_unlock(&c->lock);
	free(conn);
}

void conns_expire(struct conns *c, int64_t now_ms, int64_t limit_ms)
{
	pthread_mutex_lock(&c->lock);
	/* Under the lock each fd is open: its owner removes it here before it closes it. */
	for (struct conn *conn = c->head; conn; conn = conn->next)
		if (now_ms - conn->since_ms >= limit_ms)
			shutdown(conn->fd, SHUT_RDWR);
	pthread_mutex_unlock(&c->lock);
}
