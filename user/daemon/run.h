/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "node/layout.h"
#include "resolver/options.h"

struct run_options {
	struct layout_options place;
	struct resolver_source source; /* of the pods' names */
	const char *config_path; /* of place.config; read again on SIGHUP */
	const char *metrics; /* as in struct resolver_options */
	const char *associations;
	const char *token_key;
	const char *user; /* of the agent: name or number; NULL: podcred, or PRIVILEGES_UID */
	const char *fetch_user; /* of podcred fetch; NULL: podcred-fetch, or PRIVILEGES_FETCH_UID */
	bool require_authorization;
	bool log_json, log_debug; /* of the children */
	bool keep; /* leave the guard attached when stopped */
};

/* The agent's address when none is configured: the first IPv4 address of this node that pods can
 * reach, port 7777. -ENOENT. */
int daemon_run_default_agent(struct config *config, struct pc_err *err);

/* load, resolve and serve as one process tree, until SIGTERM or SIGINT. */
int daemon_run(const struct run_options *options, struct pc_err *err);
