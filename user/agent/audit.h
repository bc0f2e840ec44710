/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "request.h"
#include "response.h"

/* One "credentials" line per decision: who asked, where, and what came of it. Holds no secret,
 * no token and nothing else that the client wrote. */
void audit_decision(const struct agent_request *req, const struct agent_response *resp);
