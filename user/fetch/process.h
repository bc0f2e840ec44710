/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that prints credentials, by the contract that SDKs call credential_process: JSON with Version 1,
 * AccessKeyId, SecretAccessKey, and perhaps SessionToken, Expiration and AccountId.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fetch/job.h"

struct pc_err;

struct fetch_process {
	const char *const *command; /* an absolute path and its arguments, up to a NULL */
	const char *const *environment; /* NAME=VALUE, up to a NULL; may be NULL */
	const char *what; /* for messages: "exec of shop/web" */
	bool needs_token; /* credentials without a session token are refused, as SDKs of pods do */
};

/* It gets PATH, HOME, LANG, TZ, TMPDIR, AWS_REGION and AWS_DEFAULT_REGION from our environment, and nothing
 * else. */
int fetch_process_start(struct loop *loop, const struct fetch_process *process, fetch_done_fn *done,
			void *arg, struct fetch_job **ret, struct pc_err *err);

/* What it has printed. The texts of *ret are those of *ret_tree, which is to be freed by yml_tree_free(). -EINVAL: err
 * says what is wrong with it, and quotes nothing. */
struct yml_tree;
int fetch_process_parse(const char *text, size_t len, time_t now, bool needs_token,
			struct yml_tree **ret_tree, struct fetch_result *ret, struct pc_err *err);
