/* SPDX-License-Identifier: Apache-2.0 */
/* Why the agent refuses: one list for answers, log and metrics. docs/reasons.md explains each. */
#pragma once

#define AGENT_REASONS(X)                                                                           \
	X(UNKNOWN_CALLER, unknown_caller)                                                          \
	X(DIRECT, direct)                                                                          \
	X(UNKNOWN_DESTINATION, unknown_destination)                                                \
	X(BAD_HOST, bad_host)                                                                      \
	X(FORWARDED, forwarded)                                                                    \
	X(AMBIGUOUS, ambiguous)                                                                    \
	X(BAD_PATH, bad_path)                                                                      \
	X(POD_NOT_RESOLVED, pod_not_resolved)                                                      \
	X(TOO_MANY_CONNECTIONS, too_many_connections)                                              \
	X(NO_ASSOCIATION, no_association)                                                          \
	X(CREDENTIALS_EXPIRED, credentials_expired)                                                \
	X(NO_AUTHORIZATION, no_authorization)                                                      \
	X(BODY_TOO_LARGE, body_too_large)                                                          \
	X(BAD_TOKEN_TTL, bad_token_ttl)                                                            \
	X(TOKEN_PATH_NOT_LATEST, token_path_not_latest)                                            \
	X(IMDS_TOKEN_INVALID, imds_token_invalid)                                                  \
	X(IMDS_TOKEN_EXPIRED, imds_token_expired)                                                  \
	X(OTHER_ROLE, other_role)                                                                  \
	X(TOKEN_NOT_MADE, token_not_made)                                                          \
	X(CLOCK, clock)

enum agent_reason {
	AGENT_NO_REASON, /* no decision about credentials, or a grant */
#define X(name, text) AGENT_##name,
	AGENT_REASONS(X)
#undef X
		AGENT_REASON_MAX,
};

/* NULL for AGENT_NO_REASON. */
const char *agent_reason_name(enum agent_reason reason);
