// SPDX-License-Identifier: Apache-2.0
/* MODULES: base */
/* LIBS: -Wl,--wrap=clock_gettime -Wl,--wrap=epoll_wait */
/*
 * The loop's clock is the test's: it stands still while functions run, and jumps by what the loop
 * waits for when there is nothing else to do. A wait without end for which nothing comes is a failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"

#define PATIENCE_S 60
#define MANY	   5000

int __real_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

static uint64_t now_ns;
static unsigned waits; /* in which time passed */
static bool interrupt; /* the next wait */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	assert_int_equal(clock, CLOCK_MONOTONIC); /* whoever sets another one changes nothing */
	*ret = clock_timespec(now_ns);
	return 0;
}

int __wrap_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	int n;

	if (interrupt) {
		interrupt = false;
		errno = EINTR;
		return -1;
	}
	n = __real_epoll_wait(epfd, events, max, timeout < 0 ? PATIENCE_S * 1000 : 0);
	if (n == 0 && timeout < 0)
		fail_msg("waits for ever");
	if (n == 0 && timeout > 0) {
		now_ns += (uint64_t)timeout * CLOCK_MS;
		waits++;
	}
	return n;
}

static struct loop *loop;

static int set_up(void **state)
{
	(void)state;
	now_ns = 1000 * CLOCK_S + 1;
	waits = 0;
	interrupt = false;
	return loop_new(&loop);
}

static int tear_down(void **state)
{
	(void)state;
	loop = loop_free(loop);
	return 0;
}

/* What was called, in order. */
static char trace[256];

static void note(const char *word)
{
	assert_true(strlen(trace) + strlen(word) + 1 < sizeof(trace));
	strcat(trace, word);
}

static void note_fn(void *arg)
{
	note(arg);
}

static void stop_fn(void *arg)
{
	loop_stop(loop, (int)(intptr_t)arg);
}

/* Runs until nothing is left that is due now. */
static void run_now(void)
{
	struct loop_timer *end;

	trace[0] = '\0';
	assert_int_equal(loop_timer_new(loop, stop_fn, (void *)1, &end), 0);
	loop_timer_after(end, 0);
	assert_int_equal(loop_run(loop), 1);
	loop_timer_free(end);
}

static void run_for(uint64_t ns)
{
	struct loop_timer *end;

	trace[0] = '\0';
	assert_int_equal(loop_timer_new(loop, stop_fn, (void *)1, &end), 0);
	loop_timer_after(end, ns);
	assert_int_equal(loop_run(loop), 1);
	loop_timer_free(end);
}

/* ---- the loop itself ---- */

static void test_stop(void **state)
{
	struct loop_timer *timer;

	(void)state;
	loop_stop(loop, 7);
	assert_int_equal(loop_run(loop), 7); /* at once, and only once */
	assert_int_equal(loop_timer_new(loop, stop_fn, (void *)3, &timer), 0);
	loop_timer_after(timer, 0);
	assert_int_equal(loop_run(loop), 3);
	loop_timer_after(timer, CLOCK_S);
	interrupt = true; /* EINTR is no end */
	assert_int_equal(loop_run(loop), 3);
	assert_null(loop_free(NULL));
}

static void stop_twice(void *arg)
{
	(void)arg;
	loop_stop(loop, 1);
	loop_stop(loop, 2);
}

static void test_stop_calls_nobody_else(void **state)
{
	struct loop_timer *timers[2];

	(void)state;
	trace[0] = '\0';
	assert_int_equal(loop_timer_new(loop, stop_twice, NULL, &timers[0]), 0);
	assert_int_equal(loop_timer_new(loop, note_fn, "b", &timers[1]), 0);
	loop_timer_after(timers[0], 0);
	loop_timer_after(timers[1], 0);
	assert_int_equal(loop_run(loop), 2);
	assert_string_equal(trace, "");
	run_now(); /* it is not lost */
	assert_string_equal(trace, "b");
}

/* ---- timers ---- */

static void test_timer_order(void **state)
{
	struct loop_timer *t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_timer_new(loop, note_fn, (void *)&"a\0b\0c\0d"[2 * i], &t[i]),
				 0);
	loop_timer_after(t[2], CLOCK_S);
	loop_timer_after(t[0], 2 * CLOCK_S);
	loop_timer_after(t[1], CLOCK_S);
	loop_timer_after(t[3], CLOCK_S);
	loop_timer_after(t[2], CLOCK_S); /* set again: behind those set before */
	run_for(3 * CLOCK_S);
	assert_string_equal(trace, "bdca");
	run_for(10 * CLOCK_S); /* each comes once */
	assert_string_equal(trace, "");
}

static void test_timer_is_never_early(void **state)
{
	static const uint64_t spans[] = {1, 999999, CLOCK_MS, CLOCK_MS + 1, CLOCK_S - 1, CLOCK_S};
	struct loop_timer *timer;

	(void)state;
	assert_int_equal(loop_timer_new(loop, stop_fn, NULL, &timer), 0);
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		uint64_t begun = now_ns;

		waits = 0;
		loop_timer_after(timer, spans[i]);
		assert_int_equal(loop_run(loop), 0);
		assert_true(now_ns - begun >= spans[i]);
		assert_true(now_ns - begun < spans[i] + CLOCK_MS);
		assert_int_equal(waits, 1); /* nor does it spin */
	}
}

/* Longer than epoll_wait(2) and the clock can count. */
static void test_timer_far_away(void **state)
{
	struct loop_timer *far, *never;

	(void)state;
	assert_int_equal(loop_timer_new(loop, stop_fn, (void *)5, &far), 0);
	assert_int_equal(loop_timer_new(loop, note_fn, "never", &never), 0);
	loop_timer_after(far, 3ULL * INT_MAX * CLOCK_MS);
	loop_timer_after(never, UINT64_MAX);
	trace[0] = '\0';
	assert_int_equal(loop_run(loop), 5);
	assert_string_equal(trace, "");
	assert_int_equal(waits, 3);
}

static void test_timer_every(void **state)
{
	struct loop_timer *timer;

	(void)state;
	assert_int_equal(loop_every(loop, 0, CLOCK_S, note_fn, "x", &timer), 0);
	run_for(5 * CLOCK_S / 2);
	assert_string_equal(trace, "xxx"); /* at 0, 1 and 2 */
	run_for(CLOCK_S);
	assert_string_equal(trace, "x"); /* at 3: the rhythm is kept */
	now_ns += 100 * CLOCK_S; /* held up */
	run_for(CLOCK_S / 2);
	assert_string_equal(trace, "x");
	run_for(CLOCK_S);
	assert_string_equal(trace, "x");
	loop_timer_cancel(timer);
	loop_timer_cancel(timer);
	run_for(10 * CLOCK_S);
	assert_string_equal(trace, "");
	loop_timer_every(timer, CLOCK_S, 3 * CLOCK_S);
	run_for(8 * CLOCK_S);
	assert_string_equal(trace, "xxx");
}

static struct loop_timer *victims[3];

static void cancel_others(void *arg)
{
	note(arg);
	loop_timer_cancel(victims[0]);
	victims[1] = loop_timer_free(victims[1]);
	victims[2] = loop_timer_free(victims[2]); /* the one that runs */
}

static void test_timer_ends_others_and_itself(void **state)
{
	(void)state;
	for (int every = 0; every < 2; every++) {
		assert_int_equal(loop_timer_new(loop, note_fn, "0", &victims[0]), 0);
		assert_int_equal(loop_timer_new(loop, note_fn, "1", &victims[1]), 0);
		assert_int_equal(loop_timer_new(loop, cancel_others, "!", &victims[2]), 0);
		loop_timer_every(victims[2], CLOCK_S, every ? CLOCK_S : 0);
		loop_timer_after(victims[0], CLOCK_S);
		loop_timer_after(victims[1], CLOCK_S);
		run_for(10 * CLOCK_S);
		assert_string_equal(trace, "!");
		loop_timer_free(victims[0]);
	}
}

static unsigned rounds;

static void again(void *arg)
{
	rounds++;
	loop_timer_after(*(struct loop_timer **)arg, 0);
}

static void count_ready(void *arg, unsigned ready)
{
	(void)ready;
	if (++*(unsigned *)arg == 10)
		loop_stop(loop, 0);
}

/* One that is due again and again lets others have their turn. */
static void test_timer_starves_nobody(void **state)
{
	_cleanup_close_ int fd = eventfd(1, EFD_CLOEXEC);
	struct loop_timer *timer;
	struct loop_watch *watch;
	unsigned seen = 0;

	(void)state;
	rounds = 0;
	assert_int_equal(loop_timer_new(loop, again, &timer, &timer), 0);
	loop_timer_after(timer, 0);
	assert_int_equal(loop_watch(loop, fd, LOOP_READ, count_ready, &seen, &watch), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(seen, 10);
	assert_in_range(rounds, 9, 10);
	loop_unwatch(watch);
}

/* Thousands, set, moved, cancelled and freed without order: a model says who has to come when. */
struct alarm_clock {
	struct loop_timer *timer;
	uint64_t due_ns; /* 0: not set */
	unsigned rung;
};

static struct alarm_clock clocks[MANY];
static uint64_t last_due;

static void ring(void *arg)
{
	struct alarm_clock *clock = arg;

	assert_true(clock->due_ns && clock->due_ns <= now_ns);
	assert_true(clock->due_ns >= last_due); /* in order */
	last_due = clock->due_ns;
	clock->due_ns = 0;
	clock->rung++;
}

static void disturb(struct alarm_clock *clock, unsigned *seed)
{
	uint64_t ns = (uint64_t)(rand_r(seed) % 10000) * CLOCK_MS;

	switch (rand_r(seed) % 4) {
	case 0:
		loop_timer_cancel(clock->timer);
		clock->due_ns = 0;
		break;
	case 1:
		loop_timer_free(clock->timer);
		clock->due_ns = 0;
		assert_int_equal(loop_timer_new(loop, ring, clock, &clock->timer), 0);
		break;
	default:
		loop_timer_after(clock->timer, ns);
		clock->due_ns = now_ns + ns;
	}
}

static void test_thousands_of_timers(void **state)
{
	unsigned seed = 20, due, set = 0;

	(void)state;
	memset(clocks, 0, sizeof(clocks));
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(loop_timer_new(loop, ring, &clocks[i], &clocks[i].timer), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (size_t i = 0; i < MANY; i++)
			disturb(&clocks[rand_r(&seed) % MANY], &seed);
		last_due = 0;
		run_for(CLOCK_S);
		due = set = 0;
		for (size_t i = 0; i < MANY; i++) {
			due += clocks[i].due_ns && clocks[i].due_ns < now_ns;
			set += clocks[i].due_ns != 0;
		}
		assert_int_equal(due, 0);
		assert_int_not_equal(set, 0);
	}
	last_due = 0;
	run_for(20 * CLOCK_S);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(clocks[i].due_ns, 0);
}

/* ---- descriptors ---- */

struct end {
	const char *name;
	int fd;
	struct loop_watch *watch;
	unsigned calls, ready;
	void (*then)(struct end *end);
};

static void on_end(void *arg, unsigned ready)
{
	struct end *end = arg;

	note(end->name);
	end->calls++;
	end->ready = ready;
	if (end->then)
		end->then(end);
}

static void watch_end(struct end *end, unsigned what)
{
	assert_int_equal(loop_watch(loop, end->fd, what, on_end, end, &end->watch), 0);
}

static void pair_of(struct end *a, struct end *b)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	a->fd = pair[0];
	b->fd = pair[1];
}

static void take_byte(struct end *end)
{
	char byte;

	assert_int_equal(read(end->fd, &byte, 1), 1);
}

static void test_read_and_write(void **state)
{
	struct end a = {.name = "a", .then = take_byte}, b = {.name = "b"};

	(void)state;
	pair_of(&a, &b);
	watch_end(&a, LOOP_READ);
	run_now();
	assert_string_equal(trace, "");
	assert_int_equal(write(b.fd, "xy", 2), 2);
	run_for(CLOCK_S);
	assert_string_equal(trace, "aa"); /* as long as there is something */
	assert_int_equal(a.ready, LOOP_READ);
	a.then = NULL;
	assert_int_equal(loop_watch_change(a.watch, LOOP_READ | LOOP_WRITE), 0);
	run_now();
	assert_string_equal(trace, "a");
	assert_int_equal(a.ready, LOOP_WRITE);
	assert_int_equal(loop_watch_change(a.watch, LOOP_READ), 0);
	run_now();
	assert_string_equal(trace, "");
	close(b.fd); /* a hangup */
	run_now();
	assert_string_equal(trace, "a");
	assert_int_equal(a.ready, LOOP_READ);
	assert_int_equal(loop_watch_change(a.watch, LOOP_WRITE), 0);
	run_now();
	assert_int_equal(a.ready, LOOP_WRITE);
	a.watch = loop_unwatch(a.watch);
	assert_null(a.watch);
	run_now();
	assert_string_equal(trace, "");
	close(a.fd);
}

static void test_watch_refuses(void **state)
{
	_cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC), file = open("/proc/self/exe", O_RDONLY);
	struct loop_watch *watch, *none = (void *)1;

	(void)state;
	assert_int_equal(loop_watch(loop, fd, LOOP_READ, on_end, NULL, &watch), 0);
	assert_int_equal(loop_watch(loop, fd, LOOP_READ, on_end, NULL, &none), -EEXIST);
	assert_int_equal(loop_watch(loop, -1, LOOP_READ, on_end, NULL, &none), -EBADF);
	assert_int_equal(loop_watch(loop, file, LOOP_READ, on_end, NULL, &none), -EPERM);
	assert_ptr_equal(none, (void *)1);
	assert_null(loop_unwatch(NULL));
	loop_unwatch(watch);
}

/* Both are ready in the same turn: the first takes the other away. */
static struct end *other;

static void remove_other(struct end *end)
{
	(void)end;
	if (other->watch)
		other->watch = loop_unwatch(other->watch);
}

static void test_removed_by_another(void **state)
{
	struct end a = {.name = "a", .then = remove_other}, b = {.name = "b"}, x = {}, y = {};

	(void)state;
	pair_of(&a, &x);
	pair_of(&b, &y);
	assert_int_equal(write(x.fd, "1", 1) + write(y.fd, "1", 1), 2);
	for (int turn = 0; turn < 2; turn++) { /* whichever epoll reports first */
		struct end *first = turn ? &b : &a, *second = turn ? &a : &b;

		first->then = second->then = remove_other;
		a.calls = b.calls = 0;
		other = second;
		watch_end(first, LOOP_READ);
		watch_end(second, LOOP_READ);
		run_now();
		assert_int_equal(first->calls + second->calls, 1 + (second->calls == 1));
		assert_null(second->watch);
		loop_unwatch(first->watch);
	}
	close(a.fd);
	close(b.fd);
	close(x.fd);
	close(y.fd);
}

/* All are ready at once, and each one that is called ends all others, closes them, and opens new ones
 * under the same numbers, some of them watched: nobody may hear of what was for an older one. */
#define CROWD 40
static struct end crowd[CROWD], newer[CROWD];
static int shared[2]; /* one end, which is readable */
static unsigned dead_calls;

static void replace_all(struct end *end)
{
	dead_calls++;
	for (size_t i = 0; i < CROWD; i++) {
		int fd = crowd[i].fd;

		if (&crowd[i] != end)
			crowd[i].watch = loop_unwatch(crowd[i].watch);
		else
			end->watch = loop_unwatch(end->watch); /* itself, too */
		close(fd);
		newer[i].name = "n";
		newer[i].fd = i % 2 ? eventfd(0, EFD_CLOEXEC) /* never readable */
				    : fcntl(shared[0], F_DUPFD_CLOEXEC, 0);
		assert_int_equal(newer[i].fd, fd);
		watch_end(&newer[i], LOOP_READ);
	}
}

static void test_numbers_used_again(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, shared), 0);
	assert_int_equal(write(shared[1], "1", 1), 1);
	dead_calls = 0;
	memset(newer, 0, sizeof(newer));
	for (size_t i = 0; i < CROWD; i++) {
		crowd[i] = (struct end){
			.name = "", .then = replace_all, .fd = eventfd(1, EFD_CLOEXEC)};
		watch_end(&crowd[i], LOOP_READ);
	}
	run_now();
	assert_int_equal(dead_calls, 1);
	assert_string_equal(trace, "");
	run_now();
	assert_int_equal(dead_calls, 1);
	for (size_t i = 0; i < CROWD; i++) {
		assert_int_equal(newer[i].calls, i % 2 ? 0 : 1);
		loop_unwatch(newer[i].watch);
		close(newer[i].fd);
	}
	close(shared[0]);
	close(shared[1]);
}

static void change_other(struct end *end)
{
	(void)end;
	assert_int_equal(loop_watch_change(other->watch, LOOP_WRITE), 0);
}

static void stop_here(struct end *end)
{
	(void)end;
	loop_stop(loop, 0);
}

/* Many are ready: the first one that stops is the last one that is called. */
static void test_stop_among_descriptors(void **state)
{
	struct end ends[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		ends[i] =
			(struct end){.name = "x", .then = stop_here, .fd = eventfd(1, EFD_CLOEXEC)};
		watch_end(&ends[i], LOOP_READ);
	}
	trace[0] = '\0';
	assert_int_equal(loop_run(loop), 0);
	assert_string_equal(trace, "x");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		loop_unwatch(ends[i].watch);
		close(ends[i].fd);
	}
}

/* What is not watched for any more is not reported, though it was seen. */
static void test_changed_by_another(void **state)
{
	struct end a = {.name = "a", .then = change_other}, b = {.name = "b"}, x = {}, y = {};
	char fill[65536] = {};

	(void)state;
	pair_of(&a, &x);
	pair_of(&b, &y);
	assert_int_equal(write(x.fd, "1", 1) + write(y.fd, "1", 1), 2);
	while (write(b.fd, fill, sizeof(fill)) > 0) /* not writable */
		;
	other = &b;
	watch_end(&a, LOOP_READ);
	watch_end(&b, LOOP_READ);
	run_now();
	if (b.calls) /* it came first */
		assert_int_equal(b.ready, LOOP_READ);
	b.calls = 0;
	run_now();
	assert_int_equal(b.calls, 0);
	loop_unwatch(a.watch);
	loop_unwatch(b.watch);
	close(a.fd);
	close(b.fd);
	close(x.fd);
	close(y.fd);
}

/* More are ready than one turn takes, and none of them is ever read. */
static void test_nobody_is_left_out(void **state)
{
	static struct end ends[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		ends[i] = (struct end){.name = "", .fd = eventfd(1, EFD_CLOEXEC)};
		watch_end(&ends[i], LOOP_READ);
	}
	for (unsigned i = 0; i < 12; i++)
		run_now();
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		assert_in_range(ends[i].calls, 1, 12);
		close(ends[i].fd); /* the watches are the loop's to free */
	}
}

/* ---- signals ---- */

static unsigned signals[NSIG];

static void on_signal(void *arg, int sig)
{
	assert_ptr_equal(arg, signals);
	signals[sig]++;
}

static void stop_on_signal(void *arg, int sig)
{
	(void)arg;
	loop_stop(loop, sig);
}

static void test_signals(void **state)
{
	(void)state;
	memset(signals, 0, sizeof(signals));
	assert_int_equal(loop_signal(loop, SIGHUP, on_signal, signals), 0);
	assert_int_equal(loop_signal(loop, SIGCHLD, NULL, NULL), 0);
	assert_int_equal(loop_signal(loop, SIGTERM, stop_on_signal, NULL), 0);
	assert_int_equal(loop_signal(loop, 0, on_signal, signals), -EINVAL);
	assert_int_equal(loop_signal(loop, 1000, on_signal, signals), -EINVAL);
	kill(getpid(), SIGHUP);
	kill(getpid(), SIGCHLD);
	run_now();
	assert_int_equal(signals[SIGHUP], 1);
	kill(getpid(), SIGTERM);
	assert_int_equal(loop_run(loop), SIGTERM);
	/* the next loop gets what came between the two */
	kill(getpid(), SIGHUP);
	loop = loop_free(loop);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_signal(loop, SIGHUP, stop_on_signal, NULL), 0);
	assert_int_equal(loop_run(loop), SIGHUP);
}

static struct loop_timer *beat;
static unsigned beats;

static void count_beat(void *arg)
{
	(void)arg;
	beats++;
}

static void storm_signal(void *arg, int sig)
{
	union sigval value = {.sival_int = 0};

	(void)arg;
	signals[sig]++;
	sigqueue(getpid(), sig, value); /* for each one that was taken, a new one */
}

/* Signals without end: none is lost, and timers go on. */
static void test_signal_storm(void **state)
{
	union sigval value = {.sival_int = 0};
	unsigned seen;

	(void)state;
	memset(signals, 0, sizeof(signals));
	beats = 0;
	assert_int_equal(loop_signal(loop, SIGRTMIN, storm_signal, NULL), 0);
	assert_int_equal(loop_every(loop, 0, 1, count_beat, NULL, &beat), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(sigqueue(getpid(), SIGRTMIN, value), 0);
	for (; signals[SIGRTMIN] < 2000; now_ns++) /* time passes while it storms */
		run_now();
	seen = signals[SIGRTMIN];
	assert_true(beats >= 2000 / 100);
	assert_int_equal(loop_signal(loop, SIGRTMIN, on_signal, signals), 0);
	for (unsigned i = 0; i < 20; i++)
		run_now();
	assert_int_equal(signals[SIGRTMIN], seen + 100);
}

/* Two are pending: the first ends the run, and the other one is not lost. */
static void test_signal_after_stop(void **state)
{
	(void)state;
	memset(signals, 0, sizeof(signals));
	assert_int_equal(loop_signal(loop, SIGHUP, stop_on_signal, NULL), 0);
	assert_int_equal(loop_signal(loop, SIGUSR1, stop_on_signal, NULL), 0);
	kill(getpid(), SIGHUP);
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_run(loop) + loop_run(loop), SIGHUP + SIGUSR1);
}

/* ---- other threads ---- */

#define THREADS 4

static struct line {
	unsigned next; /* posts of one thread come in order */
	pthread_t thread;
} lines[THREADS];
static pthread_t loops_own;
static unsigned arrived;

struct parcel {
	struct line *line;
	unsigned number;
};

static void arrive(void *arg)
{
	_cleanup_free_ struct parcel *parcel = arg;

	assert_true(pthread_equal(pthread_self(), loops_own));
	assert_int_equal(parcel->number, parcel->line->next);
	parcel->line->next++;
	if (++arrived == THREADS * MANY)
		loop_stop(loop, 0);
}

static void *post_many(void *arg)
{
	for (unsigned i = 0; i < MANY; i++) {
		struct parcel *parcel = malloc(sizeof(*parcel));

		if (!parcel)
			return NULL;
		*parcel = (struct parcel){.line = arg, .number = i};
		if (loop_post(loop, arrive, parcel) < 0)
			return NULL;
	}
	return arg;
}

static void test_posts(void **state)
{
	(void)state;
	loops_own = pthread_self();
	arrived = 0;
	memset(lines, 0, sizeof(lines));
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&lines[i].thread, NULL, post_many, &lines[i]), 0);
	assert_int_equal(loop_run(loop), 0); /* it sleeps, and is woken */
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(lines[i].thread, NULL), 0);
	assert_int_equal(arrived, THREADS * MANY);
}

static void post_again(void *arg)
{
	rounds++;
	assert_int_equal(loop_post(loop, post_again, arg), 0);
}

/* Posts of the loop to itself, without end, and those that come after a stop. */
static void test_posts_starve_nobody(void **state)
{
	(void)state;
	rounds = 0;
	assert_int_equal(loop_post(loop, post_again, NULL), 0);
	run_now();
	assert_true(rounds > 0);
	loop = loop_free(loop); /* with one that waits */
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_post(loop, stop_fn, (void *)4), 0);
	assert_int_equal(loop_post(loop, stop_fn, (void *)5), 0);
	assert_int_equal(loop_run(loop), 4);
	assert_int_equal(loop_run(loop), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stop),
		TEST(test_stop_calls_nobody_else),
		TEST(test_timer_order),
		TEST(test_timer_is_never_early),
		TEST(test_timer_far_away),
		TEST(test_timer_every),
		TEST(test_timer_ends_others_and_itself),
		TEST(test_timer_starves_nobody),
		TEST(test_thousands_of_timers),
		TEST(test_read_and_write),
		TEST(test_watch_refuses),
		TEST(test_removed_by_another),
		TEST(test_numbers_used_again),
		TEST(test_changed_by_another),
		TEST(test_stop_among_descriptors),
		TEST(test_nobody_is_left_out),
		TEST(test_signals),
		TEST(test_signal_storm),
		TEST(test_signal_after_stop),
		TEST(test_posts),
		TEST(test_posts_starve_nobody),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
