/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to answers, without I/O. Each function returns 0 with *ret filled, -EAGAIN when the
 * answer depends on the pod's name, which is not known yet (ask again with a newer peer, or give
 * up with agent_not_resolved), or -ENOMEM. *ret is all zero before and untouched on error.
 */
#pragma once

#include "destination.h"
#include "request.h"
#include "response.h"

struct credentials;

/* Everything: unknown and direct callers, health, then the protocol of the dialled address. */
int agent_dispatch(const struct agent_env *env, const struct agent_request *req,
		   struct agent_response *ret);

/* The container credentials protocol of ECS and EKS Pod Identity. */
int container_answer(const struct agent_env *env, const struct agent_request *req,
		     enum destination d, struct agent_response *ret);

/* The instance metadata service: session tokens, and the pod's role in place of the node's. */
int imds_answer(const struct agent_env *env, const struct agent_request *req,
		struct agent_response *ret);

/* 503 for a caller whose pod got no name in time; reason goes to the audit line. */
int agent_not_resolved(const struct agent_request *req, const char *reason,
		       struct agent_response *ret);

/* 413 for a request that announces a body. */
int agent_too_large(struct agent_response *ret);

/* Asks whether the agent is alive, and no more. */
bool agent_is_probe(const struct agent_request *req);

/* A 405 that says what would have worked. */
int response_method(struct agent_response *resp, const char *allow, bool imds);
