// SPDX-License-Identifier: Apache-2.0
/* Connections and requests, as libmicrohttpd reports them. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/secret.h"
#include "http/internal.h"
#include "http/tls_internal.h"

/* ---- connections ---- */

static struct conn *conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static int fd_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -EBADF;
}

static struct conn *admit(struct http_server *server, int fd)
{
	const struct http_options *o = &server->options;
	uint64_t share = o->share ? o->share(o->ctx, fd) : HTTP_SHARE_UNKNOWN;
	struct conn *conn = http_conns_add(&server->conns, fd, share, clock_mono_ms());

	if (conn) {
		conn->server = server;
		return conn;
	}
	if (o->refused)
		o->refused(o->ctx, fd);
	shutdown(fd, SHUT_RDWR);
	return NULL;
}

static void end_conn(struct http_server *server, struct conn *conn)
{
	if (conn->pair)
		http_tls_release(server->options.tls, conn->pair);
	http_conns_remove(&server->conns, conn);
}

/* An answer over TLS is more than one segment, and the last one is not to wait until the client, who waits for it, has
 * acknowledged the others: up to 40 ms later. */
static void send_at_once(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void http_exchange_on_connection(void *cls, struct MHD_Connection *connection,
				 void **socket_context, enum MHD_ConnectionNotificationCode toe)
{
	struct http_server *server = cls;

	if (toe != MHD_CONNECTION_NOTIFY_CLOSED) {
		if (server->options.tls)
			send_at_once(fd_of(connection));
		*socket_context = admit(server, fd_of(connection));
		return;
	}
	if (*socket_context)
		end_conn(server, *socket_context);
	*socket_context = NULL;
}

/* ---- TLS ---- */

/* libmicrohttpd has no argument for it: the connection is the session's, and the server is in the connection. */
int http_exchange_on_handshake(gnutls_session_t session, const gnutls_datum_t *authorities,
			       int n_authorities, const gnutls_pk_algorithm_t *algorithms,
			       int n_algorithms, gnutls_pcert_st **ret_certs, unsigned *ret_n,
			       gnutls_privkey_t *ret_key)
{
	struct MHD_Connection *connection = gnutls_session_get_ptr(session);
	struct conn *conn = connection ? conn_of(connection) : NULL;

	(void)authorities, (void)n_authorities, (void)algorithms, (void)n_algorithms;
	if (!conn)
		return -1; /* it was shut down when it came */
	return http_tls_begin(conn->server->options.tls, session, &conn->pair, ret_certs, ret_n,
			      ret_key);
}

/* ---- from the first line to the end of the answer ---- */

void *http_exchange_on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct http_server *server = cls;
	struct conn *conn = conn_of(connection);
	struct http_request *req;

	/* shut down when it came; what it had sent by then is read all the same */
	if (!conn)
		return NULL;
	http_conns_begin(&server->conns, conn, clock_mono_ms());
	req = calloc(1, sizeof(*req));
	if (!req)
		return NULL;
	/* the raw target: libmicrohttpd decodes escapes in the url that it hands to the handler */
	req->target = strdup(uri);
	if (!req->target) {
		free(req);
		return NULL;
	}
	req->raw = (char *)uri;
	req->raw_len = strlen(uri);
	req->server = server;
	req->headers.extra_names = server->options.extra_headers;
	req->headers.authorization_max = server->options.authorization_max;
	req->headers.bodies = server->options.body_max;
	req->parked.connection = connection;
	req->parked.fd = fd_of(connection);
	return req;
}

/* In libmicrohttpd's memory of this request. It looks at headers no more by then, and wipes nothing. */
static enum MHD_Result wipe_secret(void *cls, enum MHD_ValueKind kind, const char *name,
				   size_t name_len, const char *value, size_t value_len)
{
	(void)cls, (void)kind;
	if (value && http_headers_is_secret(name, name_len))
		explicit_bzero((char *)value, value_len);
	return MHD_YES;
}

void http_exchange_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
				enum MHD_RequestTerminationCode toe)
{
	struct http_server *server = cls;
	struct conn *conn = conn_of(connection);
	struct http_request *req = *con_cls;

	(void)toe;
	if (conn)
		http_conns_end(&server->conns, conn, clock_mono_ms());
	if (!req)
		return;
	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, wipe_secret, NULL);
	if (req->slot)
		http_desk_gone(req->slot);
	explicit_bzero(req->raw, req->raw_len);
	text_done(&req->body);
	secret_free(req->target);
	free(req);
	*con_cls = NULL;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *key,
				 size_t key_len, const char *value, size_t value_len)
{
	(void)kind;
	http_headers_add(cls, key, key_len, value ?: "", value_len);
	return MHD_YES;
}

/* ---- answers ---- */

static void free_body(void *cls)
{
	struct text *body = cls;

	text_done(body);
	free(body);
}

/* Takes the body over, also when it fails. */
static struct MHD_Response *make_response(struct http_response *resp)
{
	struct text *body = malloc(sizeof(*body));
	struct MHD_Response *mhd;

	if (!body)
		return NULL;
	*body = resp->body;
	memset(&resp->body, 0, sizeof(resp->body));
	mhd = MHD_create_response_from_buffer_with_free_callback_cls(body->len, body->data,
								     free_body, body);
	if (!mhd)
		free_body(body);
	return mhd;
}

static enum MHD_Result send_response(struct MHD_Connection *connection, struct http_response *resp)
{
	struct MHD_Response *mhd = make_response(resp);
	enum MHD_Result ok;

	if (!mhd)
		return MHD_NO;
	ok = MHD_add_response_header(mhd, "Content-Type", resp->content_type);
	for (size_t i = 0; i < resp->n_headers && ok == MHD_YES; i++)
		ok = MHD_add_response_header(mhd, resp->headers[i].name, resp->headers[i].value);
	if (resp->close && ok == MHD_YES)
		ok = MHD_add_response_header(mhd, "Connection", "close");
	if (ok == MHD_YES)
		ok = MHD_queue_response(connection, resp->status, mhd);
	MHD_destroy_response(mhd);
	return ok;
}

/* Again at once when a wake came while it was at work. HTTP_DONE, HTTP_PARKED or -errno. */
static int run_handler(struct http_request *req, struct http_response *resp)
{
	struct http_server *server = req->server;
	int r;

	do {
		http_response_done(resp);
		req->parked.seen = atomic_load(&server->parked.wakes);
		r = server->options.handle(server->options.ctx, req, resp);
		if (r != HTTP_PARKED)
			return r;
		r = http_parked_add(&server->parked, &req->parked);
	} while (r == 0);
	return r < 0 ? r : HTTP_PARKED;
}

static enum MHD_Result answer(struct http_request *req)
{
	_cleanup_(http_response_done) struct http_response resp = {};
	struct MHD_Connection *connection = req->parked.connection;
	struct conns *conns = &req->server->conns;
	int r;

	if (!req->since_ns)
		req->since_ns = clock_mono_ns();
	r = run_handler(req, &resp);
	if (r == HTTP_PARKED)
		return MHD_YES; /* it may be with another thread by now, and gone */
	if (r < 0)
		return MHD_NO;
	if (http_conns_is_last(conns, conn_of(connection), clock_mono_ms()))
		resp.close = true;
	return send_response(connection, &resp);
}

/* How much of the body the handler sees, and what is read in any case. */
static void make_room(struct http_request *req)
{
	const struct http_options *o = &req->server->options;
	size_t room = o->body_max;

	if (o->body_room && !req->head.ambiguous && !http_is_read(&req->head) &&
	    http_headers_length_above(&req->headers, 0))
		room = o->body_room(o->ctx, req);
	req->body_room = room;
	req->body_max = room ?: UNREAD_BODY_MAX;
	req->body.max = room + 1; /* room for a NUL */
}

/* An answer already here costs the client its connection, so only those that are refused get one. */
static enum MHD_Result on_headers(struct http_request *req)
{
	MHD_get_connection_values_n(req->parked.connection, MHD_HEADER_KIND, on_header,
				    &req->headers);
	http_headers_apply(&req->headers, &req->head);
	make_room(req);
	req->head.too_large = http_headers_length_above(&req->headers, req->body_max);
	return req->head.ambiguous || req->head.too_large ? answer(req) : MHD_YES;
}

/* A piece of a body, in libmicrohttpd's memory: whoever keeps it wipes it there. */
static enum MHD_Result on_body(struct http_request *req, const char *data, size_t len)
{
	req->body_len += len;
	if (req->body_len > req->body_max)
		return MHD_NO;
	if (!req->body_room)
		return MHD_YES;
	text_add_bytes(&req->body, data, len);
	explicit_bzero((char *)data, len);
	return text_error(&req->body) < 0 ? MHD_NO : MHD_YES;
}

enum MHD_Result http_exchange_on_request(void *cls, struct MHD_Connection *connection,
					 const char *url, const char *method, const char *version,
					 const char *upload_data, size_t *upload_data_size,
					 void **con_cls)
{
	struct http_server *server = cls;
	struct http_request *req = *con_cls;

	(void)url;
	(void)version;
	if (!req)
		return MHD_NO;
	/* Called first when the headers are there, then for each piece of a body, then for the
	 * answer; once more for each time that it was parked. */
	req->head.method = method;
	if (!req->headers_seen) {
		req->headers_seen = true;
		req->head.target = req->target;
		return on_headers(req);
	}
	if (*upload_data_size) {
		size_t len = *upload_data_size;

		*upload_data_size = 0;
		return on_body(req, upload_data, len);
	}
	http_conns_whole(&server->conns, conn_of(connection));
	return answer(req);
}

/* ---- what a handler may ask ---- */

const struct http_head *http_request_head(const struct http_request *req)
{
	return &req->head;
}

int http_request_fd(const struct http_request *req)
{
	return req->parked.fd;
}

uint64_t http_request_share(const struct http_request *req)
{
	return conn_of(req->parked.connection)->share;
}

int64_t http_request_since_ms(const struct http_request *req)
{
	return (int64_t)(req->since_ns / CLOCK_MS);
}

uint64_t http_request_since_ns(const struct http_request *req)
{
	return req->since_ns;
}

const char *http_request_peer(const struct http_request *req, char *buf, size_t size)
{
	const union MHD_ConnectionInfo *info;

	if (!req->server->options.tls)
		return NULL;
	info = MHD_get_connection_info(req->parked.connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	return info && info->tls_session
		       ? http_tls_peer(req->server->options.tls, info->tls_session, buf, size)
		       : NULL;
}

const char *http_request_body(const struct http_request *req, size_t *ret_len)
{
	*ret_len = req->body.len;
	return req->body.data;
}

struct header_call {
	http_header_fn *fn;
	void *arg;
};

static enum MHD_Result call_with_header(void *cls, enum MHD_ValueKind kind, const char *name,
					size_t name_len, const char *value, size_t value_len)
{
	const struct header_call *call = cls;

	(void)kind;
	http_headers_trim(&value, &value_len);
	call->fn(call->arg, name, name_len, value ?: "", value_len);
	return MHD_YES;
}

void http_request_each_header(const struct http_request *req, http_header_fn *fn, void *arg)
{
	struct header_call call = {.fn = fn, .arg = arg};

	MHD_get_connection_values_n(req->parked.connection, MHD_HEADER_KIND, call_with_header,
				    &call);
}

const char *http_request_client(const struct http_request *req, char *buf, size_t size)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->parked.connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct net_addr addr;

	if (!info || !info->client_addr || net_addr_from_sockaddr(info->client_addr, &addr) < 0)
		return NULL;
	return net_addr_format(addr.ip, 0, buf, size);
}

int http_park(struct http_request *req, int64_t deadline_ms, uint64_t key)
{
	struct parked *parked = &req->server->parked;

	if (clock_mono_ms() >= deadline_ms)
		return -ETIMEDOUT;
	if (http_parked_is_gone(req->parked.fd))
		return -EPIPE;
	if (http_parked_is_closing(parked))
		return -ESHUTDOWN;
	req->parked.deadline_ms = deadline_ms;
	req->parked.wanted = key;
	return HTTP_PARKED;
}
