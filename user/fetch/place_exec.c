// SPDX-License-Identifier: Apache-2.0
/* A program of the configuration. */
#include <stdio.h>
#include <string.h>

#include "config/credentials.h"
#include "fetch/node_place.h"
#include "fetch/process.h"

#define MAX_LIST 256

/* Texts one after the other, each with its NUL, up to an empty one. */
static void list(const char *texts, const char *ret[MAX_LIST + 1])
{
	size_t n = 0;

	for (; *texts && n < MAX_LIST; texts += strlen(texts) + 1)
		ret[n++] = texts;
	ret[n] = NULL;
}

static bool has_some(const struct fetch_env *env, const struct config_node_credentials *config,
		     char text[FETCH_PLACE_SIZE])
{
	(void)env;
	snprintf(text, FETCH_PLACE_SIZE, "of the program %.1000s", config->command);
	return config->command[0];
}

static int start(const struct fetch_env *env, const struct config_node_credentials *config,
		 fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err)
{
	const char *command[MAX_LIST + 1], *environment[MAX_LIST + 1];
	const struct fetch_process process = {
		.command = command, .environment = environment, .what = "nodeCredentials exec"};

	list(config->command, command);
	list(config->environment, environment);
	return fetch_process_start(env->loop, &process, done, arg, ret, err);
}

const struct fetch_place fetch_place_exec = {.has_some = has_some, .start = start};
