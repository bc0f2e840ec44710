/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pods ask for, by the address that they dial. A service is one file with a struct
 * agent_service, and one line in the table of service.c. It does not deal with sockets and does
 * not wait: the steps there find out what it needs, and call it with as much as is known so
 * far.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <podcred/podcred.h>

#include "agent/answer.h"
#include "agent/pod_token.h"
#include "agent/told.h"
#include "credentials/associations.h"
#include "credentials/credentials.h"
#include "http/path.h"
#include "http/request.h"

/* Headers that only services here know, in http_head.extra. */
enum {
	AGENT_HEADER_IMDS_TOKEN,
	AGENT_HEADER_IMDS_TTL,
};
struct agent_documents;
struct agent_leaves;
struct agent_sts_request;

extern const char *const agent_headers[HTTP_EXTRA_MAX];

/* One request: plain values, no socket, nothing owned. */
struct agent_request {
	struct http_head head;
	const char *body; /* for services that read one; NULL: none. No NUL behind it */
	size_t body_len;
	const struct podcred_peer *peer; /* NULL: nobody vouches for the caller */
	int peer_error; /* then why, a negative errno */
	const char *client; /* remote address, for the audit line of unknown callers */
	time_t now; /* wall clock: what answers say */
	time_t boot_s; /* CLOCK_BOOTTIME: how long session tokens live */
	uint64_t since_ns; /* CLOCK_MONOTONIC: when it had been read */
};

/* What the answers are made from. Borrowed for the duration of one call. */
struct agent_env {
	const struct cred_table *table;
	struct agent_leaves *leaves; /* for what the table has not; NULL: nobody is asked */
	struct agent_documents *documents; /* of the node's metadata; NULL: nobody is asked */
	const char *const *metadata; /* as in agent_options */
	uint64_t *wait_key; /* -EINPROGRESS: what whoever waits is parked under, not NULL */
	const uint8_t *token_key; /* AGENT_TOKEN_KEY_SIZE bytes */
	bool require_authorization;
	struct agent_tokens *tokens; /* what Pod Identity's are checked with; NULL: they are not */
	void (*want_keys)(void *arg); /* as in agent_options */
	void *want_keys_arg;
	bool stalled; /* health checks fail */
	bool deaf; /* the kernel would not tell here who a caller is: not ready */
	const char *pod_uid; /* the agent's own; NULL: not said */
};

/* Which role the pod gets. NULL: not known; name NULL: none. Borrowed. */
struct agent_role {
	const char *name, *arn, *account_id, *session_name, *source;
	const char *id; /* of the session: "AROA...:SESSION" */
};

/* One request on its way through the steps. */
struct agent_exchange {
	const struct agent_env *env;
	const struct agent_request *req;
	const struct agent_service *service; /* NULL: none at the dialled address */
	const struct cred_association *association; /* whose keys are in it; NULL: none */
	struct agent_told *told; /* by podcred fetch, in place of it; NULL: nothing */
	struct agent_role role;
	struct credentials credentials; /* copied from the association */
	struct agent_secrets secrets; /* of either */
	struct agent_answer *answer;
	/* for the service, from one of its functions to the next */
	char path[HTTP_PATH_SIZE];
	const char *rest; /* of path */
	bool slash; /* it had one at its end */
	time_t token_left;
	bool token_checked;
	struct agent_sts_request *sts; /* owned */
};

/* What a step makes of it, beside a negative errno. */
enum {
	AGENT_GO_ON,
	AGENT_ANSWERED, /* answer is final */
};

/* Of the steps alone: -EAGAIN waits for the pod's name, -EINPROGRESS for what podcred fetch says of it. */
typedef int (*agent_step_fn)(struct agent_exchange *x);

#define AGENT_SERVICE_ADDRESSES 2

struct agent_service {
	const char *name; /* in metrics */
	struct {
		uint8_t ip[16];
	} addresses[AGENT_SERVICE_ADDRESSES]; /* zero: no more */
	size_t body_room; /* bytes of a body that it reads; 0: it has none */
	bool authorization_is_token; /* a pod's own, which podcred fetch may have a use for */
	unsigned wait_ms; /* in all: shorter than its SDKs wait for an answer */
	/* What can be answered before the pod's name is known: what nobody may ask. */
	agent_step_fn check;
	/* Its name is known: what needs no role. NULL: nothing. */
	agent_step_fn prepare;
	/* Its role is known: what needs no credentials. */
	agent_step_fn decide;
	/* Its credentials are there. */
	agent_step_fn answer;
	/* A refusal by the steps, in the shape of this service. 0 or -ENOMEM. */
	int (*refuse)(struct agent_exchange *x, enum agent_reason reason);
};

extern const struct agent_service agent_pod_identity, agent_ecs, agent_imds, agent_sts;

/* Whether a token is that of the pod that sends it: *ret as agent_tokens_check() has it; AGENT_NO_REASON too when
 * tokens are not verified. 0 or a negative errno for the steps. */
int agent_service_check_token(const struct agent_exchange *x, const struct agent_token *token,
			      enum agent_reason *ret);

/* By the address that was dialled; NULL: none. */
const struct agent_service *agent_service_of(const struct podcred_peer *peer);

/* The table; NULL after the last one. */
const struct agent_service *agent_service_at(size_t i);

/* Whether a Host header names this service: either family, IPv6 with or without brackets,
 * with :80 or without a port. A name never does, which defeats DNS rebinding. No header is fine. */
bool agent_service_host_ok(const struct agent_service *service, const struct http_head *head);

/*
 * From request to answer, without I/O. 0 with *ret filled; -EAGAIN when the answer depends on the pod's
 * name, which is not known yet (ask again with a newer peer), -EINPROGRESS when it depends on podcred fetch
 * (ask again when agent_leaves_key() is woken), or give up with agent_give_up(); -ENOMEM. *ret is all zero
 * before and untouched on error.
 */
int agent_dispatch(const struct agent_env *env, const struct agent_request *req,
		   struct agent_answer *ret);

/* 503 for a caller for whom something has not come in time, as reason says. */
int agent_give_up(const struct agent_service *service, const struct agent_request *req,
		  enum agent_reason reason, struct agent_answer *ret);

/* Asks whether the agent is alive, or ready, and no more. */
bool agent_is_probe(const struct agent_request *req);
