// SPDX-License-Identifier: Apache-2.0
#include "conns.h"

#include <stdlib.h>
#include <sys/socket.h>

#define UNKNOWN 0

/* There while it has connections. */
struct conn_owner {
	struct conn_owner *prev, *next;
	uint64_t pod;
	unsigned count;
	struct conn *head;
};

void conns_init(struct conns *c, const struct conn_limits *limits)
{
	pthread_mutex_init(&c->lock, NULL);
	c->limits = *limits;
	c->owners = NULL;
	c->count = 0;
}

void conns_done(struct conns *c)
{
	pthread_mutex_destroy(&c->lock);
}

static struct conn_owner *find_owner(struct conns *c, uint64_t pod)
{
	struct conn_owner *owner = c->owners;

	while (owner && owner->pod != pod)
		owner = owner->next;
	return owner;
}

static struct conn_owner *new_owner(struct conns *c, uint64_t pod)
{
	struct conn_owner *owner = calloc(1, sizeof(*owner));

	if (!owner)
		return NULL;
	*owner = (struct conn_owner){.pod = pod, .next = c->owners};
	if (c->owners)
		c->owners->prev = owner;
	c->owners = owner;
	return owner;
}

static void free_owner(struct conns *c, struct conn_owner *owner)
{
	if (owner->prev)
		owner->prev->next = owner->next;
	else
		c->owners = owner->next;
	if (owner->next)
		owner->next->prev = owner->prev;
	free(owner);
}

static void link_conn(struct conns *c, struct conn_owner *owner, struct conn *conn)
{
	conn->owner = owner;
	conn->next = owner->head;
	if (owner->head)
		owner->head->prev = conn;
	owner->head = conn;
	owner->count++;
	c->count += owner->pod != UNKNOWN;
}

/* Gives its slot back. */
static void unlink_conn(struct conns *c, struct conn *conn)
{
	struct conn_owner *owner = conn->owner;

	if (conn->prev)
		conn->prev->next = conn->next;
	else
		owner->head = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	conn->owner = NULL;
	c->count -= owner->pod != UNKNOWN;
	if (--owner->count == 0)
		free_owner(c, owner);
}

/* Under the lock the fd is open: libmicrohttpd calls conns_remove() before it closes it. */
static void drop(struct conns *c, struct conn *conn)
{
	unlink_conn(c, conn);
	shutdown(conn->fd, SHUT_RDWR);
}

/* The one that is missed least: idle rather than busy, then the longest without an answer, then the
 * oldest, which is further down. */
static struct conn *least_useful(const struct conn_owner *owner)
{
	struct conn *best = owner->head;

	for (struct conn *conn = best->next; conn; conn = conn->next)
		if (conn->busy != best->busy ? best->busy : conn->since_ms <= best->since_ms)
			best = conn;
	return best;
}

static struct conn_owner *largest_pod(const struct conns *c)
{
	struct conn_owner *largest = NULL;

	for (struct conn_owner *owner = c->owners; owner; owner = owner->next)
		if (owner->pod != UNKNOWN && (!largest || owner->count > largest->count))
			largest = owner;
	return largest;
}

/* Sets *ret_victim to the connection that has to go first, if any. false: no room for this one. */
static bool admit(struct conns *c, uint64_t pod, struct conn **ret_victim)
{
	const struct conn_owner *owner = find_owner(c, pod), *largest;
	unsigned own = owner ? owner->count : 0;

	*ret_victim = NULL;
	if (pod == UNKNOWN) {
		/* Nobody tells them apart: a health check must get in when others dawdle. */
		if (own && own >= c->limits.unknown)
			*ret_victim = least_useful(owner);
		return true;
	}
	if (own >= c->limits.per_pod)
		return false;
	if (c->count < c->limits.total)
		return true;
	largest = largest_pod(c);
	if (!largest || largest->count <= own)
		return false;
	*ret_victim = least_useful(largest);
	return true;
}

static bool add_locked(struct conns *c, struct conn *conn, uint64_t pod)
{
	struct conn_owner *owner;
	struct conn *victim;

	if (!admit(c, pod, &victim))
		return false;
	if (victim)
		drop(c, victim);
	/* only now: the victim may have been its owner's last, and this pod's */
	owner = find_owner(c, pod) ?: new_owner(c, pod);
	if (owner)
		link_conn(c, owner, conn);
	return owner;
}

struct conn *conns_add(struct conns *c, int fd, uint64_t pod, int64_t now_ms)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	bool added;

	if (!conn)
		return NULL;
	*conn = (struct conn){
		.fd = fd, .unknown = pod == UNKNOWN, .opened_ms = now_ms, .since_ms = now_ms};
	pthread_mutex_lock(&c->lock);
	added = add_locked(c, conn, pod);
	pthread_mutex_unlock(&c->lock);
	if (added)
		return conn;
	free(conn);
	return NULL;
}

void conns_remove(struct conns *c, struct conn *conn)
{
	pthread_mutex_lock(&c->lock);
	if (conn->owner)
		unlink_conn(c, conn);
	pthread_mutex_unlock(&c->lock);
	free(conn);
}

void conns_begin(struct conns *c, struct conn *conn)
{
	pthread_mutex_lock(&c->lock);
	conn->busy = true;
	conn->requests++;
	pthread_mutex_unlock(&c->lock);
}

void conns_end(struct conns *c, struct conn *conn, int64_t now_ms)
{
	pthread_mutex_lock(&c->lock);
	conn->busy = false;
	conn->since_ms = now_ms;
	pthread_mutex_unlock(&c->lock);
}

bool conns_is_last(struct conns *c, const struct conn *conn, int64_t now_ms)
{
	bool last;

	pthread_mutex_lock(&c->lock);
	last = conn->requests >= CONN_MAX_REQUESTS || now_ms - conn->opened_ms >= CONN_MAX_AGE_MS;
	pthread_mutex_unlock(&c->lock);
	return last;
}

static void expire_owner(struct conns *c, struct conn_owner *owner, int64_t before_ms)
{
	struct conn *conn = owner->head;

	while (conn) {
		struct conn *next = conn->next; /* NULL: owner may be gone after this one */

		if (conn->since_ms <= before_ms)
			drop(c, conn);
		conn = next;
	}
}

void conns_expire(struct conns *c, int64_t now_ms, int64_t limit_ms)
{
	struct conn_owner *owner, *next;

	pthread_mutex_lock(&c->lock);
	for (owner = c->owners; owner; owner = next) {
		next = owner->next;
		expire_owner(c, owner, now_ms - limit_ms);
	}
	pthread_mutex_unlock(&c->lock);
}
