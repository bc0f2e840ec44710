// SPDX-License-Identifier: Apache-2.0
/* A program of the association prints them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "fetch/process.h"
#include "fetch/source.h"

/* NAME=VALUE, up to a NULL, in one piece of memory. */
static char **join(const struct cred_exec *exec)
{
	size_t n = exec->n_environment, size = 0;
	char **list, *at;

	for (size_t i = 0; i < n; i++)
		size += strlen(exec->environment[i].key) + strlen(exec->environment[i].value) + 2;
	list = malloc((n + 1) * sizeof(*list) + size);
	if (!list)
		return NULL;
	at = (char *)(list + n + 1);
	for (size_t i = 0; i < n; i++) {
		list[i] = at;
		at += sprintf(at, "%s=%s", exec->environment[i].key, exec->environment[i].value) +
		      1;
	}
	list[n] = NULL;
	return list;
}

int fetch_source_exec(const struct fetch_env *env, const struct fetch_request *request,
		      fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const struct cred_exec *exec = &request->association->exec;
	_cleanup_free_ char **environment = join(exec);
	char what[400];
	const struct fetch_process process = {
		.command = exec->command,
		.environment = (const char *const *)environment,
		.what = what,
		.needs_token = true,
	};

	if (!environment)
		return pc_err_set(err, -ENOMEM, "no memory");
	snprintf(what, sizeof(what), "exec of %s/%s", request->pod.namespace,
		 request->pod.service_account);
	return fetch_process_start(env->loop, &process, done, arg, ret, err);
}
