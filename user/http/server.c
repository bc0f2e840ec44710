// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/internal.h"
#include "http/listen.h"

#define CONNECTION_MEMORY  (32 * 1024)
#define HOUSEKEEPING_MS	   1000
#define DEFAULT_IDLE_S	   10
#define DEFAULT_REQUEST_MS 60000

/* What conns.c shuts down is libmicrohttpd's for a moment more. At its own limit that would stop to
 * accept, for everybody. */
#define CONNECTION_SLACK 1024

/* By gnutls: what is known to be broken is off by itself. */
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static struct MHD_Daemon *start_daemon(struct http_server *server, int fd)
{
	const struct http_options *o = &server->options;
	/* each thread has its part of the limit, and one of them may accept them all */
	unsigned connections = o->threads * (o->limits.total + o->limits.unknown + o->limits.local +
					     CONNECTION_SLACK);

	const struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)http_exchange_on_handshake},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_VERSIONS},
		{MHD_OPTION_END, 0, NULL},
	};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
					(o->tls ? MHD_USE_TLS : 0U),
				0, NULL, NULL, http_exchange_on_request, server,
				MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
				o->threads > 1 ? o->threads : 0U, MHD_OPTION_CONNECTION_LIMIT,
				connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				(size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
				MHD_OPTION_URI_LOG_CALLBACK, http_exchange_on_uri, server,
				MHD_OPTION_NOTIFY_COMPLETED, http_exchange_on_completed, server,
				MHD_OPTION_NOTIFY_CONNECTION, http_exchange_on_connection, server,
				MHD_OPTION_ARRAY, o->tls ? tls : none, MHD_OPTION_END);
}

static int add_listener(struct http_server *server, size_t i, int fd, struct pc_err *err)
{
	/* libmicrohttpd owns fd then, also when it fails */
	server->daemons[i] = start_daemon(server, fd);
	if (!server->daemons[i])
		return pc_err_set(err, -EIO,
				  "cannot start the HTTP server: out of memory, threads or "
				  "descriptors; raise the limits of the service");
	return 0;
}

int http_listen(struct http_server *server, size_t i, struct pc_err *err)
{
	int fd, r;

	if (server->daemons[i])
		return 0;
	r = http_listen_open(&server->listen[i], server->options.handover, &fd, err);
	return r < 0 ? r : add_listener(server, i, fd, err);
}

/* One of two families may be off, or its address not be there yet. All else is a mistake. */
static int start_addresses(struct http_server *server, struct pc_err *err)
{
	struct pc_err missing = {};
	size_t listening = 0;
	int why = 0;

	for (size_t i = 0; i < server->n_listen; i++) {
		struct pc_err now = {};
		int r = http_listen(server, i, &now);

		if (r < 0 && !http_listen_may_come(r))
			return pc_err_set(err, r, "%s", now.msg);
		if (r < 0 && !why) {
			why = r;
			missing = now;
		}
		listening += r == 0;
	}
	return why && !listening ? pc_err_set(err, why, "%s", missing.msg) : 0;
}

static int start_listeners(struct http_server *server, const struct http_options *o,
			   struct pc_err *err)
{
	int r;

	server->listen = calloc(o->n_listen + 1, sizeof(*server->listen));
	server->daemons = calloc(o->n_listen + o->n_listen_fds + 1, sizeof(*server->daemons));
	if (!server->listen || !server->daemons)
		return pc_err_set(err, -ENOMEM, "out of memory");
	if (o->n_listen)
		memcpy(server->listen, o->listen, o->n_listen * sizeof(*server->listen));
	server->n_listen = o->n_listen;
	server->n_daemons = o->n_listen + o->n_listen_fds;
	r = o->late ? 0 : start_addresses(server, err);
	if (o->may_be_deaf)
		r = 0;
	for (size_t i = 0; r == 0 && i < o->n_listen_fds; i++) {
		int fd;

		r = http_listen_adopt(o->listen_fds[i], &fd, err);
		if (r == 0)
			r = add_listener(server, o->n_listen + i, fd, err);
	}
	return r;
}

int http_start(const struct http_options *o, struct http_server **ret, struct pc_err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return pc_err_set(err, -ENOMEM, "out of memory");
	server->options = *o;
	server->options.listen = NULL;
	server->options.listen_fds = NULL;
	server->options.threads = o->threads ?: 1;
	server->options.idle_timeout_s = o->idle_timeout_s ?: DEFAULT_IDLE_S;
	server->options.request_timeout_ms = o->request_timeout_ms ?: DEFAULT_REQUEST_MS;
	http_conns_init(&server->conns, &o->limits);
	r = http_parked_init(&server->parked);
	if (r < 0)
		pc_err_set(err, r, "cannot wait: %s; raise the limits of the service",
			   strerror(-r));
	else
		r = start_listeners(server, o, err);
	if (r < 0) {
		http_stop(server);
		return r;
	}
	server->next_tick_ms = clock_mono_ms();
	*ret = server;
	return 0;
}

int http_fd(const struct http_server *server)
{
	return server->parked.epoll_fd;
}

int http_turn(struct http_server *server)
{
	const struct http_options *o = &server->options;
	const struct conn_times times = {.idle_ms = (int64_t)o->idle_timeout_s * 1000,
					 .request_ms = o->request_timeout_ms};
	int64_t now = clock_mono_ms(), next;

	http_parked_expire(&server->parked, now);
	if (o->poll && now >= server->next_poll_ms) {
		http_parked_poll(&server->parked, o->poll, o->ctx);
		server->next_poll_ms = now + o->poll_ms;
	}
	if (now >= server->next_tick_ms) {
		server->next_tick_ms = now + HOUSEKEEPING_MS;
		http_conns_expire(&server->conns, now, &times);
		if (o->tick)
			o->tick(o->ctx, now);
	}
	next = http_parked_next(&server->parked, o->poll ? server->next_poll_ms : INT64_MAX);
	if (server->next_tick_ms < next)
		next = server->next_tick_ms;
	now = clock_mono_ms();
	return next > now ? (int)(next - now) : 0;
}

void http_wake(struct http_server *server, uint64_t key)
{
	http_parked_wake(&server->parked, key);
}

struct http_counts http_counts(const struct http_server *server)
{
	struct http_server *s = (struct http_server *)server; /* only its locks change */
	struct http_counts counts = {.parked = http_parked_count(&s->parked)};

	http_conns_count(&s->conns, &counts);
	return counts;
}

static bool has_queue(struct MHD_Daemon *daemon)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_LISTEN_FD);
	struct pollfd p = {.fd = info ? info->listen_fd : -1, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

unsigned http_drain(struct http_server *server)
{
	unsigned queues = 0;

	/* first: what is accepted meanwhile is among the connections then */
	for (size_t i = 0; i < server->n_daemons; i++)
		queues += server->daemons[i] && has_queue(server->daemons[i]);
	return queues + http_conns_drain(&server->conns);
}

void http_stop(struct http_server *server)
{
	if (!server)
		return;
	/* first of all: libmicrohttpd aborts when it is stopped with suspended connections */
	http_parked_close(&server->parked);
	for (size_t i = 0; i < server->n_daemons; i++)
		if (server->daemons[i])
			MHD_stop_daemon(server->daemons[i]);
	free(server->daemons);
	free(server->listen);
	http_conns_done(&server->conns);
	http_parked_done(&server->parked);
	free(server);
}
