/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child of podcred run: this program executed again, with nothing inherited that is not handed to
 * it. It is restarted when it ends, after a longer delay each time that it ends soon.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"

#define CHILD_MAX_ARGS 40

struct child {
	const char *name; /* in the log */
	const char *cgroup; /* it is started in there; NULL: where we are */
	const char *argv[CHILD_MAX_ARGS]; /* ends with NULL */
	bool faces_pods; /* the environment's AWS_ variables, which may hold keys, are not for it */
	/* Called for each new process, before it runs, to put files into its channel. May be NULL. */
	int (*prepare)(const struct child *child, void *arg, struct pc_err *err);
	void *arg;
	pid_t pid; /* 0: not running */
	int channel; /* the end of run, see supervised.h; -EBADF when not running */
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	unsigned delay_s; /* before the next start */
	struct loop_timer *start; /* the next one */
};

struct children {
	struct child *v;
	size_t n;
	struct loop *loop;
	struct loop_timer *deadline; /* of an end */
	bool ending;
};

/* Start them, v and n, when the loop runs, and again when they end: SIGCHLD is theirs. What goes wrong
 * with one is in the log, and tried again. children must stay where it is as long as the loop. -errno. */
int daemon_children_start(struct children *children, struct loop *loop);

/* SIGTERM, and SIGKILL for who does not heed it in time. The loop stops, with 0, when all are gone. */
void daemon_children_end(struct children *children);

void daemon_child_signal(const struct child *child, int sig);
