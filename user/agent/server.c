// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <podcred/podcred.h>

#include "audit.h"
#include "cleanup.h"
#include "clock.h"
#include "file.h"
#include "listen.h"
#include "token.h"

#define THREADS_PER_LISTENER 2
#define CONNECTION_MEMORY    (32 * 1024)
#define NAME_POLL_MS	     20
#define HOUSEKEEPING_MS	     1000
#define DEFAULT_NAME_WAIT_MS 1500
#define DEFAULT_IMDS_WAIT_MS 400
#define DEFAULT_IDLE_S	     10
#define DEFAULT_REQUEST_MS   15000
#define DEFAULT_CONNECTIONS  1024
#define OUTSIDE_CONNECTIONS  256
#define NODE_CONNECTIONS     256 /* a flood has to be so much ahead of a health check */

/* What conns.c shuts down is libmicrohttpd's for a moment more. At its own limit that would stop to
 * accept, for everybody. */
#define CONNECTION_SLACK 1024

int64_t agent_now_ms(void)
{
	return (int64_t)(clock_mono_ns() / 1000000);
}

struct association_table *agent_server_table(const struct agent_server *server)
{
	struct agent_server *s = (struct agent_server *)server; /* only its lock changes */
	struct association_table *table;

	pthread_mutex_lock(&s->table_lock);
	table = association_table_ref(s->table);
	pthread_mutex_unlock(&s->table_lock);
	return table;
}

/* The one thread of ours: names that come late, connections that dawdle, floods that end. */
static void *tick(void *arg)
{
	struct agent_server *server = arg;

	while (waiting_sleep(&server->waiting, NAME_POLL_MS, HOUSEKEEPING_MS)) {
		int64_t now = agent_now_ms();

		waiting_check(&server->waiting, server->peer, now);
		conns_expire(&server->conns, now, server->request_timeout_ms);
		audit_limit_check(&server->audit_limit, now);
	}
	return NULL;
}

static struct MHD_Daemon *start_daemon(struct agent_server *server, int fd)
{
	const struct conn_limits *limits = &server->conns.limits;
	/* each thread has its part of the limit, and one of them may accept them all */
	unsigned connections = THREADS_PER_LISTENER *
			       (limits->total + limits->outside + limits->node + CONNECTION_SLACK);

	return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
				NULL, handler_on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS_PER_LISTENER,
				MHD_OPTION_CONNECTION_LIMIT, connections,
				MHD_OPTION_CONNECTION_TIMEOUT, server->idle_timeout_s,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
				MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
				handler_on_uri, server, MHD_OPTION_NOTIFY_COMPLETED,
				handler_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
				handler_on_connection, server, MHD_OPTION_END);
}

static int add_listener(struct agent_server *server, size_t i, int fd, struct pc_err *err)
{
	/* libmicrohttpd owns fd then, also when it fails */
	server->daemons[i] = start_daemon(server, fd);
	if (!server->daemons[i])
		return pc_err_set(err, -EIO,
				  "cannot start the HTTP server: out of memory, threads or "
				  "descriptors; raise the limits of the service");
	return 0;
}

int agent_server_listen(struct agent_server *server, size_t i, struct pc_err *err)
{
	int fd, r;

	if (server->daemons[i])
		return 0;
	r = listen_open(&server->listen[i], &fd, err);
	return r < 0 ? r : add_listener(server, i, fd, err);
}

/* One of two families may be off, or its address not be there yet. All else is a mistake. */
static int start_addresses(struct agent_server *server, struct pc_err *err)
{
	struct pc_err missing = {};
	size_t listening = 0;
	int why = 0;

	for (size_t i = 0; i < server->n_listen; i++) {
		struct pc_err now = {};
		int r = agent_server_listen(server, i, &now);

		if (r < 0 && !listen_may_come(r))
			return pc_err_set(err, r, "%s", now.msg);
		if (r < 0 && !why) {
			why = r;
			missing = now;
		}
		listening += r == 0;
	}
	return why && !listening ? pc_err_set(err, why, "%s", missing.msg) : 0;
}

static int start_listeners(struct agent_server *server, const struct agent_options *o,
			   struct pc_err *err)
{
	int r;

	if (!o->n_listen && !o->n_listen_fds)
		return pc_err_set(err, -EINVAL,
				  "the agent has no address to listen on; give at least one");
	server->listen = calloc(o->n_listen + 1, sizeof(*server->listen));
	server->daemons = calloc(o->n_listen + o->n_listen_fds, sizeof(*server->daemons));
	if (!server->listen || !server->daemons)
		return pc_err_set(err, -ENOMEM, "out of memory");
	if (o->n_listen)
		memcpy(server->listen, o->listen, o->n_listen * sizeof(*server->listen));
	server->n_listen = o->n_listen;
	server->n_daemons = o->n_listen + o->n_listen_fds;
	r = start_addresses(server, err);
	for (size_t i = 0; r == 0 && i < o->n_listen_fds; i++) {
		int fd;

		r = listen_adopt(o->listen_fds[i], &fd, err);
		if (r == 0)
			r = add_listener(server, o->n_listen + i, fd, err);
	}
	return r;
}

static int server_fill(struct agent_server *server, const struct agent_options *o,
		       struct pc_err *err)
{
	bool exposed = false;
	int r;

	if (!o->associations_path)
		return pc_err_set(err, -EINVAL, "no associations file; give its path");
	server->associations_path = strdup(o->associations_path);
	if (!server->associations_path)
		return pc_err_set(err, -ENOMEM, "out of memory");
	if (o->associations_fd)
		r = association_table_read(o->associations_fd, o->associations_path, &server->table,
					   &exposed, err);
	else
		r = association_table_load(o->associations_path, &server->table, &exposed, err);
	if (r < 0)
		return r;
	atomic_store(&server->exposed, exposed);
	r = start_listeners(server, o, err);
	if (r < 0)
		return r;
	r = pthread_create(&server->ticker, NULL, tick, server);
	if (r)
		return pc_err_set(err, -r,
				  "cannot start a thread: %s; raise the limits of the service",
				  strerror(r));
	server->ticking = true;
	return 0;
}

/* Without a descriptor libmicrohttpd cannot accept, and would wait until somebody, anybody, closes. */
static unsigned part_of(unsigned connections, unsigned files)
{
	unsigned part = connections;

	if (files && files < AGENT_FILES)
		part = (unsigned)((uint64_t)connections * files / AGENT_FILES);
	return part ?: 1;
}

static int bind_token_key(const uint8_t *key, uint8_t ret[AGENT_TOKEN_KEY_SIZE], struct pc_err *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	_cleanup_free_ char *boot_id = NULL;
	int r = file_read(path, 64, &boot_id, NULL);

	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; mount /proc", path, strerror(-r));
	r = token_key_of_boot(key, boot_id, ret);
	return r < 0 ? pc_err_set(err, r, "cannot make a key: libcrypto fails") : 0;
}

int agent_server_start(const struct agent_options *o, struct agent_server **ret, struct pc_err *err)
{
	const struct conn_limits limits = {
		.total = part_of(o->max_connections ?: DEFAULT_CONNECTIONS, o->max_files),
		.outside = part_of(OUTSIDE_CONNECTIONS, o->max_files),
		.node = part_of(NODE_CONNECTIONS, o->max_files)};
	struct agent_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return pc_err_set(err, -ENOMEM, "out of memory");
	waiting_init(&server->waiting);
	conns_init(&server->conns, &limits);
	audit_limit_init(&server->audit_limit, audit_suppressed, audit_repeated);
	pthread_mutex_init(&server->table_lock, NULL);
	server->peer = o->peer ?: podcred_peer;
	server->name_wait_ms = o->name_wait_ms ?: DEFAULT_NAME_WAIT_MS;
	server->imds_name_wait_ms = o->imds_name_wait_ms ?: DEFAULT_IMDS_WAIT_MS;
	server->idle_timeout_s = o->idle_timeout_s ?: DEFAULT_IDLE_S;
	server->request_timeout_ms = o->request_timeout_ms ?: DEFAULT_REQUEST_MS;
	server->require_authorization = o->require_authorization;
	r = bind_token_key(o->token_key, server->token_key, err);
	if (r == 0)
		r = server_fill(server, o, err);
	if (r < 0) {
		agent_server_stop(server);
		return r;
	}
	*ret = server;
	return 0;
}

void agent_server_stop(struct agent_server *server)
{
	if (!server)
		return;
	/* first of all: libmicrohttpd aborts when it is stopped with suspended connections */
	waiting_close(&server->waiting);
	if (server->ticking)
		pthread_join(server->ticker, NULL);
	for (size_t i = 0; i < server->n_daemons; i++)
		if (server->daemons[i])
			MHD_stop_daemon(server->daemons[i]);
	free(server->daemons);
	free(server->listen);
	association_table_unref(server->table);
	free(server->associations_path);
	conns_done(&server->conns);
	audit_limit_done(&server->audit_limit);
	waiting_done(&server->waiting);
	pthread_mutex_destroy(&server->table_lock);
	explicit_bzero(server->token_key, sizeof(server->token_key));
	free(server);
}

static void replace_table(struct agent_server *server, struct association_table *table,
			  bool exposed)
{
	struct association_table *old;

	pthread_mutex_lock(&server->table_lock);
	old = server->table;
	server->table = table;
	pthread_mutex_unlock(&server->table_lock);
	association_table_unref(old);
	atomic_store(&server->exposed, exposed);
}

int agent_server_reload(struct agent_server *server, const char *path, struct pc_err *err)
{
	struct association_table *table;
	char *copy = strdup(path ?: server->associations_path);
	bool exposed;
	int r;

	if (!copy)
		return pc_err_set(err, -ENOMEM, "out of memory");
	r = association_table_load(copy, &table, &exposed, err);
	if (r < 0) {
		free(copy);
		return r;
	}
	replace_table(server, table, exposed);
	free(server->associations_path);
	server->associations_path = copy;
	return 0;
}

int agent_server_reread(struct agent_server *server, int fd, struct pc_err *err)
{
	struct association_table *table;
	bool exposed;
	int r = association_table_read(fd, server->associations_path, &table, &exposed, err);

	if (r == 0)
		replace_table(server, table, exposed);
	return r;
}

bool agent_server_file_exposed(const struct agent_server *server)
{
	return atomic_load(&server->exposed);
}

unsigned agent_server_connections(const struct agent_server *server)
{
	return server->conns.limits.total;
}

size_t agent_server_associations(const struct agent_server *server)
{
	struct association_table *table = agent_server_table(server);
	size_t count = association_table_count(table);

	association_table_unref(table);
	return count;
}

int agent_associations_check(const char *path, size_t *ret_count, bool *ret_exposed,
			     struct pc_err *err)
{
	struct association_table *table;
	int r = association_table_load(path, &table, ret_exposed, err);

	if (r < 0)
		return r;
	if (ret_count)
		*ret_count = association_table_count(table);
	association_table_unref(table);
	return 0;
}
