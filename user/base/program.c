// SPDX-License-Identifier: Apache-2.0
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "base/secret.h"

struct program {
	struct program_options options;
	pid_t pid; /* and its process group; 0: it was reaped */
	int pidfd, out;
	struct loop_watch *ended, *readable;
	struct loop_timer *limit;
	char *text; /* what it has printed; room for max_output and one more */
	size_t len;
};

/* ---- life ---- */

struct program *program_cancel(struct program *p)
{
	if (!p)
		return NULL;
	loop_unwatch(p->readable);
	loop_unwatch(p->ended);
	loop_timer_free(p->limit);
	if (p->pid > 0) {
		kill(-p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	cleanup_close(&p->pidfd);
	cleanup_close(&p->out);
	secret_free(p->text);
	free(p);
	return NULL;
}

static void cleanup_program(struct program **p)
{
	program_cancel(*p);
}

#define _cleanup_program_ _cleanup_(cleanup_program)

/* ---- the end of it ---- */

static void report(struct program *p, int error, const char *why)
{
	struct program_options options = p->options;
	_cleanup_secret_ char *text = TAKE_PTR(p->text);
	size_t len = p->len;

	program_cancel(p);
	if (!error)
		text[len] = '\0';
	options.done(options.arg, error, why, error ? "" : text, error ? 0 : len);
}

static void on_limit(void *arg)
{
	report(arg, -ETIMEDOUT, "it does not end, and was killed");
}

/* False: it prints too much. */
static bool read_all(struct program *p)
{
	size_t max = p->options.max_output;
	ssize_t n = 1;

	while (n > 0 && p->len <= max) {
		n = read(p->out, p->text + p->len, max + 1 - p->len);
		p->len += n > 0 ? (size_t)n : 0;
	}
	if (n == 0)
		p->readable = loop_unwatch(p->readable);
	return p->len <= max;
}

static void on_readable(void *arg, unsigned ready)
{
	struct program *p = arg;
	char why[64];

	(void)ready;
	if (read_all(p))
		return;
	snprintf(why, sizeof(why), "it prints more than %zu kB, and was killed",
		 p->options.max_output >> 10);
	report(p, -EFBIG, why);
}

static bool failed(int status, char *ret, size_t size)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (WIFEXITED(status))
		snprintf(ret, size, "it ended with exit code %d", WEXITSTATUS(status));
	else
		snprintf(ret, size, "it ended with signal %d", WTERMSIG(status));
	return true;
}

static void on_ended(void *arg, unsigned ready)
{
	struct program *p = arg;
	char why[64] = "";
	int status = 0;

	if (!read_all(p)) {
		on_readable(p, ready);
		return;
	}
	if (waitpid(p->pid, &status, 0) != p->pid)
		status = 0; /* somebody else has reaped it: what it printed decides */
	p->pid = 0;
	report(p, failed(status, why, sizeof(why)) ? -EACCES : 0, why);
}

/* ---- its start ---- */

/* A process group of its own, and no signal blocked or ignored. */
static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF)
		       ?: posix_spawnattr_setpgroup(attr, 0)
		       ?: posix_spawnattr_setsigmask(attr, &none)
		       ?: posix_spawnattr_setsigdefault(attr, &all);
}

static int set_files(posix_spawn_file_actions_t *files, int out)
{
	return posix_spawn_file_actions_adddup2(files, out, 1)
		       ?: posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0)
		       ?: posix_spawn_file_actions_addopen(files, 2, "/dev/null", O_WRONLY, 0)
		       ?: posix_spawn_file_actions_addclosefrom_np(files, 3);
}

static int spawn(struct program *p, int out)
{
	const struct program_options *o = &p->options;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int r = posix_spawn_file_actions_init(&files);

	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = set_attributes(&attr) ?: set_files(&files, out);
		r = r ?: posix_spawnp(&p->pid, o->command, &files, &attr, o->argv, o->env);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	if (r)
		p->pid = 0;
	return -r;
}

static int launch(struct program *p)
{
	_cleanup_close_ int theirs = -EBADF;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	p->out = fds[0];
	theirs = fds[1];
	if (fcntl(p->out, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = spawn(p, theirs);
	if (r < 0)
		return r;
	p->pidfd = pidfd_open(p->pid, 0);
	return p->pidfd < 0 ? -errno : 0;
}

static int follow(struct program *p, struct loop *loop)
{
	int r = loop_watch(loop, p->out, LOOP_READ, on_readable, p, &p->readable);

	r = r ?: loop_watch(loop, p->pidfd, LOOP_READ, on_ended, p, &p->ended);
	r = r ?: loop_timer_new(loop, on_limit, p, &p->limit);
	if (r == 0)
		loop_timer_after(p->limit, p->options.limit_ns);
	return r;
}

int program_start(struct loop *loop, const struct program_options *options, struct program **ret)
{
	_cleanup_program_ struct program *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	*p = (struct program){.options = *options, .pidfd = -EBADF, .out = -EBADF};
	p->text = malloc(options->max_output + 1);
	if (!p->text)
		return -ENOMEM;
	r = launch(p);
	r = r ?: follow(p, loop);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}
