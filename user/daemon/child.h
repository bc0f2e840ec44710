/* SPDX-License-Identifier: Apache-2.0 */
/* A process of podcred run: this program executed again, which brings nothing along that is not handed
 * to it. It is started again when it ends, later each time that it ends soon. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

#define CHILD_MAX_ARGS 40

struct child {
	const char *name; /* in the log */
	const char *cgroup; /* it is started in there; NULL: where we are */
	const char *argv[CHILD_MAX_ARGS]; /* ends with NULL */
	/* Called for each new process, before it runs, to put files into its channel. May be NULL. */
	int (*prepare)(const struct child *child, void *arg, struct pc_err *err);
	void *arg;
	pid_t pid; /* 0: not running */
	int channel; /* the end of run, see supervised.h; -EBADF when not running */
	uint64_t started_ns, next_ns; /* CLOCK_MONOTONIC */
	unsigned delay_s; /* before the next start */
};

/* Start those that are due. What goes wrong is in the log, and tried again. Returns for how many
 * milliseconds nothing is to do, -1: for ever. */
int children_start(struct child *children, size_t n);

/* Take note of those that ended. */
void children_reap(struct child *children, size_t n);

/* SIGTERM, and SIGKILL for who does not heed it in time; returns when all are gone. signal_fd: of
 * signals_open(), which SIGCHLD wakes. */
void children_stop(struct child *children, size_t n, int signal_fd);

void child_signal(const struct child *child, int sig);
