/* SPDX-License-Identifier: Apache-2.0 */
/* One request as the services see it: plain values, no socket, nothing owned. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <podcred/podcred.h>

#include "http/request.h"

struct cred_table;

/* Headers that only services here know, in http_head.extra. */
enum {
	AGENT_HEADER_IMDS_TOKEN,
	AGENT_HEADER_IMDS_TTL,
};
extern const char *const agent_headers[HTTP_EXTRA_MAX];

struct agent_request {
	struct http_head head;
	const struct podcred_peer *peer; /* NULL: nobody vouches for the caller */
	int peer_error; /* then why, a negative errno */
	const char *client; /* remote address, for the audit line of unknown callers */
	time_t now; /* wall clock: what answers say */
	time_t boot_s; /* CLOCK_BOOTTIME: how long session tokens live */
};

/* What the answers are made from. Borrowed for the duration of one call. */
struct agent_env {
	const struct cred_table *table;
	const uint8_t *token_key; /* AGENT_TOKEN_KEY_SIZE bytes */
	bool require_authorization;
	bool stalled; /* health checks fail */
};
