/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What podcred run hands to its children as open files: the associations, which stay root's, and the
 * configuration, so that a child that is started again has the one that is in force, whatever the file on disk has
 * become meanwhile.
 */
#pragma once

#include "base/err.h"

struct child;

struct run_files {
	const char *associations; /* paths */
	const char *config; /* NULL: none */
	int config_fd; /* a sealed copy of it, as it was last valid; negative: none yet */
};

/* Makes the file of now the configuration, if it is valid. Without one there is nothing to do. */
int daemon_run_files_read_config(struct run_files *files, struct pc_err *err);
void daemon_run_files_done(struct run_files *files);

/* Whether the associations can be opened at all. */
int daemon_run_files_check(const struct run_files *files, struct pc_err *err);

/* Into the channel of a child. Without a configuration there is nothing to send. */
int daemon_run_files_send_associations(const struct child *child, const struct run_files *files,
				       struct pc_err *err);
int daemon_run_files_send_config(const struct child *child, const struct run_files *files,
				 struct pc_err *err);
