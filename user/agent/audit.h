/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/audit_limit.h"
#include "agent/answer.h"

struct agent_request;

/* One "credentials" line per decision: who asked, where, and what came of it. Holds no secret,
 * no token and nothing else that the client wrote. What is left out is counted. */
void agent_audit_decision(struct audit_limit *limit, const struct agent_request *req,
			  const struct agent_answer *answer, uint64_t now_ns);

/* The lines in place of those left out, for agent_audit_limit_init(). */
void agent_audit_suppressed(const struct podcred_peer *peer, unsigned count);
void agent_audit_repeated(const struct podcred_peer *peer, const char *role, unsigned count);
