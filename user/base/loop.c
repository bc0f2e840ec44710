// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define BATCH	     64 /* events of one turn */
#define SIGNAL_BATCH 16
#define NOT_ARMED    SIZE_MAX

struct loop_watch {
	LIST_ENTRY(loop_watch) all;
	struct loop *loop;
	int fd;
	unsigned what;
	loop_ready_fn *fn;
	void *arg;
};

struct loop_timer {
	LIST_ENTRY(loop_timer) all;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
	uint64_t due_ns, every_ns; /* every_ns 0: once */
	uint64_t turn; /* those due at the same time come in this order */
	size_t at; /* in the heap */
};

struct post {
	STAILQ_ENTRY(post) next;
	loop_fn *fn;
	void *arg;
};

struct loop {
	int epoll_fd, signal_fd, wake_fd;
	bool stopping;
	int status;
	LIST_HEAD(, loop_watch) watches;
	struct epoll_event events[BATCH];
	int event, n_events; /* the next one to be called for, of this turn */

	LIST_HEAD(, loop_timer) timers;
	struct loop_timer **heap; /* the armed ones; no parent is later than its children */
	size_t n_timers, n_armed, room;
	uint64_t turn;

	sigset_t signals;
	struct {
		loop_signal_fn *fn;
		void *arg;
	} on_signal[NSIG];

	pthread_mutex_t lock; /* of the posts */
	STAILQ_HEAD(, post) posts;
};

/* ---- descriptors ---- */

static int control(struct loop *loop, int op, int fd, unsigned what, void *ptr)
{
	struct epoll_event event = {.events = (what & LOOP_READ ? EPOLLIN : 0U) |
					      (what & LOOP_WRITE ? EPOLLOUT : 0U),
				    .data.ptr = ptr};

	return epoll_ctl(loop->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

int loop_watch(struct loop *loop, int fd, unsigned what, loop_ready_fn *fn, void *arg,
	       struct loop_watch **ret)
{
	struct loop_watch *watch = malloc(sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	*watch = (struct loop_watch){.loop = loop, .fd = fd, .what = what, .fn = fn, .arg = arg};
	r = control(loop, EPOLL_CTL_ADD, fd, what, watch);
	if (r < 0) {
		free(watch);
		return r;
	}
	LIST_INSERT_HEAD(&loop->watches, watch, all);
	*ret = watch;
	return 0;
}

int loop_watch_change(struct loop_watch *watch, unsigned what)
{
	int r = control(watch->loop, EPOLL_CTL_MOD, watch->fd, what, watch);

	if (r == 0)
		watch->what = what;
	return r;
}

struct loop_watch *loop_unwatch(struct loop_watch *watch)
{
	struct loop *loop;

	if (!watch)
		return NULL;
	loop = watch->loop;
	control(loop, EPOLL_CTL_DEL, watch->fd, 0, NULL);
	for (int i = loop->event; i < loop->n_events; i++)
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	LIST_REMOVE(watch, all);
	free(watch);
	return NULL;
}

static void call_watch(const struct epoll_event *event)
{
	const struct loop_watch *watch = event->data.ptr;
	unsigned ready;

	if (!watch) /* removed in this turn */
		return;
	ready = (event->events & EPOLLIN ? LOOP_READ : 0U) |
		(event->events & EPOLLOUT ? LOOP_WRITE : 0U);
	if (event->events & (EPOLLERR | EPOLLHUP))
		ready = LOOP_READ | LOOP_WRITE;
	ready &= watch->what; /* it may have been changed in this turn */
	if (ready)
		watch->fn(watch->arg, ready);
}

/* ---- timers: a binary heap, whose root is due first ---- */

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->turn < b->turn);
}

static void put_at(struct loop_timer *timer, size_t at)
{
	timer->loop->heap[at] = timer;
	timer->at = at;
}

static void sift_up(struct loop_timer *timer, size_t at)
{
	struct loop_timer **heap = timer->loop->heap;

	for (; at && is_before(timer, heap[(at - 1) / 2]); at = (at - 1) / 2)
		put_at(heap[(at - 1) / 2], at);
	put_at(timer, at);
}

static void sift_down(struct loop_timer *timer, size_t at)
{
	struct loop_timer **heap = timer->loop->heap;
	size_t n = timer->loop->n_armed, child;

	for (; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && is_before(heap[child + 1], heap[child]))
			child++;
		if (!is_before(heap[child], timer))
			break;
		put_at(heap[child], at);
	}
	put_at(timer, at);
}

void loop_timer_cancel(struct loop_timer *timer)
{
	struct loop *loop = timer->loop;
	struct loop_timer *last;
	size_t at = timer->at;

	if (at == NOT_ARMED)
		return;
	last = loop->heap[--loop->n_armed];
	timer->at = NOT_ARMED;
	if (last == timer)
		return;
	if (at && is_before(last, loop->heap[(at - 1) / 2]))
		sift_up(last, at);
	else
		sift_down(last, at);
}

static void arm(struct loop_timer *timer, uint64_t due_ns, uint64_t every_ns)
{
	struct loop *loop = timer->loop;

	loop_timer_cancel(timer);
	timer->due_ns = due_ns;
	timer->every_ns = every_ns;
	timer->turn = loop->turn++;
	sift_up(timer, loop->n_armed++);
}

static uint64_t later(uint64_t now_ns, uint64_t ns)
{
	return ns < UINT64_MAX - now_ns ? now_ns + ns : UINT64_MAX;
}

void loop_timer_after(struct loop_timer *timer, uint64_t ns)
{
	arm(timer, later(clock_mono_ns(), ns), 0);
}

void loop_timer_every(struct loop_timer *timer, uint64_t first_ns, uint64_t every_ns)
{
	arm(timer, later(clock_mono_ns(), first_ns), every_ns);
}

/* Room for all that there are: then none needs any when it is armed. */
static int make_room(struct loop *loop)
{
	size_t room = loop->room ? loop->room * 2 : 16;
	struct loop_timer **heap;

	if (loop->n_timers < loop->room)
		return 0;
	heap = reallocarray(loop->heap, room, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	loop->heap = heap;
	loop->room = room;
	return 0;
}

int loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct loop_timer **ret)
{
	struct loop_timer *timer;

	if (make_room(loop) < 0)
		return -ENOMEM;
	timer = malloc(sizeof(*timer));
	if (!timer)
		return -ENOMEM;
	*timer = (struct loop_timer){.loop = loop, .fn = fn, .arg = arg, .at = NOT_ARMED};
	LIST_INSERT_HEAD(&loop->timers, timer, all);
	loop->n_timers++;
	*ret = timer;
	return 0;
}

int loop_every(struct loop *loop, uint64_t first_ns, uint64_t every_ns, loop_fn *fn, void *arg,
	       struct loop_timer **ret)
{
	struct loop_timer *timer;
	int r = loop_timer_new(loop, fn, arg, &timer);

	if (r < 0)
		return r;
	loop_timer_every(timer, first_ns, every_ns);
	if (ret)
		*ret = timer;
	return 0;
}

struct loop_timer *loop_timer_free(struct loop_timer *timer)
{
	if (!timer)
		return NULL;
	loop_timer_cancel(timer);
	LIST_REMOVE(timer, all);
	timer->loop->n_timers--;
	free(timer);
	return NULL;
}

/* It may be freed by what is called: all that is to do with it is done before. */
static void call_timer(struct loop_timer *timer, uint64_t now_ns)
{
	uint64_t next_ns = later(timer->due_ns, timer->every_ns);

	if (timer->every_ns)
		arm(timer, next_ns > now_ns ? next_ns : later(now_ns, timer->every_ns),
		    timer->every_ns);
	else
		loop_timer_cancel(timer);
	timer->fn(timer->arg);
}

/* Those that are armed meanwhile are for the next turn, or descriptors would have to wait for ever. */
static void call_timers(struct loop *loop)
{
	uint64_t now_ns = clock_mono_ns(), turn = loop->turn;

	while (!loop->stopping && loop->n_armed) {
		struct loop_timer *first = loop->heap[0];

		if (first->due_ns > now_ns || first->turn >= turn)
			return;
		call_timer(first, now_ns);
	}
}

/* For epoll_wait(2). Rounded up: none is early, and no turn is for nothing. */
static int until_next(const struct loop *loop)
{
	uint64_t now_ns, ms;

	if (!loop->n_armed)
		return -1;
	now_ns = clock_mono_ns();
	if (loop->heap[0]->due_ns <= now_ns)
		return 0;
	ms = (loop->heap[0]->due_ns - now_ns - 1) / CLOCK_MS + 1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* ---- signals ---- */

/* One is read when it is its turn: after loop_stop() the others stay pending. */
static void on_signals(void *arg, unsigned ready)
{
	struct loop *loop = arg;
	struct signalfd_siginfo info;

	(void)ready;
	for (int i = 0; i < SIGNAL_BATCH && !loop->stopping; i++) {
		if (read(loop->signal_fd, &info, sizeof(info)) != sizeof(info))
			return;
		if (loop->on_signal[info.ssi_signo].fn)
			loop->on_signal[info.ssi_signo].fn(loop->on_signal[info.ssi_signo].arg,
							   (int)info.ssi_signo);
	}
}

static int open_signals(struct loop *loop)
{
	_cleanup_close_ int fd = signalfd(-1, &loop->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	struct loop_watch *watch;
	int r;

	if (fd < 0)
		return -errno;
	r = loop_watch(loop, fd, LOOP_READ, on_signals, loop, &watch);
	if (r == 0)
		loop->signal_fd = TAKE_FD(fd);
	return r;
}

int loop_signal(struct loop *loop, int sig, loop_signal_fn *fn, void *arg)
{
	sigset_t one;
	int r;

	sigemptyset(&one);
	if (sigaddset(&one, sig) < 0)
		return -errno;
	r = pthread_sigmask(SIG_BLOCK, &one, NULL);
	if (r)
		return -r;
	loop->on_signal[sig].fn = fn;
	loop->on_signal[sig].arg = arg;
	sigaddset(&loop->signals, sig);
	if (loop->signal_fd < 0)
		return open_signals(loop);
	return signalfd(loop->signal_fd, &loop->signals, 0) < 0 ? -errno : 0;
}

/* ---- other threads ---- */

static void wake(const struct loop *loop)
{
	uint64_t one = 1;

	if (write(loop->wake_fd, &one, sizeof(one)) < 0) /* it is full: that wakes as well */
		return;
}

int loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
	struct post *post = malloc(sizeof(*post));

	if (!post)
		return -ENOMEM;
	post->fn = fn;
	post->arg = arg;
	pthread_mutex_lock(&loop->lock);
	if (STAILQ_EMPTY(&loop->posts))
		wake(loop);
	STAILQ_INSERT_TAIL(&loop->posts, post, next);
	pthread_mutex_unlock(&loop->lock);
	return 0;
}

/* The descriptor stays readable as long as any is left. */
static struct post *take_post(struct loop *loop)
{
	struct post *post;
	uint64_t count;

	pthread_mutex_lock(&loop->lock);
	post = STAILQ_FIRST(&loop->posts);
	if (post)
		STAILQ_REMOVE_HEAD(&loop->posts, next);
	if (STAILQ_EMPTY(&loop->posts) && read(loop->wake_fd, &count, sizeof(count)) < 0)
		count = 0;
	pthread_mutex_unlock(&loop->lock);
	return post;
}

static void on_wake(void *arg, unsigned ready)
{
	struct loop *loop = arg;

	(void)ready;
	for (int i = 0; i < BATCH && !loop->stopping; i++) {
		_cleanup_free_ struct post *post = take_post(loop);

		if (!post)
			return;
		post->fn(post->arg);
	}
}

/* ---- life ---- */

static int open_fds(struct loop *loop)
{
	struct loop_watch *watch;

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return -errno;
	return loop_watch(loop, loop->wake_fd, LOOP_READ, on_wake, loop, &watch);
}

int loop_new(struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = loop->signal_fd = loop->wake_fd = -EBADF;
	LIST_INIT(&loop->watches);
	LIST_INIT(&loop->timers);
	STAILQ_INIT(&loop->posts);
	sigemptyset(&loop->signals);
	pthread_mutex_init(&loop->lock, NULL);
	r = open_fds(loop);
	if (r < 0) {
		loop_free(loop);
		return r;
	}
	*ret = loop;
	return 0;
}

struct loop *loop_free(struct loop *loop)
{
	struct post *post;

	if (!loop)
		return NULL;
	while (!LIST_EMPTY(&loop->watches))
		loop_unwatch(LIST_FIRST(&loop->watches));
	while (!LIST_EMPTY(&loop->timers))
		loop_timer_free(LIST_FIRST(&loop->timers));
	while ((post = STAILQ_FIRST(&loop->posts))) {
		STAILQ_REMOVE_HEAD(&loop->posts, next);
		free(post);
	}
	cleanup_close(&loop->epoll_fd);
	cleanup_close(&loop->signal_fd);
	cleanup_close(&loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop->heap);
	free(loop);
	return NULL;
}

static int take_turn(struct loop *loop)
{
	int n = epoll_wait(loop->epoll_fd, loop->events, BATCH, until_next(loop));

	if (n < 0 && errno != EINTR)
		return -errno;
	loop->n_events = n < 0 ? 0 : n;
	loop->event = 0;
	while (loop->event < loop->n_events && !loop->stopping)
		call_watch(&loop->events[loop->event++]);
	loop->n_events = 0;
	call_timers(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	while (!loop->stopping && r == 0)
		r = take_turn(loop);
	loop->stopping = false;
	return r < 0 ? r : loop->status;
}

void loop_stop(struct loop *loop, int status)
{
	loop->stopping = true;
	loop->status = status;
}
