/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of STS, as XML. */
#pragma once

#include "agent/answer.h"

/* Borrowed; NULL: not known, and left out. */
struct agent_sts_session {
	const char *arn; /* of the session */
	const char *role_id; /* AROA...:SESSION */
	const char *account_id;
	const char *subject, *audience, *issuer; /* of the token */
};

/* A reason makes it an audited refusal. All of these: 0, -ENOMEM or -E2BIG. */
int agent_sts_answer_error(struct agent_answer *answer, unsigned status, const char *code,
			   const char *message, enum agent_reason reason);

/* Grants. */
int agent_sts_answer_assumed(struct agent_answer *answer, const struct agent_secrets *secrets,
			     const struct agent_sts_session *session);

int agent_sts_answer_identity(struct agent_answer *answer, const struct agent_sts_session *session);
