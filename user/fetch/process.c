// SPDX-License-Identifier: Apache-2.0
#include "fetch/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/program.h"
#include "base/timestamp.h"
#include "fetch/keys.h"
#include "yaml/read.h"

#define MAX_OUTPUT (64U << 10)
#define MAX_NODES  1000
#define LIMIT_NS   (30 * CLOCK_S)

/* ---- what it prints ---- */

/* JSON's null is as good as nothing. */
static const char *text_of(const struct yml_node *root, const char *key)
{
	const struct yml_node *node = yml_get(root, key);
	const char *text = node ? yml_text(node) : NULL;

	return text && *text && strcmp(text, "null") != 0 ? text : NULL;
}

static int check_keys(const struct fetch_result *r, bool needs_token, struct pc_err *err)
{
	if (!r->access_key_id || !fetch_is_access_key_id(r->access_key_id))
		return pc_err_set(err, -EINVAL, "it prints no AccessKeyId, or a strange one");
	if (!r->secret_access_key || !fetch_is_secret(r->secret_access_key, FETCH_SECRET_MAX))
		return pc_err_set(err, -EINVAL, "it prints no SecretAccessKey, or a strange one");
	if (r->session_token && !fetch_is_secret(r->session_token, FETCH_TOKEN_MAX))
		return pc_err_set(err, -EINVAL, "it prints a strange SessionToken");
	if (needs_token && !r->session_token)
		return pc_err_set(err, -EINVAL,
				  "it prints no SessionToken; SDKs refuse credentials without one");
	if (r->account_id &&
	    (strlen(r->account_id) != 12 || strspn(r->account_id, "0123456789") != 12))
		return pc_err_set(err, -EINVAL, "it prints a strange AccountId");
	return 0;
}

static int read_expiration(const char *text, time_t now, struct fetch_result *ret,
			   struct pc_err *err)
{
	if (!text)
		return 0;
	if (timestamp_parse_any(text, &ret->expiration) < 0)
		return pc_err_set(err, -EINVAL,
				  "its Expiration is not a time like 2030-01-02T03:04:05Z");
	if (ret->expiration <= now)
		return pc_err_set(
			err, -EINVAL,
			"the credentials that it prints have expired already; is the clock right?");
	ret->good_ns = (uint64_t)(ret->expiration - now) * CLOCK_S;
	return 0;
}

int fetch_process_parse(const char *text, size_t len, time_t now, bool needs_token,
			struct yml_tree **ret_tree, struct fetch_result *ret, struct pc_err *err)
{
	struct yml_source src = {
		.name = "its output", .secret = true, .lineless = true, .err = err};
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	struct fetch_result result = {.class = FETCH_GRANTED};
	const struct yml_node *root;
	const char *version;
	int r = yml_tree_parse(&src, text, len, MAX_NODES, &tree);

	if (r < 0)
		return r;
	root = yml_tree_root(tree);
	if (!root || root->kind != YML_MAPPING)
		return pc_err_set(err, -EINVAL, "it does not print a JSON object");
	version = text_of(root, "Version");
	if (!version || strcmp(version, "1") != 0)
		return pc_err_set(err, -EINVAL, "it does not print \"Version\": 1");
	result.access_key_id = text_of(root, "AccessKeyId");
	result.secret_access_key = text_of(root, "SecretAccessKey");
	result.session_token = text_of(root, "SessionToken");
	result.account_id = text_of(root, "AccountId");
	r = check_keys(&result, needs_token, err);
	r = r ?: read_expiration(text_of(root, "Expiration"), now, &result, err);
	if (r < 0)
		return r;
	*ret_tree = TAKE_PTR(tree);
	*ret = result;
	return 0;
}

/* ---- a run ---- */

struct run {
	struct fetch_job job;
	struct program *program;
	char *what;
	bool needs_token;
	fetch_done_fn *done;
	void *arg;
};

static void run_free(struct fetch_job *job)
{
	struct run *run = (struct run *)job;

	program_cancel(run->program);
	free(run->what);
	free(run);
}

static void on_done(void *arg, int error, const char *why, const char *output, size_t len)
{
	struct run *run = arg;
	_cleanup_yml_tree_ struct yml_tree *tree = NULL;
	struct fetch_result result = {.class = FETCH_UNAVAILABLE};
	struct pc_err err = {};
	char line[512];

	run->program = NULL;
	if (!error && fetch_process_parse(output, len, time(NULL), run->needs_token, &tree, &result,
					  &err) < 0)
		result = (struct fetch_result){.class = FETCH_INVALID};
	if (result.class != FETCH_GRANTED) {
		snprintf(line, sizeof(line), "%s: %.256s; run it by hand to see what is wrong",
			 run->what, error ? why : err.msg);
		result.why = line;
	}
	run->done(run->arg, &result);
	run_free(&run->job);
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* The array alone is new. */
static const char **make_env(const char *const *environment)
{
	static const char *const ours[] = {
		"PATH=", "HOME=", "LANG=", "TZ=", "TMPDIR=", "AWS_REGION=", "AWS_DEFAULT_REGION="};
	const char **env = calloc(count(environment) + ARRAY_SIZE(ours) + 1, sizeof(*env));
	size_t n = 0;

	for (size_t i = 0; env && environment && environment[i]; i++)
		env[n++] = environment[i]; /* of two with one name the first counts */
	for (size_t i = 0; env && i < ARRAY_SIZE(ours); i++)
		for (char **e = environ; *e; e++)
			if (!strncmp(*e, ours[i], strlen(ours[i])))
				env[n++] = *e;
	return env;
}

static int launch(struct loop *loop, struct run *run, const struct fetch_process *process)
{
	_cleanup_free_ const char **env = make_env(process->environment);
	const struct program_options options = {
		.command = process->command[0],
		.argv = (char *const *)process->command,
		.env = (char *const *)env,
		.max_output = MAX_OUTPUT,
		.limit_ns = LIMIT_NS,
		.done = on_done,
		.arg = run,
	};

	return env ? program_start(loop, &options, &run->program) : -ENOMEM;
}

int fetch_process_start(struct loop *loop, const struct fetch_process *process, fetch_done_fn *done,
			void *arg, struct fetch_job **ret, struct pc_err *err)
{
	struct run *run = calloc(1, sizeof(*run));
	int r = -ENOMEM;

	if (run) {
		*run = (struct run){.job.cancel = run_free,
				    .needs_token = process->needs_token,
				    .what = strdup(process->what),
				    .done = done,
				    .arg = arg};
		r = run->what ? launch(loop, run, process) : -ENOMEM;
	}
	if (r < 0) {
		if (run)
			run_free(&run->job);
		return pc_err_set(err, r,
				  "%s: %s cannot be executed: %s; install it, or correct its path",
				  process->what, process->command[0], strerror(-r));
	}
	*ret = &run->job;
	return 0;
}
