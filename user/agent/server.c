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
#include "request.h"
#include "token.h"

#define THREADS_PER_LISTENER 2
#define NAME_POLL_MS	     20
#define STALLED_MS	     3000 /* some turns are due in it */
#define DEFAULT_CONNECTIONS  1024
#define OUTSIDE_CONNECTIONS  256
#define NODE_CONNECTIONS     256 /* a flood has to be so much ahead of a health check */

struct association_table *agent_server_table(const struct agent_server *server)
{
	struct agent_server *s = (struct agent_server *)server; /* only its lock changes */
	struct association_table *table;

	pthread_mutex_lock(&s->table_lock);
	table = association_table_ref(s->table);
	pthread_mutex_unlock(&s->table_lock);
	return table;
}

/* ---- what the caller's loop does ---- */

int agent_server_fd(const struct agent_server *server)
{
	return http_fd(server->http);
}

static int64_t now_ms(void)
{
	return (int64_t)(clock_mono_ns() / CLOCK_MS);
}

int agent_server_turn(struct agent_server *server)
{
	atomic_store(&server->turned_ms, now_ms());
	return http_turn(server->http);
}

bool agent_server_is_stalled(const struct agent_server *server)
{
	return now_ms() - atomic_load(&server->turned_ms) > STALLED_MS;
}

static void tick(void *ctx, int64_t now_ms)
{
	struct agent_server *server = ctx;

	audit_limit_check(&server->audit_limit, now_ms);
}

int agent_server_listen(struct agent_server *server, size_t i, struct pc_err *err)
{
	return http_listen(server->http, i, err);
}

static int start_http(struct agent_server *server, const struct agent_options *o,
		      struct pc_err *err)
{
	struct http_options http = {
		.listen = o->listen,
		.n_listen = o->n_listen,
		.listen_fds = o->listen_fds,
		.n_listen_fds = o->n_listen_fds,
		.limits = server->limits,
		.threads = THREADS_PER_LISTENER,
		.idle_timeout_s = o->idle_timeout_s,
		.request_timeout_ms = o->request_timeout_ms,
		.ctx = server,
		.handle = handler_handle,
		.share = handler_share,
		.refused = handler_refused,
		.poll = handler_poll,
		.poll_ms = NAME_POLL_MS,
		.tick = tick,
	};

	if (!o->n_listen && !o->n_listen_fds)
		return pc_err_set(err, -EINVAL,
				  "the agent has no address to listen on; give at least one");
	memcpy(http.extra_headers, agent_headers, sizeof(http.extra_headers));
	return http_start(&http, &server->http, err);
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
	atomic_store(&server->turned_ms, now_ms());
	return start_http(server, o, err);
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
	struct agent_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return pc_err_set(err, -ENOMEM, "out of memory");
	server->limits = (struct http_limits){
		.total = part_of(o->max_connections ?: DEFAULT_CONNECTIONS, o->max_files),
		.unknown = part_of(OUTSIDE_CONNECTIONS, o->max_files),
		.local = part_of(NODE_CONNECTIONS, o->max_files)};
	audit_limit_init(&server->audit_limit, audit_suppressed, audit_repeated);
	pthread_mutex_init(&server->table_lock, NULL);
	server->peer = o->peer ?: podcred_peer;
	server->name_wait_ms = o->name_wait_ms;
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
	http_stop(server->http);
	association_table_unref(server->table);
	free(server->associations_path);
	audit_limit_done(&server->audit_limit);
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
	return server->limits.total;
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
