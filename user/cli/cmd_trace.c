// SPDX-License-Identifier: Apache-2.0
/* trace: decisions as they are made. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/decision.h"
#include "kernel/events.h"
#include "kernel/load.h"
#include "kernel/maps.h"

#define TICK_S	   1
#define BATCH	   1024 /* decisions, then signals and the clock have their turn */
#define ALLOWED_NS (5 * 1000000000ULL) /* a trace that was killed costs the node no longer */

struct trace {
	const char *pin_dir;
	bool allowed, json;
	uint64_t count; /* end after that many; 0: never */
	struct kern_events *events;
	int pods_fd, runtime_fd, stats_fd;
	uint64_t start_ns; /* CLOCK_BOOTTIME */
	uint64_t tick_ns; /* when the last tick was */
	uint64_t printed, lost;
	unsigned batch;
	int output_error;
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

/* ---- one decision ---- */

static struct timespec wall_time(uint64_t boot_ns)
{
	uint64_t ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + boot_ns;

	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000ULL),
				 .tv_nsec = (long)(ns % 1000000000ULL)};
}

static void print_decision(struct trace *trace, const struct podcred_event *event)
{
	struct decision decision = {.event = event, .time = wall_time(event->time_ns)};
	struct podcred_pod pod;
	int r;

	if (event->pod_cgroup_id && kern_pod_read(trace->pods_fd, event->pod_cgroup_id, &pod) == 0)
		decision.pod = &pod;
	if (trace->json) {
		json_t *object = cli_decision_json(&decision);
		_cleanup_free_ char *text = json_dumps(object, JSON_COMPACT);

		json_decref(object);
		r = puts(text ?: "{}");
	} else {
		char line[DECISION_LINE];

		r = puts(cli_decision_line(&decision, line, sizeof(line)));
	}
	if (r < 0 || ferror(stdout))
		trace->output_error = errno;
}

static int on_event(void *arg, const void *record)
{
	const struct podcred_event *event = record;
	struct trace *trace = arg;

	if (event->time_ns >= trace->start_ns) { /* older ones are what nobody had read */
		print_decision(trace, event);
		trace->printed++;
	}
	if (stopped || trace->output_error || (trace->count && trace->printed == trace->count))
		return -ECANCELED;
	return ++trace->batch % BATCH ? 0 : -EAGAIN;
}

/* ---- by time ---- */

static int want_allowed(const struct trace *trace, uint64_t until, struct pc_err *err)
{
	int r;

	if (!trace->allowed)
		return 0;
	r = kern_runtime_write(trace->runtime_fd, PODCRED_RUNTIME_TRACE, until);
	return r < 0 ? pc_err_set(err, r, "cannot write podcred_runtime: %s; run as root",
				  strerror(-r))
		     : 0;
}

static void report_lost(struct trace *trace)
{
	uint64_t lost = kern_stat_read(trace->stats_fd, PODCRED_REASON_event_lost);

	if (lost > trace->lost)
		fprintf(stderr,
			"podcred: %" PRIu64
			" decisions are missing here: they came faster than they were read\n",
			lost - trace->lost);
	trace->lost = lost;
}

static int tick(struct trace *trace, struct pc_err *err)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME);

	if (trace->tick_ns && now - trace->tick_ns < TICK_S * 1000000000ULL)
		return 0;
	trace->tick_ns = now;
	report_lost(trace);
	if (!kern_events_current(trace->events))
		return pc_err_set(
			err, -ESTALE,
			"%s was unloaded: there is nothing to trace any more; run podcred "
			"load, then trace again",
			trace->pin_dir);
	return want_allowed(trace, now + ALLOWED_NS, err);
}

/* ---- life ---- */

/* Signals end a write that hangs, too: they are only held back between looking and waiting. */
static void catch_signals(sigset_t *ret_open)
{
	const struct sigaction action = {.sa_handler = on_signal};
	sigset_t ends;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &ends, NULL);
	sigprocmask(SIG_SETMASK, NULL, ret_open);
}

/* Until there is something to read, or a tick is due. Notices a reader of our output that left. */
static void wait_for_more(struct trace *trace, const sigset_t *open)
{
	const struct timespec timeout = {.tv_sec = TICK_S};
	struct pollfd fds[] = {
		{.fd = kern_events_fd(trace->events), .events = POLLIN},
		{.fd = STDOUT_FILENO},
	};
	sigset_t closed = *open;

	sigaddset(&closed, SIGINT);
	sigaddset(&closed, SIGTERM);
	sigprocmask(SIG_SETMASK, &closed, NULL);
	if (!stopped && ppoll(fds, ARRAY_SIZE(fds), &timeout, open) > 0 && fds[1].revents & POLLERR)
		trace->output_error = EPIPE;
	sigprocmask(SIG_SETMASK, open, NULL);
}

static int follow(struct trace *trace, struct pc_err *err)
{
	sigset_t open;
	int r;

	catch_signals(&open);
	setvbuf(stdout, NULL, _IOLBF, 0);
	trace->lost = kern_stat_read(trace->stats_fd, PODCRED_REASON_event_lost);
	trace->start_ns = clock_ns(CLOCK_BOOTTIME);
	r = tick(trace, err);
	if (r == 0)
		fprintf(stderr, "podcred: tracing %s decisions\n",
			trace->allowed ? "all" : "refused");
	while (r == 0 && !stopped && !trace->output_error) {
		r = kern_events_dispatch(trace->events);
		if (r == -ECANCELED)
			break;
		if (r < 0 && r != -EAGAIN)
			return pc_err_set(err, r, "cannot read podcred_events: %s", strerror(-r));
		if (r != -EAGAIN)
			wait_for_more(trace, &open);
		r = tick(trace, err);
	}
	report_lost(trace);
	clearerr(stdout); /* it is dealt with here */
	if (trace->output_error && trace->output_error != EPIPE && !stopped)
		return pc_err_set(err, -trace->output_error, "cannot write the output: %s",
				  strerror(trace->output_error));
	return r < 0 && r != -ECANCELED ? r : 0;
}

static int open_all(struct trace *trace, struct pc_err *err)
{
	const struct {
		enum kern_map map;
		int *fd;
	} maps[] = {
		{KERN_MAP_PODS, &trace->pods_fd},
		{KERN_MAP_RUNTIME, &trace->runtime_fd},
		{KERN_MAP_STATS, &trace->stats_fd},
	};

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		*maps[i].fd = kern_map_open(trace->pin_dir, maps[i].map, err);
		if (*maps[i].fd < 0)
			return *maps[i].fd;
	}
	return kern_events_open(trace->pin_dir, KERN_MAP_EVENTS, on_event, trace, &trace->events,
				err);
}

static int trace_run(struct trace *trace, struct pc_err *err)
{
	int r = open_all(trace, err);

	if (r == 0) {
		r = follow(trace, err);
		want_allowed(trace, 0, NULL); /* before the lock goes with the events */
	}
	kern_events_close(trace->events);
	cleanup_close(&trace->pods_fd);
	cleanup_close(&trace->runtime_fd);
	cleanup_close(&trace->stats_fd);
	return r;
}

/* As cli_fail, but one line: what reads JSON Lines reads this too. */
static int fail(bool json, int code, const struct pc_err *err)
{
	json_t *object;

	if (!json)
		return cli_fail(false, code, err);
	object = json_pack("{ss}", "error", err->msg[0] ? err->msg : strerror(-code));
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
	return 1;
}

int cmd_trace(const struct cli_command *self, int argc, char **argv)
{
	struct trace trace = {.pods_fd = -EBADF, .runtime_fd = -EBADF, .stats_fd = -EBADF};
	const char *count = NULL;
	const struct cli_option options[] = {
		{"allowed", NULL, "also show what is allowed, not only refusals", NULL,
		 &trace.allowed, NULL},
		{"count", "N", "end after N decisions", &count, NULL, NULL},
		{"json", NULL, "print one JSON object per line, errors too", NULL, &trace.json,
		 NULL},
		CLI_PIN_DIR(trace.pin_dir),
	};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	if (!trace.pin_dir)
		trace.pin_dir = KERN_PIN_DIR;
	if (count && (parse_u64(count, UINT32_MAX, &trace.count) < 0 || !trace.count))
		r = pc_err_set(&err, -EINVAL, "--count \"%s\" is not a number from 1 to %u", count,
			       UINT32_MAX);
	if (r == 0)
		r = trace_run(&trace, &err);
	return r < 0 ? fail(trace.json, r, &err) : 0;
}
