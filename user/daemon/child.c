// SPDX-License-Identifier: Apache-2.0
#include "daemon/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/supervised.h"

#define DELAY_MAX_S  30
#define GOOD_WHILE_S 60 /* one that ran for so long starts from the shortest delay again */
#define STOP_S	     10

#define CHANNEL_FD   3 /* in the child */
#define CHANNEL_TEXT "3"

/* Of a child that could not be executed; the shell's numbers. */
#define EXIT_NO_CGROUP 126
#define EXIT_NO_EXEC   127

/* ---- starting ---- */

static int open_cgroup(const struct child *child, struct pc_err *err)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/cgroup.procs", child->cgroup) < 0)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 ? fd
		       : pc_err_set(err, -errno, "cannot move %s into %s: %m", child->name,
				    child->cgroup);
}

static void forget_aws(void)
{
	size_t kept = 0;

	for (size_t i = 0; environ[i]; i++)
		if (strncmp(environ[i], "AWS_", 4) != 0)
			environ[kept++] = environ[i];
	environ[kept] = NULL;
}

/* Between fork and exec: system calls only, as other threads of run may hold locks. Signals stay
 * blocked: what comes before the child listens is there when it does. */
static void execute(const struct child *child, int channel, int cgroup_fd)
{
	if (child->cgroup && write(cgroup_fd, "0", 1) < 0)
		_exit(EXIT_NO_CGROUP);
	if (channel == CHANNEL_FD)
		fcntl(channel, F_SETFD, 0);
	else if (dup2(channel, CHANNEL_FD) < 0)
		_exit(EXIT_NO_EXEC);
	close_range(CHANNEL_FD + 1, ~0U, 0);
	if (child->faces_pods)
		forget_aws();
	/* this very program, also when its file was replaced or removed */
	execv("/proc/self/exe", (char *const *)child->argv);
	_exit(EXIT_NO_EXEC);
}

static int child_start(struct child *child, struct pc_err *err)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF, cgroup_fd = -EBADF;
	int pair[2], r;

	if (child->cgroup) {
		cgroup_fd = open_cgroup(child, err);
		if (cgroup_fd < 0)
			return cgroup_fd;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pc_err_set(err, -errno, "cannot start %s: %m", child->name);
	ours = child->channel = pair[0];
	theirs = pair[1];
	r = child->prepare ? child->prepare(child, child->arg, err) : 0;
	child->channel = -EBADF;
	if (r < 0)
		return r;
	child->pid = fork();
	if (child->pid == 0)
		execute(child, theirs, cgroup_fd);
	if (child->pid < 0) {
		child->pid = 0;
		return pc_err_set(err, -errno, "cannot start %s: %m", child->name);
	}
	child->channel = TAKE_FD(ours);
	child->started_ns = clock_mono_ns();
	return 0;
}

/* Twice as long each time, until one has run for a good while. */
static void put_off(struct child *child, bool good)
{
	unsigned delay = good ? 1 : child->delay_s * 2 ?: 1;

	child->delay_s = delay < DELAY_MAX_S ? delay : DELAY_MAX_S;
	loop_timer_after(child->start, child->delay_s * CLOCK_S);
}

static void on_start(void *arg)
{
	struct child *child = arg;
	struct pc_err err = {};

	if (child_start(child, &err) == 0)
		return;
	put_off(child, false);
	log_error("%s; trying again in %u s", err.msg, child->delay_s);
}

/* ---- ending ---- */

static void say_end(const struct child *child, int status, uint64_t ran_ns)
{
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == EXIT_NO_CGROUP)
		snprintf(how, sizeof(how), "its cgroup does not accept it");
	else if (WEXITSTATUS(status) == EXIT_NO_EXEC)
		snprintf(how, sizeof(how), "/proc/self/exe cannot be executed");
	else
		snprintf(how, sizeof(how), "exit %d", WEXITSTATUS(status));
	log_warn("%s ended (%s) after %llu s; starting it again in %u s", child->name, how,
		 (unsigned long long)(ran_ns / CLOCK_S), child->delay_s);
}

static void ended(struct child *child)
{
	close(child->channel);
	child->channel = -EBADF;
	child->pid = 0;
}

static void start_again(struct child *child, int status)
{
	uint64_t ran_ns = clock_mono_ns() - child->started_ns;

	put_off(child, ran_ns >= GOOD_WHILE_S * CLOCK_S);
	say_end(child, status, ran_ns);
}

void daemon_child_signal(const struct child *child, int sig)
{
	if (child->pid > 0)
		kill(child->pid, sig);
}

static void stop_when_all_are_gone(const struct children *children)
{
	size_t left = 0;

	for (size_t i = 0; i < children->n; i++)
		left += children->v[i].pid != 0;
	if (!left)
		loop_stop(children->loop, 0);
}

static void on_sigchld(void *arg, int sig)
{
	struct children *children = arg;
	int status;
	pid_t pid;

	(void)sig;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < children->n; i++) {
			struct child *child = &children->v[i];

			if (child->pid != pid)
				continue;
			ended(child);
			if (!children->ending)
				start_again(child, status);
		}
	}
	if (children->ending)
		stop_when_all_are_gone(children);
}

static void kill_all(void *arg)
{
	const struct children *children = arg;

	for (size_t i = 0; i < children->n; i++) {
		if (children->v[i].pid)
			log_warn("%s does not end within %d s; killed", children->v[i].name,
				 STOP_S);
		daemon_child_signal(&children->v[i], SIGKILL);
	}
}

void daemon_children_end(struct children *children)
{
	if (children->ending)
		return;
	children->ending = true;
	for (size_t i = 0; i < children->n; i++) {
		loop_timer_cancel(children->v[i].start);
		daemon_child_signal(&children->v[i], SIGTERM);
	}
	loop_timer_after(children->deadline, STOP_S * CLOCK_S);
	stop_when_all_are_gone(children);
}

int daemon_children_start(struct children *children, struct loop *loop)
{
	int r = loop_timer_new(loop, kill_all, children, &children->deadline);

	children->loop = loop;
	if (r == 0)
		r = loop_signal(loop, SIGCHLD, on_sigchld, children);
	for (size_t i = 0; i < children->n && r == 0; i++) {
		struct child *child = &children->v[i];

		r = loop_timer_new(loop, on_start, child, &child->start);
		if (r == 0)
			loop_timer_after(child->start, 0);
	}
	setenv(SUPERVISED_ENV, CHANNEL_TEXT, 1);
	return r;
}
