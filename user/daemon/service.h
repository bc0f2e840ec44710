/* SPDX-License-Identifier: Apache-2.0 */
/* What podcred fetch, broker and control do alike: none of them faces pods, and none needs a right on its machine. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "daemon/privileges.h"

struct aws_sealing;

typedef int daemon_find_user_fn(const char *text, struct privileges_user *ret, struct pc_err *err);

/* For callbacks that have a line for the log. */
void daemon_service_said(void *arg, bool bad, const char *line);

/* Become user, as find knows it (NULL: stay who we are), without capabilities, and stay not dumpable. -errno. */
int daemon_service_drop(const char *user, daemon_find_user_fn *find, struct pc_err *err);

/* Of one that executes nothing: Landlock, and the filter of sandbox_fetch.h. What cannot be had is a line in the log,
 * which calls the process who. */
void daemon_service_confine(const char *who);

/* The master keys in path (aws/sealed_keys.h), for aws_sealing_free(). path NULL: none, and *ret is NULL. -errno. */
int daemon_service_read_sealing(const char *path, struct aws_sealing **ret, struct pc_err *err);
