/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request as the protocol logic sees it: plain values, no socket, nothing owned. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <podcred/podcred.h>

struct association_table;

struct agent_request {
	const char *method;
	const char *target; /* request target as the client sent it, query included */
	const char *host; /* NULL: none, which only HTTP/1.0 may */
	const char *imds_token; /* X-aws-ec2-metadata-token, NULL: none */
	const char *imds_ttl; /* X-aws-ec2-metadata-token-ttl-seconds, NULL: none */
	bool host_repeated; /* more than one Host header */
	bool authorization; /* a non-empty Authorization header; its text is not kept */
	bool forwarded; /* X-Forwarded-For and the like: somebody relays for somebody else */
	bool ambiguous; /* another parser might read another request: refused, whatever it is */
	const struct podcred_peer *peer; /* NULL: nobody vouches for the caller */
	int peer_error; /* then why, a negative errno */
	const char *client; /* remote address, for the audit line of unknown callers */
	time_t now; /* wall clock: what answers say */
	time_t boot_s; /* CLOCK_BOOTTIME: how long session tokens live */
};

/* What the answers are made from. Borrowed for the duration of one call. */
struct agent_env {
	const struct association_table *table;
	const uint8_t *token_key; /* AGENT_TOKEN_KEY_SIZE bytes */
	bool require_authorization;
};
