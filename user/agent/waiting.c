// SPDX-License-Identifier: Apache-2.0
#include "waiting.h"

#include <poll.h>

#include <podcred/podcred.h>

#include "clock.h"

void waiting_init(struct waiting *w)
{
	pthread_cond_init(&w->changed, NULL);
	pthread_mutex_init(&w->lock, NULL);
	w->head = NULL;
	w->count = 0;
	w->closing = false;
}

void waiting_done(struct waiting *w)
{
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
}

bool waiting_gone(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

bool waiting_park(struct waiting *w, struct waiter *waiter)
{
	bool room;

	pthread_mutex_lock(&w->lock);
	room = !w->closing;
	if (room) {
		/* before it is in the list: the ticker may resume it at once */
		MHD_suspend_connection(waiter->connection);
		waiter->next = w->head;
		w->head = waiter;
		if (w->count++ == 0)
			pthread_cond_signal(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	return room;
}

/* Whether asking again gives another answer than "no name yet". */
static bool is_over(const struct waiter *waiter, agent_peer_fn ask, int64_t now_ms)
{
	struct podcred_peer peer;

	if (now_ms >= waiter->deadline_ms || waiting_gone(waiter->fd))
		return true;
	return ask(waiter->fd, &peer, sizeof(peer)) < 0 || peer.flags & PODCRED_PEER_NAMED;
}

static void unlink_and_resume(struct waiting *w, struct waiter **at)
{
	struct MHD_Connection *connection = (*at)->connection;

	/* the waiter may be gone as soon as its connection runs */
	*at = (*at)->next;
	w->count--;
	MHD_resume_connection(connection);
}

void waiting_check(struct waiting *w, agent_peer_fn peer, int64_t now_ms)
{
	pthread_mutex_lock(&w->lock);
	for (struct waiter **at = &w->head; *at;) {
		if (is_over(*at, peer, now_ms))
			unlink_and_resume(w, at);
		else
			at = &(*at)->next;
	}
	pthread_mutex_unlock(&w->lock);
}

void waiting_close(struct waiting *w)
{
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	while (w->head)
		unlink_and_resume(w, &w->head);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

bool waiting_sleep(struct waiting *w, unsigned busy_ms, unsigned idle_ms)
{
	struct timespec until;
	bool closing, idle;
	int r = 0;

	pthread_mutex_lock(&w->lock);
	idle = w->count == 0;
	until = clock_timespec(clock_mono_ns() + (idle ? idle_ms : busy_ms) * CLOCK_MS);
	/* idle: the first waiter ends the sleep; busy: only time does, or the end of it all */
	while (r == 0 && !w->closing && !(idle && w->count))
		r = pthread_cond_clockwait(&w->changed, &w->lock, CLOCK_MONOTONIC, &until);
	closing = w->closing;
	pthread_mutex_unlock(&w->lock);
	return !closing;
}
