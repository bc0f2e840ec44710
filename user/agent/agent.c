// SPDX-License-Identifier: Apache-2.0
#include "agent/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <podcred/podcred.h>

#include "agent/audit.h"
#include "agent/documents.h"
#include "agent/leaves.h"
#include "agent/pod_token.h"
#include "agent/service.h"
#include "agent/token.h"
#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "crypto/jwt.h"

#define THREADS_PER_LISTENER 2
#define NAME_POLL_MS	     20
#define STALLED_MS	     3000 /* some turns are due in it */
#define DEFAULT_CONNECTIONS  1024
#define OUTSIDE_CONNECTIONS  256
#define METRICS_CONNECTIONS  16 /* the address that has most makes room for the next */
#define METRICS_LEAST	     4
#define NODE_CONNECTIONS     256 /* a flood has to be so much ahead of a health check */

/* Descriptors without any connection: stdio, the log, loops, what is read again; for each of two listeners and the
 * metrics a socket and what its threads wait with: 28, when this was written. And for podcred fetch: a listener, a
 * connection of it and one of the resolver, each with its successor, and those who have not said who they are. */
#define FIXED_FILES 40

/* Without a descriptor libmicrohttpd cannot accept, and would wait until somebody, anybody, closes. */
static unsigned part_of(unsigned connections, unsigned least, unsigned files)
{
	unsigned part = connections;

	if (files && files < AGENT_FILES)
		part = (unsigned)((uint64_t)connections * (files - FIXED_FILES) /
				  (AGENT_FILES - FIXED_FILES));
	return part > least ? part : least;
}

_Static_assert(AGENT_FILES_MIN > FIXED_FILES + METRICS_LEAST, "room for connections of pods");

/* ---- what the caller's loop does ---- */

int agent_server_fd(const struct agent_server *server)
{
	return server->turn_fd;
}

int agent_server_turn(struct agent_server *server)
{
	int next, metrics;

	atomic_store(&server->turned_ms, clock_mono_ms());
	next = http_turn(server->http);
	metrics = server->metrics_http ? http_turn(server->metrics_http) : next;
	return metrics < next ? metrics : next;
}

bool agent_server_is_stalled(const struct agent_server *server)
{
	return clock_mono_ms() - atomic_load(&server->turned_ms) > STALLED_MS;
}

static void tick(void *ctx, int64_t now_ms)
{
	struct agent_server *server = ctx;

	agent_audit_limit_check(&server->audit_limit, now_ms);
	if (server->leaves)
		agent_leaves_sweep(server->leaves, time(NULL));
	if (server->documents)
		agent_documents_sweep(server->documents);
	if (server->tokens)
		agent_tokens_sweep(server->tokens);
}

/* ---- what podcred fetch says ---- */

void agent_server_connected(struct agent_server *server, bool connected)
{
	if (server->leaves)
		agent_leaves_connected(server->leaves, connected);
	if (server->documents)
		agent_documents_connected(server->documents, connected);
	if (server->tokens)
		agent_tokens_connected(server->tokens, connected);
}

void agent_server_told(struct agent_server *server, const struct upstream_message *m)
{
	if (server->leaves)
		agent_leaves_told(server->leaves, m, time(NULL));
	if (server->documents)
		agent_documents_told(server->documents, m);
	if (server->tokens)
		agent_tokens_told(server->tokens, m);
}

static void wake(void *arg, uint64_t key)
{
	const struct agent_server *server = arg;

	http_wake(server->http, key);
}

static int open_leaves(struct agent_server *server, const struct agent_options *o,
		       struct pc_err *err)
{
	const struct agent_leaves_options options = {.loop = o->loop,
						     .ask = o->ask,
						     .ask_arg = o->ask_arg,
						     .wake = wake,
						     .wake_arg = server};

	if (!o->ask)
		return 0;
	server->metadata = o->metadata;
	if (agent_leaves_new(&options, &server->leaves) == 0 &&
	    agent_documents_new(&options, &server->documents) == 0)
		return 0;
	return pc_err_set(err, -ENOMEM, "out of memory");
}

static int open_tokens(struct agent_server *server, const struct agent_options *o,
		       struct pc_err *err)
{
	const struct agent_tokens_options options = {.loop = o->loop,
						     .ask = o->ask,
						     .ask_arg = o->ask_arg,
						     .wake = wake,
						     .wake_arg = server};

	if (!o->verify_tokens || agent_tokens_new(o->ask ? &options : NULL, &server->tokens) == 0)
		return 0;
	return pc_err_set(err, -ENOMEM, "out of memory");
}

bool agent_has_predecessor(const struct agent_options *options)
{
	for (size_t i = 0; i < options->n_listen; i++)
		if (http_is_listened_on(&options->listen[i]))
			return true;
	return false;
}

int agent_server_listen(struct agent_server *server, size_t i, struct pc_err *err)
{
	return http_listen(server->http, i, err);
}

int agent_server_listen_metrics(struct agent_server *server, struct pc_err *err)
{
	return server->metrics_http ? http_listen(server->metrics_http, 0, err) : 0;
}

static int start_metrics(struct agent_server *server, const struct agent_options *o,
			 struct pc_err *err)
{
	unsigned connections = part_of(METRICS_CONNECTIONS, METRICS_LEAST, o->max_files);
	const struct http_options http = {
		.listen = o->metrics,
		.n_listen = 1,
		.handover = o->handover,
		.late = o->late,
		.may_be_deaf = true,
		.limits = {connections, connections, connections},
		.ctx = server,
		.handle = agent_handler_metrics,
		.share = agent_handler_share_by_address,
	};

	return http_start(&http, &server->metrics_http, err);
}

static int watch(struct agent_server *server, const struct http_server *http)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(server->turn_fd, EPOLL_CTL_ADD, http_fd(http), &event) < 0 ? -errno : 0;
}

static int watch_all(struct agent_server *server, struct pc_err *err)
{
	int r;

	server->turn_fd = epoll_create1(EPOLL_CLOEXEC);
	r = server->turn_fd < 0 ? -errno : watch(server, server->http);
	if (r == 0 && server->metrics_http)
		r = watch(server, server->metrics_http);
	return r < 0 ? pc_err_set(err, r, "cannot wait: %s; raise the limits of the service",
				  strerror(-r))
		     : 0;
}

static int start_http(struct agent_server *server, const struct agent_options *o,
		      struct pc_err *err)
{
	struct http_options http = {
		.listen = o->listen,
		.n_listen = o->n_listen,
		.handover = o->handover,
		.late = o->late,
		.listen_fds = o->listen_fds,
		.n_listen_fds = o->n_listen_fds,
		.limits = server->limits,
		.threads = THREADS_PER_LISTENER,
		.idle_timeout_s = o->idle_timeout_s,
		.request_timeout_ms = o->request_timeout_ms,
		.authorization_max = CRYPTO_JWT_MAX_SIZE, /* STS has signatures there */
		.ctx = server,
		.handle = agent_handler_handle,
		.share = agent_handler_share,
		.body_room = agent_handler_body_room,
		.refused = agent_handler_refused,
		.poll = agent_handler_poll,
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
	int r;

	atomic_store(&server->turned_ms, clock_mono_ms());
	r = start_http(server, o, err);
	if (r == 0 && o->metrics)
		r = start_metrics(server, o, err);
	return r < 0 ? r : watch_all(server, err);
}

static int bind_token_key(const uint8_t *key, uint8_t ret[AGENT_TOKEN_KEY_SIZE], struct pc_err *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	_cleanup_free_ char *boot_id = NULL;
	int r = file_read(path, 64, &boot_id, NULL);

	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; mount /proc", path, strerror(-r));
	r = agent_token_key_of_boot(key, boot_id, ret);
	return r < 0 ? pc_err_set(err, r, "cannot make a key: libcrypto fails") : 0;
}

int agent_server_start(const struct agent_options *o, struct agent_server **ret, struct pc_err *err)
{
	struct agent_server *server;
	int r;

	if (o->max_files && o->max_files < AGENT_FILES_MIN)
		return pc_err_set(err, -EMFILE,
				  "no more than %u files may be open (RLIMIT_NOFILE), and the "
				  "agent needs at least %d; raise LimitNOFILE of the service",
				  o->max_files, AGENT_FILES_MIN);
	server = calloc(1, sizeof(*server));
	if (!server)
		return pc_err_set(err, -ENOMEM, "out of memory");
	server->limits = (struct http_limits){
		.total = part_of(o->max_connections ?: DEFAULT_CONNECTIONS, 1, o->max_files),
		.unknown = part_of(OUTSIDE_CONNECTIONS, 1, o->max_files),
		.local = part_of(NODE_CONNECTIONS, 1, o->max_files)};
	agent_audit_limit_init(&server->audit_limit, agent_audit_suppressed, agent_audit_repeated);
	server->credentials = o->credentials;
	server->peer = o->peer ?: podcred_peer;
	server->wait_ms = o->wait_ms;
	server->require_authorization = o->require_authorization;
	server->want_keys = o->want_keys;
	server->want_keys_arg = o->want_keys_arg;
	server->node_text.path = o->node_metrics;
	snprintf(server->pod_uid, sizeof(server->pod_uid), "%s", o->pod_uid ?: "");
	server->turn_fd = -EBADF;
	r = bind_token_key(o->token_key, server->token_key, err);
	if (r == 0)
		r = open_leaves(server, o, err) ?: open_tokens(server, o, err);
	if (r == 0)
		r = server_fill(server, o, err);
	if (r < 0) {
		agent_server_stop(server);
		return r;
	}
	*ret = server;
	return 0;
}

unsigned agent_server_drain(struct agent_server *server)
{
	return http_drain(server->http);
}

void agent_server_stop(struct agent_server *server)
{
	if (!server)
		return;
	http_stop(server->metrics_http); /* first: it looks at the other */
	http_stop(server->http);
	agent_leaves_free(server->leaves); /* nobody asks any more */
	agent_documents_free(server->documents);
	cleanup_close(&server->turn_fd);
	agent_audit_limit_done(&server->audit_limit);
	agent_tokens_free(server->tokens);
	explicit_bzero(server->token_key, sizeof(server->token_key));
	free(server);
}

unsigned agent_server_connections(const struct agent_server *server)
{
	return server->limits.total;
}

int agent_server_trust(struct agent_server *server, const struct agent_token_trust *trust,
		       struct agent_trusted *ret, struct pc_err *err)
{
	return agent_tokens_trust(server->tokens, trust, ret, err);
}
