/* SPDX-License-Identifier: Apache-2.0 */
/* What the places that ask AWS have in common: one call, whose session is the node's credentials. */
#pragma once

#include "aws/client.h"
#include "fetch/node_place.h"

struct fetch_place_call {
	struct fetch_job job;
	const struct fetch_env *env;
	const char *absent; /* why, when AWS has none; NULL: as AWS says it */
	struct aws_call *call;
	fetch_done_fn *done;
	void *arg;
};

/* Starts the call, which ends in fetch_place_on_session() with the place as its argument. */
typedef int fetch_place_ask_fn(struct fetch_place_call *place,
			       const struct config_node_credentials *config, struct pc_err *err);

/* For fetch_place.start. place: what is known before; copied. */
int fetch_place_start(const struct fetch_place_call *place,
		      const struct config_node_credentials *config, fetch_place_ask_fn *ask,
		      struct fetch_job **ret, struct pc_err *err);

/* An aws_session_fn. */
void fetch_place_on_session(void *arg, const struct aws_result *aws, struct aws_session *session);
