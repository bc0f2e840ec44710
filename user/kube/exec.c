// SPDX-License-Identifier: Apache-2.0
#include "kube/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/secret.h"
#include "base/text.h"
#include "kube/internal.h"

#define MAX_OUTPUT (256U << 10)
#define INFO	   "KUBERNETES_EXEC_INFO"

struct kube_exec_run {
	const struct kube_config *config;
	pid_t pid; /* and its process group; 0: it was reaped */
	int pidfd, out;
	struct loop_watch *ended, *readable;
	struct loop_timer *limit;
	char *text; /* what it has printed; room for MAX_OUTPUT and one more */
	size_t len;
	kube_exec_fn *fn;
	void *arg;
};

/* ---- life ---- */

struct kube_exec_run *kube_exec_cancel(struct kube_exec_run *run)
{
	if (!run)
		return NULL;
	loop_unwatch(run->readable);
	loop_unwatch(run->ended);
	loop_timer_free(run->limit);
	if (run->pid > 0) {
		kill(-run->pid, SIGKILL);
		waitpid(run->pid, NULL, 0);
	}
	cleanup_close(&run->pidfd);
	cleanup_close(&run->out);
	secret_free(run->text);
	free(run);
	return NULL;
}

static void cleanup_run(struct kube_exec_run **run)
{
	kube_exec_cancel(*run);
}

#define _cleanup_run_ _cleanup_(cleanup_run)

/* ---- the end of it ---- */

static void report(struct kube_exec_run *run, int error, const char *what,
		   struct kube_exec_credential *credential)
{
	kube_exec_fn *fn = run->fn;
	void *arg = run->arg;
	char why[512] = "";

	if (error)
		snprintf(why, sizeof(why),
			 "exec plugin %s of %s: %s; run it by hand to see what is wrong",
			 run->config->exec.command, run->config->name, what);
	kube_exec_cancel(run);
	fn(arg, error, why, credential);
}

static void on_limit(void *arg)
{
	report(arg, -ETIMEDOUT, "it does not end, and was killed", NULL);
}

/* False: it prints too much. */
static bool read_all(struct kube_exec_run *run)
{
	ssize_t n = 1;

	while (n > 0 && run->len <= MAX_OUTPUT) {
		n = read(run->out, run->text + run->len, MAX_OUTPUT + 1 - run->len);
		run->len += n > 0 ? (size_t)n : 0;
	}
	if (n == 0)
		run->readable = loop_unwatch(run->readable);
	return run->len <= MAX_OUTPUT;
}

static void on_readable(void *arg, unsigned ready)
{
	(void)ready;
	if (!read_all(arg))
		report(arg, -EFBIG, "it prints more than 256 kB, and was killed", NULL);
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
	struct kube_exec_run *run = arg;
	struct kube_exec_credential credential = {};
	struct pc_err err = {};
	int status = 0, r;

	(void)ready;
	if (!read_all(run)) {
		on_readable(run, ready);
		return;
	}
	if (waitpid(run->pid, &status, 0) != run->pid)
		status = 0; /* somebody else has reaped it: what it printed decides */
	run->pid = 0;
	if (failed(status, err.msg, sizeof(err.msg)))
		report(run, -EACCES, err.msg, NULL);
	else if ((r = kube_exec_decode(&run->config->exec, run->text, run->len, &credential,
				       &err)) < 0)
		report(run, r, err.msg, NULL);
	else
		report(run, 0, "", &credential);
	kube_exec_credential_done(&credential);
}

/* ---- its start ---- */

/* A plugin that wants to know the cluster is told all but the certificate authority. */
static char *exec_info(const struct kube_config *config)
{
	struct text t = {.max = 64U << 10};
	char *ret;

	text_add(&t, INFO "={");
	text_add_member(&t, "kind", "ExecCredential");
	text_add_member(&t, "apiVersion", config->exec.api_version);
	text_add(&t, ",\"spec\":{\"interactive\":false");
	if (config->exec.wants_cluster) {
		text_add(&t, ",\"cluster\":{");
		text_add_member(&t, "server", config->server);
		if (config->tls_server_name)
			text_add_member(&t, "tls-server-name", config->tls_server_name);
		text_add(&t, config->insecure ? ",\"insecure-skip-tls-verify\":true}" : "}");
	}
	text_add(&t, "}}");
	ret = text_string(&t);
	text_done(&t);
	return ret;
}

static bool same_variable(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return !strncmp(a, b, n + 1);
}

/* Ours, with info and the configured ones in place of those of the same name. The array alone is new. */
static char **make_env(const struct kube_config *config, char *info)
{
	char **extra = config->exec.env, **ret;
	size_t n = 0, n_extra = 0, used = 0;

	while (environ[n])
		n++;
	while (extra[n_extra])
		n_extra++;
	ret = calloc(n + n_extra + 2, sizeof(*ret));
	for (size_t i = 0; ret && i < n; i++) {
		bool replaced = same_variable(info, environ[i]);

		for (size_t k = 0; k < n_extra; k++)
			replaced = replaced || same_variable(extra[k], environ[i]);
		if (!replaced)
			ret[used++] = environ[i];
	}
	for (size_t k = 0; ret && k < n_extra; k++)
		ret[used++] = extra[k];
	if (ret)
		ret[used] = info;
	return ret;
}

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

static int spawn(struct kube_exec_run *run, char **env, int out)
{
	const struct kube_exec *exec = &run->config->exec;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int r = posix_spawn_file_actions_init(&files);

	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = set_attributes(&attr) ?: set_files(&files, out);
		r = r ?: posix_spawnp(&run->pid, exec->command, &files, &attr, exec->argv, env);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	if (r)
		run->pid = 0;
	return -r;
}

static int launch(struct kube_exec_run *run)
{
	_cleanup_free_ char *info = exec_info(run->config);
	_cleanup_free_ char **env = info ? make_env(run->config, info) : NULL;
	_cleanup_close_ int theirs = -EBADF;
	int fds[2], r;

	if (!env)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	run->out = fds[0];
	theirs = fds[1];
	if (fcntl(run->out, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = spawn(run, env, theirs);
	if (r < 0)
		return r;
	run->pidfd = pidfd_open(run->pid, 0);
	return run->pidfd < 0 ? -errno : 0;
}

static int follow(struct kube_exec_run *run, struct loop *loop, uint64_t limit_ns)
{
	int r = loop_watch(loop, run->out, LOOP_READ, on_readable, run, &run->readable);

	r = r ?: loop_watch(loop, run->pidfd, LOOP_READ, on_ended, run, &run->ended);
	r = r ?: loop_timer_new(loop, on_limit, run, &run->limit);
	if (r == 0)
		loop_timer_after(run->limit, limit_ns);
	return r;
}

int kube_exec_start(struct loop *loop, const struct kube_config *config, uint64_t limit_ns,
		    kube_exec_fn *fn, void *arg, struct kube_exec_run **ret, struct pc_err *err)
{
	_cleanup_run_ struct kube_exec_run *run = calloc(1, sizeof(*run));
	int r = 0;

	if (run) {
		*run = (struct kube_exec_run){
			.config = config, .pidfd = -EBADF, .out = -EBADF, .fn = fn, .arg = arg};
		run->text = malloc(MAX_OUTPUT + 1);
	}
	if (!run || !run->text)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = launch(run);
	r = r ?: follow(run, loop, limit_ns);
	if (r < 0)
		return pc_err_set(err, r,
				  "exec plugin %s of %s cannot be executed: %s; install it, or "
				  "correct 'command'",
				  config->exec.command, config->name, strerror(-r));
	*ret = TAKE_PTR(run);
	return 0;
}
