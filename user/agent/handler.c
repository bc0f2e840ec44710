// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "audit.h"
#include "cleanup.h"
#include "clock.h"
#include "headers.h"
#include "protocol.h"

/* One request, from its first line to the end of its answer. */
struct exchange {
	struct waiter waiter; /* deadline_ms is 0 until the first wait */
	char *target;
	bool headers_seen;
	struct headers headers;
	size_t body_len;
};

static struct conn *conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void *handler_on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct agent_server *server = cls;
	struct conn *conn = conn_of(connection);
	struct exchange *x;

	/* shut down when it came; what it had sent by then is read all the same */
	if (!conn)
		return NULL;
	conns_begin(&server->conns, conn, agent_now_ms());
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	/* the raw target: libmicrohttpd decodes escapes in the url that it hands to the handler */
	x->target = strdup(uri);
	if (!x->target) {
		free(x);
		return NULL;
	}
	x->waiter.connection = connection;
	return x;
}

static int fd_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -EBADF;
}

void handler_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
			  enum MHD_RequestTerminationCode toe)
{
	struct agent_server *server = cls;
	struct conn *conn = conn_of(connection);
	struct exchange *x = *con_cls;

	(void)toe;
	if (conn)
		conns_end(&server->conns, conn, agent_now_ms());
	if (!x)
		return;
	free(x->target);
	free(x);
	*con_cls = NULL;
}

static void identify(struct agent_server *server, int fd, struct podcred_peer *peer,
		     struct agent_request *req)
{
	req->peer_error = server->peer(fd, peer, sizeof(*peer));
	req->peer = req->peer_error < 0 ? NULL : peer;
}

/* sa: IPv4 or IPv6 */
static const uint8_t *ip_of(const struct sockaddr *sa, size_t *ret_len)
{
	if (sa->sa_family == AF_INET6) {
		*ret_len = sizeof(struct in6_addr);
		return ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr;
	}
	*ret_len = sizeof(struct in_addr);
	return (const void *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr;
}

/* Whose share a caller without a stamp takes. Only a process of the node can have the address that
 * it dialled as its own: nobody else gets an answer that is sent there. */
static uint64_t unstamped_share(int fd)
{
	struct sockaddr_storage own = {}, peer = {};
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
	const uint8_t *a, *b;
	size_t len, other;

	if (getsockname(fd, (struct sockaddr *)&own, &own_len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
	    own.ss_family != peer.ss_family)
		return CONN_OUTSIDE;
	a = ip_of((struct sockaddr *)&own, &len);
	b = ip_of((struct sockaddr *)&peer, &other);
	return memcmp(a, b, len) == 0 ? CONN_NODE : CONN_OUTSIDE;
}

/* Whose share a connection takes. Not by the question of identify(), which the kernel counts:
 * whoever asks for the agent's health alone comes without a stamp by right. */
static uint64_t share_of(struct agent_server *server, int fd)
{
	struct agent_request req = {};
	struct podcred_peer peer;
	socklen_t len = sizeof(uint64_t);
	uint64_t pod;

	if (getsockopt(fd, SOL_PODCRED, PODCRED_POD, &pod, &len) == 0 && len == sizeof(pod))
		return pod ?: unstamped_share(fd);
	identify(server, fd, &peer, &req); /* nothing is loaded here that knows this question */
	return req.peer ? peer.pod_cgroup_id : unstamped_share(fd);
}

void handler_on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			   enum MHD_ConnectionNotificationCode toe)
{
	struct agent_server *server = cls;
	struct agent_response closed = {.audit = AUDIT_REFUSED, .reason = "too_many_connections"};
	struct agent_request req = {};
	struct podcred_peer peer;
	int fd;

	if (toe == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context)
			conns_remove(&server->conns, *socket_context);
		*socket_context = NULL;
		return;
	}
	fd = fd_of(connection);
	*socket_context = conns_add(&server->conns, fd, share_of(server, fd), agent_now_ms());
	if (*socket_context)
		return;
	identify(server, fd, &peer, &req);
	shutdown(fd, SHUT_RDWR);
	audit_decision(&server->audit_limit, &req, &closed, agent_now_ms());
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *key,
				 size_t key_len, const char *value, size_t value_len)
{
	(void)kind;
	headers_add(cls, key, key_len, value ?: "", value_len);
	return MHD_YES;
}

static const char *client_text(struct MHD_Connection *connection, char *buf, size_t size)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;
	size_t len;

	if (!sa || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return NULL;
	return inet_ntop(sa->sa_family, ip_of(sa, &len), buf, (socklen_t)size);
}

static void free_body(void *cls)
{
	struct text *body = cls;

	text_done(body);
	free(body);
}

/* Takes the body over, also when it fails. */
static struct MHD_Response *make_response(struct agent_response *resp)
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

static enum MHD_Result send_response(struct MHD_Connection *connection, struct agent_response *resp)
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

/* The pod has no name yet. 1: parked, ask again when resumed; else as agent_dispatch. */
static int wait_for_name(struct agent_server *server, struct exchange *x,
			 const struct agent_request *req, struct agent_response *ret)
{
	int64_t now = agent_now_ms();
	struct waiter *w = &x->waiter;

	if (!w->deadline_ms)
		w->deadline_ms = now + (destination_of(req->peer) == DESTINATION_IMDS
						? server->imds_name_wait_ms
						: server->name_wait_ms);
	if (now >= w->deadline_ms)
		return agent_not_resolved(req, "pod_not_resolved", ret);
	w->fd = fd_of(w->connection);
	if (waiting_gone(w->fd))
		return -EPIPE;
	if (waiting_park(&server->waiting, w))
		return 1;
	return agent_not_resolved(req, "pod_not_resolved", ret);
}

static enum MHD_Result answer(struct agent_server *server, struct exchange *x, const char *method)
{
	struct MHD_Connection *connection = x->waiter.connection;
	_cleanup_(response_done) struct agent_response resp = {};
	struct agent_request req = {.method = method,
				    .target = x->target,
				    .now = time(NULL),
				    .boot_s = (time_t)(clock_boot_ns() / CLOCK_S)};
	struct agent_env env = {.token_key = server->token_key,
				.require_authorization = server->require_authorization};
	struct association_table *table = agent_server_table(server);
	char client[INET6_ADDRSTRLEN];
	struct podcred_peer peer;
	int64_t now = agent_now_ms();
	int r;

	/* Asked for every request, so that a name that is withdrawn counts at once. */
	if (conn_of(connection)->unknown && agent_is_probe(&req))
		req.peer_error = -ENODATA;
	else
		identify(server, fd_of(connection), &peer, &req);
	req.client = client_text(connection, client, sizeof(client));
	headers_apply(&x->headers, &req);
	env.table = table;
	r = agent_dispatch(&env, &req, &resp);
	if (r == -EAGAIN)
		r = wait_for_name(server, x, &req, &resp);
	association_table_unref(table);
	if (r == 1)
		return MHD_YES;
	if (r < 0)
		return MHD_NO;
	/* Nobody tells unknown callers apart: one request each, so that they take turns. */
	if (!req.peer || conns_is_last(&server->conns, conn_of(connection), now))
		resp.close = true;
	audit_decision(&server->audit_limit, &req, &resp, now);
	return send_response(connection, &resp);
}

static enum MHD_Result refuse_body(struct MHD_Connection *connection)
{
	_cleanup_(response_done) struct agent_response resp = {};

	if (response_error(&resp, 413, "InvalidRequest", "no request here has such a body", NULL) <
	    0)
		return MHD_NO;
	return send_response(connection, &resp);
}

/* An answer already here costs the client its connection, so only those that are refused get one. */
static enum MHD_Result on_headers(struct agent_server *server, struct exchange *x,
				  const char *method)
{
	struct agent_request req = {.method = method};

	MHD_get_connection_values_n(x->waiter.connection, MHD_HEADER_KIND, on_header, &x->headers);
	headers_apply(&x->headers, &req);
	if (req.ambiguous)
		return answer(server, x, method);
	if (headers_length_above(&x->headers, REQUEST_BODY_MAX))
		return refuse_body(x->waiter.connection);
	return MHD_YES;
}

enum MHD_Result handler_on_request(void *cls, struct MHD_Connection *connection, const char *url,
				   const char *method, const char *version, const char *upload_data,
				   size_t *upload_data_size, void **con_cls)
{
	struct agent_server *server = cls;
	struct exchange *x = *con_cls;

	(void)url;
	(void)version;
	(void)upload_data;
	if (!x)
		return MHD_NO;
	/* Called first when the headers are there, then for each piece of a body, then for the
	 * answer. */
	if (!x->headers_seen) {
		x->headers_seen = true;
		return on_headers(server, x, method);
	}
	if (*upload_data_size) {
		x->body_len += *upload_data_size;
		*upload_data_size = 0;
		return x->body_len > REQUEST_BODY_MAX ? MHD_NO : MHD_YES;
	}
	conns_whole(&server->conns, conn_of(connection));
	return answer(server, x, method);
}
