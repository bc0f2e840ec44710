/* SPDX-License-Identifier: Apache-2.0 */
/* Between server.c (life) and handler.c (requests). */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "agent.h"
#include "associations.h"
#include "audit_limit.h"
#include "http/server.h"

struct agent_server {
	agent_peer_fn peer;
	unsigned name_wait_ms; /* 0: as the service has it */
	bool require_authorization;
	uint8_t token_key[AGENT_TOKEN_KEY_SIZE];

	pthread_mutex_t table_lock; /* for the pointer; the table itself never changes */
	struct association_table *table;
	char *associations_path;
	atomic_bool exposed;

	struct audit_limit audit_limit;
	struct http_server *http;
	struct http_limits limits;
	_Atomic int64_t turned_ms; /* the last turn of the loop, CLOCK_MONOTONIC */
};

/* A reference of one's own to the table of this moment. */
struct association_table *agent_server_table(const struct agent_server *server);

/* Whether the loop has not turned for seconds: what waits is not woken, what dawdles not ended. */
bool agent_server_is_stalled(const struct agent_server *server);

/* For http_options; ctx is the server. */
int handler_handle(void *ctx, struct http_request *req, struct http_response *resp);
uint64_t handler_share(void *ctx, int fd);
void handler_refused(void *ctx, int fd);
bool handler_poll(void *ctx, uint64_t key, int fd);
