/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent makes of a request: the HTTP response, and the decision about credentials behind it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "http/response.h"

/* Why the agent refuses: one list for answers, log and metrics. docs/reasons.md explains each. */
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
	X(CREDENTIALS_PENDING, credentials_pending)                                                \
	X(ROLE_NOT_ALLOWED, role_not_allowed)                                                      \
	X(ROLE_DENIED, role_denied)                                                                \
	X(ROLE_INVALID, role_invalid)                                                              \
	X(THROTTLED, throttled)                                                                    \
	X(UNAVAILABLE, unavailable)                                                                \
	X(NODE_CREDENTIALS, node_credentials)                                                      \
	X(TOKEN_REFUSED, token_refused)                                                            \
	X(FETCH_BUSY, fetch_busy)                                                                  \
	X(FETCH_FAILED, fetch_failed)                                                              \
	X(NO_AUTHORIZATION, no_authorization)                                                      \
	X(BODY_TOO_LARGE, body_too_large)                                                          \
	X(BAD_TOKEN_TTL, bad_token_ttl)                                                            \
	X(TOKEN_PATH_NOT_LATEST, token_path_not_latest)                                            \
	X(IMDS_TOKEN_INVALID, imds_token_invalid)                                                  \
	X(IMDS_TOKEN_EXPIRED, imds_token_expired)                                                  \
	X(IMDS_TOKEN_REQUIRED, imds_token_required)                                                \
	X(OTHER_ROLE, other_role)                                                                  \
	X(BAD_PARAMETERS, bad_parameters)                                                          \
	X(SESSION_POLICY, session_policy)                                                          \
	X(TOKEN_NOT_MADE, token_not_made)                                                          \
	X(CLOCK, clock)                                                                            \
	X(TOKEN_MALFORMED, token_malformed)                                                        \
	X(TOKEN_KEYS_MISSING, token_keys_missing)                                                  \
	X(TOKEN_UNKNOWN_KEY, token_unknown_key)                                                    \
	X(TOKEN_BAD_SIGNATURE, token_bad_signature)                                                \
	X(TOKEN_WRONG_ISSUER, token_wrong_issuer)                                                  \
	X(TOKEN_WRONG_AUDIENCE, token_wrong_audience)                                              \
	X(TOKEN_NOT_A_PODS, token_not_a_pods)                                                      \
	X(TOKEN_OTHER_POD, token_other_pod)                                                        \
	X(TOKEN_OTHER_ACCOUNT, token_other_account)                                                \
	X(TOKEN_OTHER_NODE, token_other_node)                                                      \
	X(TOKEN_NOT_YET_VALID, token_not_yet_valid)                                                \
	X(TOKEN_EXPIRED, token_expired)                                                            \
	X(TOKEN_NOT_VERIFIED, token_not_verified)                                                  \
	X(TOKEN_NOT_ACCEPTED, token_not_accepted)                                                  \
	X(TOKEN_NOT_REVIEWED, token_not_reviewed)

enum agent_reason {
	AGENT_NO_REASON, /* no decision about credentials, or a grant */
#define X(name, text) AGENT_##name,
	AGENT_REASONS(X)
#undef X
		AGENT_REASON_MAX,
};

/* As in docs/reasons.md. NULL for AGENT_NO_REASON. */
const char *agent_reason_name(enum agent_reason reason);

/* How a refusal that is not of a service's own protocol is put. */
struct agent_refusal {
	unsigned status;
	const char *code, *message; /* of the container endpoint */
};
struct agent_refusal agent_refusal_of(enum agent_reason reason);

#define ANSWER_ROLE_SIZE    65
#define ANSWER_ARN_SIZE	    640 /* for the log */
#define ANSWER_SESSION_SIZE 65
#define ANSWER_SOURCE_SIZE  33
#define ANSWER_KEY_ID_SIZE  129

enum audit_result {
	AUDIT_NONE, /* not a decision about credentials */
	AUDIT_GRANTED,
	AUDIT_REFUSED,
};

struct agent_answer {
	struct http_response http;
	enum audit_result audit;
	enum agent_reason reason;
	char role[ANSWER_ROLE_SIZE];
	char role_arn[ANSWER_ARN_SIZE], session_name[ANSWER_SESSION_SIZE],
		source[ANSWER_SOURCE_SIZE];
	const char *cache; /* of a grant: where it was; NULL: nowhere */
	char key_id[ANSWER_KEY_ID_SIZE]; /* of a grant, to tell it from the next; not logged */
};

/* Wipes and frees; leaves an empty answer. */
void agent_answer_done(struct agent_answer *answer);

/* The body is the caller's. A reason makes it an audited refusal. */
void agent_answer_begin(struct agent_answer *answer, unsigned status, const char *content_type,
			enum agent_reason reason);

/* A text/plain answer. A reason makes it an audited refusal. 0 or -ENOMEM. */
int agent_answer_text(struct agent_answer *answer, unsigned status, const char *body,
		      enum agent_reason reason);

/* The error body of the container endpoint: every SDK finds its own spelling of the keys. */
int agent_answer_error(struct agent_answer *answer, unsigned status, const char *code,
		       const char *message, enum agent_reason reason);

/* 400: what was asked can be read in more than one way. */
int agent_answer_ambiguous(struct agent_answer *answer);

/* A 405 that says what would have worked. */
int agent_answer_method(struct agent_answer *answer, const char *allow, bool imds);

/* Same, in the shape of IMDS: one line of text, which no SDK parses. */
int agent_answer_imds_error(struct agent_answer *answer, unsigned status, enum agent_reason reason);

/* Borrowed from whoever has them. */
struct agent_secrets {
	const char *access_key_id, *secret_access_key, *session_token;
	time_t expiration;
};

/* Grants: adds to the JSON object that the body has begun what both protocols spell alike, and ends
 * it. 0, -ENOMEM, or -E2BIG when that does not fit. */
int agent_answer_credentials(struct agent_answer *answer, const struct agent_secrets *c,
			     const char *content_type);
