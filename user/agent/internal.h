/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by agent.c (start and stop) and handler.c (requests). */
#pragma once

#include "agent/agent.h"
#include "agent/audit_limit.h"
#include "agent/metrics.h"
#include "agent/node_text.h"
#include "http/request.h"
#include "http/server.h"

struct agent_documents;
struct agent_leaves;

struct agent_server {
	agent_peer_fn peer;
	unsigned wait_ms; /* 0: as the service has it */
	bool require_authorization;
	struct agent_tokens *tokens; /* NULL: tokens are not verified */
	void (*want_keys)(void *arg);
	void *want_keys_arg;
	char pod_uid[AGENT_POD_UID_SIZE]; /* the agent's own; "": not said */
	uint8_t token_key[AGENT_TOKEN_KEY_SIZE];

	struct cred_store *credentials;
	struct agent_leaves *leaves; /* NULL: there is nobody to ask */
	struct agent_documents *documents; /* likewise */
	const char *const *metadata;
	struct audit_limit audit_limit;
	struct metrics metrics;
	struct node_text node_text; /* of the thread that answers metrics */
	struct http_server *http, *metrics_http; /* the latter NULL: off */
	int turn_fd; /* an epoll instance: readable when one of these is */
	struct http_limits limits;
	_Atomic int64_t turned_ms; /* the last turn of the loop, CLOCK_MONOTONIC */
};

/* Whether the loop has not turned for seconds: what waits is not woken, what dawdles not ended. */
bool agent_server_is_stalled(const struct agent_server *server);

/* For http_options; ctx is the server. */
int agent_handler_handle(void *ctx, struct http_request *req, struct http_response *resp);
uint64_t agent_handler_share(void *ctx, int fd);
size_t agent_handler_body_room(void *ctx, const struct http_request *req);
void agent_handler_refused(void *ctx, int fd);
bool agent_handler_poll(void *ctx, uint64_t key, int fd);

uint64_t agent_handler_share_by_address(void *ctx, int fd);
int agent_handler_metrics(void *ctx, struct http_request *req, struct http_response *resp);
