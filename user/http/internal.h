/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by server.c (start and stop) and exchange.c (requests). */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>

#include "base/addr.h"
#include "base/text.h"
#include "http/conns.h"
#include "http/headers.h"
#include "http/parked.h"
#include "http/request.h"
#include "http/server.h"

/* Of a body that nobody looks at: more than any request has. */
#define UNREAD_BODY_MAX 4096

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
	char *raw; /* the target in libmicrohttpd's memory, to be wiped, as its query may be a secret */
	size_t raw_len;
	struct headers headers;
	struct http_head head;
	bool headers_seen;
	size_t body_room; /* how much of it the handler may see */
	size_t body_max; /* of what is read; more ends the connection */
	size_t body_len;
	struct text body; /* what the handler may see of it */
	void *slot; /* of desk.c */
	uint64_t since_ns; /* 0: not whole yet */
};

/* Of desk.c: the request that has this slot has ended. */
void http_desk_gone(void *slot);

/* libmicrohttpd's callbacks; cls is the server. */
int http_exchange_on_handshake(gnutls_session_t session, const gnutls_datum_t *authorities,
			       int n_authorities, const gnutls_pk_algorithm_t *algorithms,
			       int n_algorithms, gnutls_pcert_st **ret_certs, unsigned *ret_n,
			       gnutls_privkey_t *ret_key);
void *http_exchange_on_uri(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *connection,
					 const char *url, const char *method, const char *version,
					 const char *upload_data, size_t *upload_data_size,
					 void **con_cls);
void http_exchange_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
				enum MHD_RequestTerminationCode toe);
void http_exchange_on_connection(void *cls, struct MHD_Connection *connection,
				 void **socket_context, enum MHD_ConnectionNotificationCode toe);
