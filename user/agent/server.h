/* SPDX-License-Identifier: Apache-2.0 */
/* Between server.c (life) and handler.c (requests). */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "agent.h"
#include "associations.h"
#include "audit_limit.h"
#include "conns.h"
#include "waiting.h"

/* More than the largest real token PUT, which has none, and any SDK's GET. */
#define REQUEST_BODY_MAX 4096

struct agent_server {
	agent_peer_fn peer;
	unsigned name_wait_ms, imds_name_wait_ms, idle_timeout_s, request_timeout_ms;
	bool require_authorization;
	uint8_t token_key[AGENT_TOKEN_KEY_SIZE];

	pthread_mutex_t table_lock; /* for the pointer; the table itself never changes */
	struct association_table *table;
	char *associations_path;
	atomic_bool exposed;

	struct conns conns;
	struct audit_limit audit_limit;
	struct waiting waiting;
	pthread_t ticker;
	bool ticking;
	struct net_addr *listen;
	struct MHD_Daemon **daemons; /* first one for each address, NULL: does not listen there */
	size_t n_listen, n_daemons;
};

int64_t agent_now_ms(void);

/* A reference of one's own to the table of this moment. */
struct association_table *agent_server_table(const struct agent_server *server);

/* libmicrohttpd's callbacks; cls is the server. */
void *handler_on_uri(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result handler_on_request(void *cls, struct MHD_Connection *connection, const char *url,
				   const char *method, const char *version, const char *upload_data,
				   size_t *upload_data_size, void **con_cls);
void handler_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
			  enum MHD_RequestTerminationCode toe);
void handler_on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			   enum MHD_ConnectionNotificationCode toe);
