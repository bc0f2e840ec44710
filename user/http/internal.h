/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by server.c (start and stop) and exchange.c (requests). */
#pragma once

#include <microhttpd.h>

#include "base/addr.h"
#include "http/conns.h"
#include "http/headers.h"
#include "http/parked.h"
#include "http/server.h"

/* More than any request here has. */
#define REQUEST_BODY_MAX 4096

struct http_server {
	struct http_options options; /* without what is not kept */
	struct conns conns;
	struct parked parked;
	struct net_addr *listen;
	struct MHD_Daemon **daemons; /* first one for each address, NULL: does not listen there */
	size_t n_listen, n_daemons;
	int64_t next_tick_ms, next_poll_ms;
};

/* From its first line to the end of its answer. */
struct http_request {
	struct http_server *server;
	struct parked_request parked;
	char *target;
	struct headers headers;
	struct http_head head;
	bool headers_seen;
	size_t body_len;
	uint64_t since_ns; /* 0: not whole yet */
};

/* libmicrohttpd's callbacks; cls is the server. */
void *http_exchange_on_uri(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *connection,
					 const char *url, const char *method, const char *version,
					 const char *upload_data, size_t *upload_data_size,
					 void **con_cls);
void http_exchange_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
				enum MHD_RequestTerminationCode toe);
void http_exchange_on_connection(void *cls, struct MHD_Connection *connection,
				 void **socket_context, enum MHD_ConnectionNotificationCode toe);
