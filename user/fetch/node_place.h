/* SPDX-License-Identifier: Apache-2.0 */
/* Where the node's own credentials may be; one file for each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fetch/env.h"
#include "fetch/job.h"

struct config_node_credentials;
struct pc_err;

#define FETCH_PLACE_SIZE 1200

struct fetch_place {
	/* Whether there is something. text: which it is, for people. */
	bool (*has_some)(const struct fetch_env *env, const struct config_node_credentials *config,
			 char text[FETCH_PLACE_SIZE]);
	/* As fetch_source_fn. */
	int (*start)(const struct fetch_env *env, const struct config_node_credentials *config,
		     fetch_done_fn *done, void *arg, struct fetch_job **ret, struct pc_err *err);
	/* A number that is another one when they have changed; NULL: that is not seen from outside. */
	uint64_t (*version)(const struct config_node_credentials *config);
};

extern const struct fetch_place fetch_place_environment;
extern const struct fetch_place fetch_place_file;
extern const struct fetch_place fetch_place_web_identity;
extern const struct fetch_place fetch_place_imds;
extern const struct fetch_place fetch_place_exec;
extern const struct fetch_place fetch_place_roles_anywhere;
