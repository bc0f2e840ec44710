// SPDX-License-Identifier: Apache-2.0
/*
 * Each line is one write(2) of at most PIPE_BUF bytes, so processes that share a pipe, a socket, a
 * terminal or an open file (2>file, or one opened to append) do not interleave their lines. Only a
 * disk that fills up within a line can tear it.
 *
 * A daemon writes from a separate thread, because nothing else keeps the rest of it from waiting,
 * whatever stderr is: O_NONBLOCK would affect everyone who shares the open file, and a disk or a
 * terminal blocks in spite of it.
 */
#include "base/log_out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define QUEUE_SIZE (256 * 1024)
#define RETRY_MS   1000
#define STOP_NS	   CLOCK_S

static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled, idle;
	bool on, started;
	bool writing; /* a line that is in the queue no more */
	char bytes[QUEUE_SIZE]; /* whole lines, from head on, round the end */
	size_t head, used;
	uint64_t dropped; /* for want of room; all lines are until that was said */
	uint64_t dropped_ever;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
	   .filled = PTHREAD_COND_INITIALIZER,
	   .idle = PTHREAD_COND_INITIALIZER};

/* A part of it may have been written. */
static int write_line(const char **line, size_t *len)
{
	while (*len) {
		ssize_t n = write(STDERR_FILENO, *line, *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		*line += n;
		*len -= (size_t)n;
	}
	return 0;
}

/* Somebody else's O_NONBLOCK: until there is room. Else (no space, no reader): for a while. */
static void wait_to_retry(int error)
{
	struct pollfd fd = {.fd = error == -EAGAIN ? STDERR_FILENO : -1, .events = POLLOUT};

	poll(&fd, 1, RETRY_MS);
}

/* ---- the queue; locked ---- */

static void queue_put(const char *line, size_t len)
{
	size_t at = (queue.head + queue.used) % QUEUE_SIZE, first = QUEUE_SIZE - at;

	if (first > len)
		first = len;
	memcpy(queue.bytes + at, line, first);
	memcpy(queue.bytes, line + first, len - first);
	queue.used += len;
}

static size_t queue_take(char ret[LOG_LINE_MAX])
{
	size_t len = 0;

	do
		ret[len] = queue.bytes[(queue.head + len) % QUEUE_SIZE];
	while (ret[len++] != '\n');
	queue.head = (queue.head + len) % QUEUE_SIZE;
	queue.used -= len;
	return len;
}

static void queue_report_dropped(void)
{
	char line[LOG_LINE_MAX];

	queue_put(line, log_format_dropped(queue.dropped, line));
	queue.dropped = 0;
}

static void enqueue(const char *line, size_t len)
{
	pthread_mutex_lock(&queue.lock);
	if (queue.dropped || len > QUEUE_SIZE - queue.used) {
		queue.dropped++;
		queue.dropped_ever++;
	} else {
		queue_put(line, len);
		pthread_cond_signal(&queue.filled);
	}
	pthread_mutex_unlock(&queue.lock);
}

static void *write_queue(void *arg)
{
	char line[LOG_LINE_MAX];

	pthread_mutex_lock(&queue.lock);
	for (;;) {
		const char *rest = line;
		size_t len;
		int r;

		/* what was dropped came after all that is queued, and before what will be */
		if (queue.dropped && queue.used <= QUEUE_SIZE / 2)
			queue_report_dropped();
		while (!queue.used) {
			pthread_cond_broadcast(&queue.idle);
			pthread_cond_wait(&queue.filled, &queue.lock);
		}
		len = queue_take(line);
		queue.writing = true;
		pthread_mutex_unlock(&queue.lock);
		while ((r = write_line(&rest, &len)) < 0)
			wait_to_retry(r);
		pthread_mutex_lock(&queue.lock);
		queue.writing = false;
	}
	return arg;
}

/* ---- life ---- */

/* A signal to the process is somebody else's; EPIPE says what SIGPIPE would. */
static int start_thread(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED); /* it may hang when we end */
	r = pthread_create(&thread, &attr, write_queue, NULL);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static void lock(void)
{
	pthread_mutex_lock(&queue.lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&queue.lock);
}

/* The thread is the parent's, and so is what it has not written yet. */
static void forget(void)
{
	pthread_cond_init(&queue.filled, NULL);
	pthread_cond_init(&queue.idle, NULL);
	queue.started = queue.writing = false;
	queue.used = 0;
	queue.dropped = queue.dropped_ever = 0;
	unlock();
}

void log_queue(void)
{
	if (!queue.on)
		pthread_atfork(lock, unlock, forget);
	queue.on = true;
}

static int start_locked(void)
{
	int r = 0;

	if (queue.on && !queue.started)
		r = start_thread();
	queue.started = queue.on && r == 0;
	return r;
}

int log_start(void)
{
	int r;

	lock();
	r = start_locked();
	unlock();
	return r;
}

void log_stop(void)
{
	struct timespec until = clock_timespec(clock_mono_ns() + STOP_NS);
	int r;

	lock();
	r = queue.used ? start_locked() : 0;
	while (r == 0 && (queue.used || queue.writing))
		r = pthread_cond_clockwait(&queue.idle, &queue.lock, CLOCK_MONOTONIC, &until);
	unlock();
}

uint64_t log_dropped(void)
{
	uint64_t n;

	lock();
	n = queue.dropped_ever;
	unlock();
	return n;
}

void log_out(const char *line, size_t len)
{
	int r;

	if (queue.on)
		enqueue(line, len);
	else
		while ((r = write_line(&line, &len)) == -EAGAIN)
			wait_to_retry(r);
}
