/* SPDX-License-Identifier: Apache-2.0 */
/* One answer of fetch about one pod. It does not change; it is counted, and in locked memory. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "upstream/message.h"

struct agent_told {
	atomic_uint refs;
	bool granted;
	uint64_t told_ns; /* CLOCK_MONOTONIC: when it came */
	const char *role_arn, *source; /* NULL: not known */
	/* granted */
	const char *access_key_id, *secret_access_key, *session_token; /* the last may be empty */
	time_t expiration; /* wall clock */
	const char *previous_key_id; /* of the credentials before these; NULL: there were none */
	const char *role;
	const char *account_id, *session_name, *role_id; /* NULL: not known */
	enum upstream_cache cache;
	/* refused */
	enum upstream_reason reason;
	const char *message;
	uint64_t token; /* the one in the question, as a hash */
	char text[];
};

/* m: a grant or a refusal. before: what it replaces; NULL: nothing. 0 or -ENOMEM. */
int agent_told_new(const struct upstream_message *m, uint64_t token,
		   const struct agent_told *before, struct agent_told **ret);
struct agent_told *agent_told_ref(struct agent_told *told);
void agent_told_unref(struct agent_told *told); /* NULL is fine */
