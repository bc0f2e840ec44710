// SPDX-License-Identifier: Apache-2.0
#include "http/parked.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

/* There while somebody waits for it. */
struct parked_key {
	struct parked_key *prev, *next;
	uint64_t key;
	struct parked_request *head;
};

static int watch(int epoll_fd, int fd, uint32_t events, void *ptr)
{
	struct epoll_event event = {.events = events, .data.ptr = ptr};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_fds(struct parked *p)
{
	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->change_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->epoll_fd < 0 || p->change_fd < 0)
		return -errno;
	return watch(p->epoll_fd, p->change_fd, EPOLLIN, NULL);
}

int http_parked_init(struct parked *p)
{
	pthread_mutex_init(&p->lock, NULL);
	p->keys = NULL;
	p->count = 0;
	p->closing = false;
	p->next_ms = INT64_MAX;
	atomic_init(&p->wakes, 0);
	return open_fds(p);
}

void http_parked_done(struct parked *p)
{
	cleanup_close(&p->epoll_fd);
	cleanup_close(&p->change_fd);
	pthread_mutex_destroy(&p->lock);
}

bool http_parked_is_gone(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

static struct parked_key *find_key(struct parked *p, uint64_t key)
{
	struct parked_key *k = p->keys;

	while (k && k->key != key)
		k = k->next;
	return k;
}

static struct parked_key *new_key(struct parked *p, uint64_t key)
{
	struct parked_key *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	*k = (struct parked_key){.key = key, .next = p->keys};
	if (p->keys)
		p->keys->prev = k;
	p->keys = k;
	return k;
}

static void free_key(struct parked *p, struct parked_key *k)
{
	if (k->prev)
		k->prev->next = k->next;
	else
		p->keys = k->next;
	if (k->next)
		k->next->prev = k->prev;
	free(k);
}

static void link_request(struct parked *p, struct parked_key *k, struct parked_request *r)
{
	r->key = k;
	r->prev = NULL;
	r->next = k->head;
	if (k->head)
		k->head->prev = r;
	k->head = r;
	p->count++;
}

/* The request may be gone as soon as its connection runs, and its key with the last one. */
static void resume(struct parked *p, struct parked_request *r)
{
	struct parked_key *k = r->key;

	if (r->prev)
		r->prev->next = r->next;
	else
		k->head = r->next;
	if (r->next)
		r->next->prev = r->prev;
	p->count--;
	epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, r->fd, NULL);
	MHD_resume_connection(r->connection);
	if (!k->head)
		free_key(p, k);
}

static void resume_key(struct parked *p, struct parked_key *k)
{
	for (struct parked_request *r = k->head, *next; r; r = next) {
		next = r->next; /* NULL: the key is gone after this one */
		resume(p, r);
	}
}

/* Makes epoll_fd readable. */
static void notify(struct parked *p)
{
	eventfd_write(p->change_fd, 1);
}

static int add_locked(struct parked *p, struct parked_request *r)
{
	struct parked_key *k;
	int error;

	if (p->closing || atomic_load(&p->wakes) != r->seen)
		return 0;
	k = find_key(p, r->wanted) ?: new_key(p, r->wanted);
	if (!k)
		return -ENOMEM;
	/* no event asked for: a hangup is always reported */
	error = watch(p->epoll_fd, r->fd, EPOLLONESHOT, r);
	if (error < 0) {
		if (!k->head)
			free_key(p, k);
		return error;
	}
	/* before it is in the list: it may be resumed at once */
	MHD_suspend_connection(r->connection);
	link_request(p, k, r);
	if (p->count == 1 || r->deadline_ms < p->next_ms)
		notify(p);
	if (r->deadline_ms < p->next_ms)
		p->next_ms = r->deadline_ms;
	return 1;
}

int http_parked_add(struct parked *p, struct parked_request *r)
{
	int added;

	pthread_mutex_lock(&p->lock);
	added = add_locked(p, r);
	pthread_mutex_unlock(&p->lock);
	return added;
}

void http_parked_wake(struct parked *p, uint64_t key)
{
	struct parked_key *k;

	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->wakes, 1);
	k = find_key(p, key);
	if (k)
		resume_key(p, k);
	pthread_mutex_unlock(&p->lock);
}

/* What the epoll instance tells of. Under the lock: requests in it are in the list. */
static void take_events(struct parked *p)
{
	struct epoll_event events[64];
	uint64_t count;
	int n = epoll_wait(p->epoll_fd, events, ARRAY_SIZE(events), 0);

	for (int i = 0; i < n; i++)
		if (events[i].data.ptr)
			resume(p, events[i].data.ptr);
	while (read(p->change_fd, &count, sizeof(count)) > 0)
		;
}

static void expire_locked(struct parked *p, int64_t now_ms)
{
	if (now_ms < p->next_ms)
		return;
	p->next_ms = INT64_MAX;
	for (struct parked_key *k = p->keys, *next_key; k; k = next_key) {
		next_key = k->next;
		for (struct parked_request *r = k->head, *next; r; r = next) {
			next = r->next;
			if (r->deadline_ms <= now_ms)
				resume(p, r);
			else if (r->deadline_ms < p->next_ms)
				p->next_ms = r->deadline_ms;
		}
	}
}

void http_parked_expire(struct parked *p, int64_t now_ms)
{
	pthread_mutex_lock(&p->lock);
	take_events(p);
	expire_locked(p, now_ms);
	pthread_mutex_unlock(&p->lock);
}

void http_parked_poll(struct parked *p, bool (*ask)(void *ctx, uint64_t key, int fd), void *ctx)
{
	pthread_mutex_lock(&p->lock);
	for (struct parked_key *k = p->keys, *next; k; k = next) {
		next = k->next;
		if (ask(ctx, k->key, k->head->fd))
			resume_key(p, k);
	}
	pthread_mutex_unlock(&p->lock);
}

int64_t http_parked_next(struct parked *p, int64_t poll_ms)
{
	int64_t next;

	pthread_mutex_lock(&p->lock);
	next = p->count && poll_ms < p->next_ms ? poll_ms : p->next_ms;
	pthread_mutex_unlock(&p->lock);
	return next;
}

void http_parked_close(struct parked *p)
{
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	while (p->keys)
		resume_key(p, p->keys);
	pthread_mutex_unlock(&p->lock);
}

bool http_parked_is_closing(struct parked *p)
{
	bool closing;

	pthread_mutex_lock(&p->lock);
	closing = p->closing;
	pthread_mutex_unlock(&p->lock);
	return closing;
}

unsigned http_parked_count(struct parked *p)
{
	unsigned count;

	pthread_mutex_lock(&p->lock);
	count = p->count;
	pthread_mutex_unlock(&p->lock);
	return count;
}
