// SPDX-License-Identifier: Apache-2.0
#include "http/conns.h"

#include <stdlib.h>
#include <sys/socket.h>

/* There while it has connections. */
struct conn_owner {
	struct conn_owner *prev, *next;
	uint64_t share;
	unsigned count;
	struct conn *head;
};

void http_conns_init(struct conns *c, const struct http_limits *limits)
{
	pthread_mutex_init(&c->lock, NULL);
	c->limits = *limits;
	c->owners = NULL;
	c->count = 0;
	c->draining = false;
}

void http_conns_done(struct conns *c)
{
	pthread_mutex_destroy(&c->lock);
}

static struct conn_owner *find_owner(struct conns *c, uint64_t share)
{
	struct conn_owner *owner = c->owners;

	while (owner && owner->share != share)
		owner = owner->next;
	return owner;
}

static struct conn_owner *new_owner(struct conns *c, uint64_t share)
{
	struct conn_owner *owner = calloc(1, sizeof(*owner));

	if (!owner)
		return NULL;
	*owner = (struct conn_owner){.share = share, .next = c->owners};
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
	c->count += http_share_is_known(owner->share);
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
	c->count -= http_share_is_known(owner->share);
	if (--owner->count == 0)
		free_owner(c, owner);
}

/* Under the lock the fd is open: libmicrohttpd calls http_conns_remove() before it closes it. */
static void drop(struct conns *c, struct conn *conn)
{
	unlink_conn(c, conn);
	shutdown(conn->fd, SHUT_RDWR);
}

static bool has_input(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* Whether somebody will miss it: a client that waits for us, or has not had the time to ask. */
static bool is_wanted(const struct conn *conn, int64_t now_ms)
{
	switch (conn->state) {
	case CONN_ANSWERING:
		return true;
	case CONN_ASKING:
		return now_ms - conn->began_ms < CONN_PATIENCE_MS;
	case CONN_QUIET:
		break;
	}
	return conn->requests == 0 && now_ms - conn->began_ms < CONN_PATIENCE_MS;
}

/* One that rests rather than one that is wanted, then the longest without an answer, then the
 * oldest, which is further down. */
static struct conn *compare(const struct conn_owner *owner, int64_t now_ms)
{
	struct conn *best = owner->head;
	bool best_wanted = is_wanted(best, now_ms);

	for (struct conn *conn = best->next; conn; conn = conn->next) {
		bool wanted = is_wanted(conn, now_ms);

		if (wanted != best_wanted ? best_wanted : conn->since_ms <= best->since_ms) {
			best = conn;
			best_wanted = wanted;
		}
	}
	return best;
}

/* The one that is missed least. */
static struct conn *least_useful(const struct conn_owner *owner, int64_t now_ms)
{
	struct conn *best = compare(owner, now_ms);

	/* its next request may be there, and only not have been read yet */
	while (best->state == CONN_QUIET && !is_wanted(best, now_ms) && has_input(best->fd)) {
		best->state = CONN_ASKING;
		best->began_ms = now_ms;
		best = compare(owner, now_ms);
	}
	return best;
}

static struct conn *oldest(const struct conn_owner *owner)
{
	struct conn *conn = owner->head;

	while (conn->next)
		conn = conn->next;
	return conn;
}

static struct conn_owner *largest_known(const struct conns *c)
{
	struct conn_owner *largest = NULL;

	for (struct conn_owner *owner = c->owners; owner; owner = owner->next)
		if (http_share_is_known(owner->share) &&
		    (!largest || owner->count > largest->count))
			largest = owner;
	return largest;
}

/* Sets *ret_victim to the connection that has to go first, if any. false: no room for this one. */
static bool admit_known(struct conns *c, const struct conn_owner *owner, int64_t now_ms,
			struct conn **ret_victim)
{
	unsigned own = owner ? owner->count : 0;
	const struct conn_owner *largest;

	if (c->count < c->limits.total)
		return true;
	largest = largest_known(c);
	if (!largest)
		return false;
	if (largest->count > own) {
		*ret_victim = least_useful(largest, now_ms);
		return true;
	}
	*ret_victim = least_useful(owner, now_ms);
	return !is_wanted(*ret_victim, now_ms);
}

static bool admit(struct conns *c, uint64_t share, int64_t now_ms, struct conn **ret_victim)
{
	const struct conn_owner *owner = find_owner(c, share);
	unsigned limit = share == HTTP_SHARE_LOCAL ? c->limits.local : c->limits.unknown;

	*ret_victim = NULL;
	if (http_share_is_known(share))
		return admit_known(c, owner, now_ms, ret_victim);
	/* Nobody tells them apart, and what they may ask takes no time: what has just come is
	 * about to ask, and what has been there for longest does not mean to. */
	if (owner && owner->count >= limit)
		*ret_victim = oldest(owner);
	return true;
}

static bool add_locked(struct conns *c, struct conn *conn, uint64_t share, int64_t now_ms)
{
	struct conn_owner *owner;
	struct conn *victim;

	if (!admit(c, share, now_ms, &victim))
		return false;
	if (victim)
		drop(c, victim);
	/* only now: the victim may have been its owner's last, and of this share */
	owner = find_owner(c, share) ?: new_owner(c, share);
	if (owner)
		link_conn(c, owner, conn);
	return owner;
}

struct conn *http_conns_add(struct conns *c, int fd, uint64_t share, int64_t now_ms)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	bool added;

	if (!conn)
		return NULL;
	*conn = (struct conn){.fd = fd,
			      .share = share,
			      .opened_ms = now_ms,
			      .since_ms = now_ms,
			      .began_ms = now_ms};
	pthread_mutex_lock(&c->lock);
	added = add_locked(c, conn, share, now_ms);
	pthread_mutex_unlock(&c->lock);
	if (added)
		return conn;
	free(conn);
	return NULL;
}

void http_conns_remove(struct conns *c, struct conn *conn)
{
	pthread_mutex_lock(&c->lock);
	if (conn->owner)
		unlink_conn(c, conn);
	pthread_mutex_unlock(&c->lock);
	free(conn);
}

void http_conns_begin(struct conns *c, struct conn *conn, int64_t now_ms)
{
	pthread_mutex_lock(&c->lock);
	conn->state = CONN_ASKING;
	conn->began_ms = now_ms;
	conn->requests++;
	pthread_mutex_unlock(&c->lock);
}

void http_conns_whole(struct conns *c, struct conn *conn)
{
	pthread_mutex_lock(&c->lock);
	conn->state = CONN_ANSWERING;
	pthread_mutex_unlock(&c->lock);
}

void http_conns_end(struct conns *c, struct conn *conn, int64_t now_ms)
{
	pthread_mutex_lock(&c->lock);
	conn->state = CONN_QUIET;
	conn->since_ms = now_ms;
	pthread_mutex_unlock(&c->lock);
}

bool http_conns_is_last(struct conns *c, const struct conn *conn, int64_t now_ms)
{
	bool last;

	pthread_mutex_lock(&c->lock);
	last = c->draining || conn->requests >= CONN_MAX_REQUESTS ||
	       now_ms - conn->opened_ms >= CONN_MAX_AGE_MS;
	pthread_mutex_unlock(&c->lock);
	return last;
}

static int64_t deadline(const struct conn *conn, const struct conn_times *times)
{
	if (conn->state != CONN_QUIET)
		return conn->began_ms + times->request_ms;
	return conn->since_ms + (conn->requests ? times->idle_ms : times->request_ms);
}

static bool is_expired(const struct conn *conn, int64_t now_ms, const struct conn_times *times)
{
	if (now_ms < deadline(conn, times))
		return false;
	/* what we answer we have read */
	return conn->state == CONN_ANSWERING || !has_input(conn->fd);
}

static void expire_owner(struct conns *c, struct conn_owner *owner, int64_t now_ms,
			 const struct conn_times *times)
{
	struct conn *conn = owner->head;

	while (conn) {
		struct conn *next = conn->next; /* NULL: owner may be gone after this one */

		if (is_expired(conn, now_ms, times))
			drop(c, conn);
		conn = next;
	}
}

void http_conns_expire(struct conns *c, int64_t now_ms, const struct conn_times *times)
{
	struct conn_owner *owner, *next;

	pthread_mutex_lock(&c->lock);
	for (owner = c->owners; owner; owner = next) {
		next = owner->next;
		expire_owner(c, owner, now_ms, times);
	}
	pthread_mutex_unlock(&c->lock);
}

static unsigned end_resting(struct conns *c, struct conn_owner *owner)
{
	struct conn *conn = owner->head;
	unsigned left = 0;

	while (conn) {
		struct conn *next = conn->next; /* NULL: owner may be gone after this one */

		if (conn->state == CONN_QUIET && conn->requests && !has_input(conn->fd))
			drop(c, conn);
		else
			left++;
		conn = next;
	}
	return left;
}

unsigned http_conns_drain(struct conns *c)
{
	struct conn_owner *owner, *next;
	unsigned left = 0;

	pthread_mutex_lock(&c->lock);
	c->draining = true;
	for (owner = c->owners; owner; owner = next) {
		next = owner->next;
		left += end_resting(c, owner);
	}
	pthread_mutex_unlock(&c->lock);
	return left;
}

void http_conns_count(struct conns *c, struct http_counts *ret)
{
	pthread_mutex_lock(&c->lock);
	ret->known = c->count;
	ret->unknown = ret->local = 0;
	for (const struct conn_owner *owner = c->owners; owner; owner = owner->next) {
		if (owner->share == HTTP_SHARE_UNKNOWN)
			ret->unknown = owner->count;
		if (owner->share == HTTP_SHARE_LOCAL)
			ret->local = owner->count;
	}
	pthread_mutex_unlock(&c->lock);
}
