/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that waits for everything at once: descriptors, timers, signals, and other threads. It
 * calls a function for each event, one after the other; no function is called while another one
 * runs.
 *
 * Everything here is for the thread that runs the loop, except loop_post(). A function that the
 * loop calls may add, change and remove anything, including the event that it was called for; only
 * loop_free() and loop_run() are forbidden. Whatever was removed is not called any more, even if it
 * was ready at the same moment.
 *
 * In each turn descriptors and signals come first, then the timers that are due. Errors are
 * negative errno.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_watch;
struct loop_timer;

/* -EMFILE, -ENOMEM and the like. */
int loop_new(struct loop **ret);

/* Frees all watches and timers of it too, so that pointers to them are void; descriptors stay open.
 * What was posted and not called is forgotten. Signals stay blocked. Returns NULL; NULL is fine. */
struct loop *loop_free(struct loop *loop);
static inline void loop_freep(struct loop **loop)
{
	loop_free(*loop);
}

/* Until loop_stop(): its status, or -errno. May be called again then; nothing that happened meanwhile
 * is lost. */
int loop_run(struct loop *loop);

/* No function is called any more after the present one. status: not negative. Of several calls the
 * last one counts. Before loop_run(): that returns at once. */
void loop_stop(struct loop *loop, int status);

/* ---- descriptors ---- */

enum {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
};

/* ready: LOOP_READ, LOOP_WRITE or both. After an error or a hangup all that is watched for is ready, as
 * reading or writing tells what happened. */
typedef void loop_ready_fn(void *arg, unsigned ready);

/*
 * Call fn again and again while fd is ready. what: not 0. fd stays the caller's; loop_unwatch() comes
 * before close(2), as an open file that another descriptor still has would be reported for ever.
 * -EEXIST: it is watched already; -EPERM: not a kind to wait for, like a file on a disk.
 */
int loop_watch(struct loop *loop, int fd, unsigned what, loop_ready_fn *fn, void *arg,
	       struct loop_watch **ret);
int loop_watch_change(struct loop_watch *watch, unsigned what);

/* Returns NULL; NULL is fine. */
struct loop_watch *loop_unwatch(struct loop_watch *watch);

/* ---- timers: nanoseconds of CLOCK_MONOTONIC, never early ---- */

typedef void loop_fn(void *arg);

/* Not armed yet. Later calls need no memory, and cannot fail. */
int loop_timer_new(struct loop *loop, loop_fn *fn, void *arg, struct loop_timer **ret);

/* Returns NULL; NULL is fine. */
struct loop_timer *loop_timer_free(struct loop_timer *timer);

/* Once, that long from now; 0: in this turn, or in the next one when timers are running. Replaces what
 * was set before, as the next one does. Those due at the same time come in the order they were set. */
void loop_timer_after(struct loop_timer *timer, uint64_t ns);

/* Then again and again. A loop that was held up calls it once for all the times it has missed. */
void loop_timer_every(struct loop_timer *timer, uint64_t first_ns, uint64_t every_ns);

void loop_timer_cancel(struct loop_timer *timer);

/* loop_timer_new() and loop_timer_every(). ret may be NULL: it lives as long as the loop. */
int loop_every(struct loop *loop, uint64_t first_ns, uint64_t every_ns, loop_fn *fn, void *arg,
	       struct loop_timer **ret);

/* ---- signals ---- */

typedef void loop_signal_fn(void *arg, int sig);

/* Blocks the signal, for the calling thread and those that it starts, and calls fn for it instead.
 * fn NULL: it only ends the wait. A second call for a signal replaces the first. */
int loop_signal(struct loop *loop, int sig, loop_signal_fn *fn, void *arg);

/* ---- other threads ---- */

/* From any thread: fn is called in the loop's, in the order of the calls. -ENOMEM. The loop must still
 * be there. */
int loop_post(struct loop *loop, loop_fn *fn, void *arg);
