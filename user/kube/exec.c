// SPDX-License-Identifier: Apache-2.0
#include "kube/exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/program.h"
#include "base/text.h"
#include "kube/internal.h"

#define MAX_OUTPUT (256U << 10)
#define INFO	   "KUBERNETES_EXEC_INFO"

struct kube_exec_run {
	const struct kube_config *config;
	struct program *program;
	kube_exec_fn *fn;
	void *arg;
};

struct kube_exec_run *kube_exec_cancel(struct kube_exec_run *run)
{
	if (run)
		program_cancel(run->program);
	free(run);
	return NULL;
}

/* ---- the end of it ---- */

static void on_done(void *arg, int error, const char *why, const char *output, size_t len)
{
	_cleanup_free_ struct kube_exec_run *run = arg;
	const struct kube_config *config = run->config;
	struct kube_exec_credential credential = {};
	struct pc_err err = {};
	char line[512] = "";

	if (!error)
		error = kube_exec_decode(&config->exec, output, len, &credential, &err);
	if (error)
		snprintf(line, sizeof(line),
			 "exec plugin %s of %s: %.256s; run it by hand to see what is wrong",
			 config->exec.command, config->name, *why ? why : err.msg);
	run->fn(run->arg, error, line, error ? NULL : &credential);
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

static int launch(struct loop *loop, struct kube_exec_run *run, uint64_t limit_ns)
{
	const struct kube_exec *exec = &run->config->exec;
	_cleanup_free_ char *info = exec_info(run->config);
	_cleanup_free_ char **env = info ? make_env(run->config, info) : NULL;
	const struct program_options options = {
		.command = exec->command,
		.argv = exec->argv,
		.env = env,
		.max_output = MAX_OUTPUT,
		.limit_ns = limit_ns,
		.done = on_done,
		.arg = run,
	};

	return env ? program_start(loop, &options, &run->program) : -ENOMEM;
}

int kube_exec_start(struct loop *loop, const struct kube_config *config, uint64_t limit_ns,
		    kube_exec_fn *fn, void *arg, struct kube_exec_run **ret, struct pc_err *err)
{
	_cleanup_free_ struct kube_exec_run *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return pc_err_set(err, -ENOMEM, "no memory");
	*run = (struct kube_exec_run){.config = config, .fn = fn, .arg = arg};
	r = launch(loop, run, limit_ns);
	if (r < 0)
		return pc_err_set(err, r,
				  "exec plugin %s of %s cannot be executed: %s; install it, or "
				  "correct 'command'",
				  config->exec.command, config->name, strerror(-r));
	*ret = TAKE_PTR(run);
	return 0;
}
