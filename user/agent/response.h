/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/reasons.h"
#include "http/response.h"

struct credentials;

#define RESPONSE_ROLE_SIZE   65
#define RESPONSE_KEY_ID_SIZE 129

enum audit_result {
	AUDIT_NONE, /* not a decision about credentials */
	AUDIT_GRANTED,
	AUDIT_REFUSED,
};

struct agent_response {
	struct http_response http;
	enum audit_result audit;
	enum agent_reason reason;
	char role[RESPONSE_ROLE_SIZE];
	char key_id[RESPONSE_KEY_ID_SIZE]; /* of a grant, to tell it from the next; not logged */
};

/* Wipes and frees; leaves an empty response. */
void agent_response_done(struct agent_response *resp);

/* A text/plain answer. a reason makes it an audited refusal. 0 or -ENOMEM. */
int agent_response_text(struct agent_response *resp, unsigned status, const char *body,
			enum agent_reason reason);

/* The error body of the container endpoint (R8): every SDK finds its own spelling of the keys. */
int agent_response_error(struct agent_response *resp, unsigned status, const char *code,
			 const char *message, enum agent_reason reason);

/* 400: what was asked can be read in more than one way. */
int agent_response_ambiguous(struct agent_response *resp);

/* A 405 that says what would have worked. */
int agent_response_method(struct agent_response *resp, const char *allow, bool imds);

/* Same, in the shape of IMDS: one line of text, which no SDK parses. */
int agent_response_imds_error(struct agent_response *resp, unsigned status,
			      enum agent_reason reason);

/* Grants: adds to the JSON object that the body has begun what both protocols spell alike, and ends
 * it. 0, -ENOMEM, or -E2BIG when that does not fit. */
int agent_response_credentials(struct agent_response *resp, const struct credentials *c,
			       const char *content_type);
