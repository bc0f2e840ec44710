// SPDX-License-Identifier: Apache-2.0
#include "agent/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/audit.h"
#include "agent/documents.h"
#include "agent/leaves.h"
#include "agent/service.h"
#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "credentials/store.h"

static void identify(struct agent_server *server, int fd, struct podcred_peer *peer,
		     struct agent_request *req)
{
	req->peer_error = server->peer(fd, peer, sizeof(*peer));
	req->peer = req->peer_error < 0 ? NULL : peer;
}

static int get_address(int fd, int (*name)(int fd, struct sockaddr *sa, socklen_t *len),
		       struct net_addr *ret)
{
	struct sockaddr_storage sa = {};
	socklen_t len = sizeof(sa);

	return name(fd, (struct sockaddr *)&sa, &len) < 0
		       ? -errno
		       : net_addr_from_sockaddr((struct sockaddr *)&sa, ret);
}

/* Whose share a caller without a stamp takes. Only a process of the node can have the address that
 * it dialled as its own: nobody else gets an answer that is sent there. */
static uint64_t unstamped_share(int fd)
{
	struct net_addr own = {}, peer = {};

	if (get_address(fd, getsockname, &own) < 0 || get_address(fd, getpeername, &peer) < 0)
		return HTTP_SHARE_UNKNOWN;
	return memcmp(own.ip, peer.ip, sizeof(own.ip)) == 0 ? HTTP_SHARE_LOCAL : HTTP_SHARE_UNKNOWN;
}

/* Whether the programs run that know the question; *ret_pod then is the cgroup id of the pod, or 0. */
static bool kernel_tells(int fd, uint64_t *ret_pod)
{
	socklen_t len = sizeof(*ret_pod);

	return getsockopt(fd, SOL_PODCRED, PODCRED_POD, ret_pod, &len) == 0 &&
	       len == sizeof(*ret_pod);
}

/* The pod's cgroup id. Not by the question of identify(), which the kernel counts: whoever asks for
 * the agent's health alone comes without a stamp by right. */
uint64_t agent_handler_share(void *ctx, int fd)
{
	struct agent_server *server = ctx;
	struct agent_request req = {};
	struct podcred_peer peer;
	uint64_t pod;

	if (kernel_tells(fd, &pod))
		return pod ?: unstamped_share(fd);
	identify(server, fd, &peer, &req); /* nothing is loaded here that knows this question */
	return req.peer ? peer.pod_cgroup_id : unstamped_share(fd);
}

/* Whoever reads the metrics has no stamp: told apart by address (FNV-1a), so that one that takes all the
 * connections it can get gives up its own. */
uint64_t agent_handler_share_by_address(void *ctx, int fd)
{
	uint64_t hash = 0xcbf29ce484222325;
	struct net_addr from = {};

	(void)ctx;
	if (get_address(fd, getpeername, &from) < 0)
		return HTTP_SHARE_UNKNOWN;
	for (size_t i = 0; i < sizeof(from.ip); i++)
		hash = (hash ^ from.ip[i]) * 0x100000001b3;
	return hash;
}

/* Not for whoever has no stamp, whom the kernel would count twice. */
size_t agent_handler_body_room(void *ctx, const struct http_request *http)
{
	struct agent_server *server = ctx;
	const struct agent_service *service = NULL;
	struct podcred_peer peer;

	if (http_share_is_known(http_request_share(http)) &&
	    server->peer(http_request_fd(http), &peer, sizeof(peer)) == 0)
		service = agent_service_of(&peer);
	return service ? service->body_room : 0;
}

void agent_handler_refused(void *ctx, int fd)
{
	struct agent_server *server = ctx;
	struct agent_answer closed = {.audit = AUDIT_REFUSED, .reason = AGENT_TOO_MANY_CONNECTIONS};
	struct agent_request req = {};
	struct podcred_peer peer;

	identify(server, fd, &peer, &req);
	agent_metrics_count_refusal(&server->metrics, closed.reason);
	agent_audit_decision(&server->audit_limit, &req, &closed, clock_mono_ns());
}

/* Whether asking again gives another answer than "no name yet". Whoever waits for podcred fetch is woken by that. */
bool agent_handler_poll(void *ctx, uint64_t key, int fd)
{
	struct agent_server *server = ctx;
	struct podcred_peer peer;

	if (agent_leaves_is_key(key))
		return false;
	return server->peer(fd, &peer, sizeof(peer)) < 0 || peer.flags & PODCRED_PEER_NAMED;
}

/* The kernel counts who is asked about and has no stamp: not those who need none. */
static bool is_for_anybody(const struct agent_request *req, bool known)
{
	return (!known && agent_is_probe(req)) || (req->head.too_large && !req->head.ambiguous);
}

static enum agent_reason reason_of_wait(uint64_t key)
{
	if (agent_documents_is_key(key))
		return AGENT_NO_REASON; /* no decision about credentials */
	return agent_leaves_is_key(key) ? AGENT_CREDENTIALS_PENDING : AGENT_POD_NOT_RESOLVED;
}

static int wait_for(const struct agent_server *server, struct http_request *http,
		    const struct agent_request *req, uint64_t key, struct agent_answer *answer)
{
	const struct agent_service *service = agent_service_of(req->peer);
	unsigned wait_ms = server->wait_ms ?: service->wait_ms;
	int r = http_park(http, http_request_since_ms(http) + wait_ms, key);

	return r == -ETIMEDOUT || r == -ESHUTDOWN
		       ? agent_give_up(service, req, reason_of_wait(key), answer)
		       : r;
}

/* As agent_dispatch(), but what has to wait is parked. */
static int dispatch(struct agent_server *server, struct http_request *http,
		    const struct agent_request *req, struct agent_answer *answer)
{
	struct cred_table *table = cred_store_table(server->credentials);
	bool probe = agent_is_probe(req);
	uint64_t pod, key = req->peer ? agent_leaves_key(req->peer) : 0;
	const struct agent_env env = {.table = table,
				      .leaves = server->leaves,
				      .documents = server->documents,
				      .metadata = server->metadata,
				      .wait_key = &key,
				      .deaf = probe && !kernel_tells(http_request_fd(http), &pod),
				      .pod_uid = server->pod_uid[0] ? server->pod_uid : NULL,
				      .token_key = server->token_key,
				      .require_authorization = server->require_authorization,
				      .tokens = server->tokens,
				      .want_keys = server->want_keys,
				      .want_keys_arg = server->want_keys_arg,
				      .stalled = agent_server_is_stalled(server)};
	int r = agent_dispatch(&env, req, answer);

	cred_table_unref(table);
	if (!req->peer || (r != -EAGAIN && r != -EINPROGRESS))
		return r;
	if (r == -EAGAIN)
		key = req->peer->pod_cgroup_id;
	return wait_for(server, http, req, key, answer);
}

static void count(struct agent_server *server, const struct http_request *http,
		  const struct agent_request *req, const struct agent_answer *answer)
{
	agent_metrics_count(&server->metrics, req->peer ? agent_service_of(req->peer) : NULL,
			    answer, clock_mono_ns() - http_request_since_ns(http));
}

int agent_handler_handle(void *ctx, struct http_request *http, struct http_response *ret)
{
	struct agent_server *server = ctx;
	_cleanup_(agent_answer_done) struct agent_answer answer = {};
	struct agent_request req = {.head = *http_request_head(http),
				    .now = time(NULL),
				    .boot_s = (time_t)(clock_boot_ns() / CLOCK_S),
				    .since_ns = http_request_since_ns(http)};
	char client[NET_ADDR_TEXT];
	struct podcred_peer peer;
	int r;

	/* Asked in each step, so that a name that is withdrawn counts at once. */
	if (is_for_anybody(&req, http_share_is_known(http_request_share(http))))
		req.peer_error = -ENODATA;
	else
		identify(server, http_request_fd(http), &peer, &req);
	req.body = http_request_body(http, &req.body_len);
	req.client = http_request_client(http, client, sizeof(client));
	r = dispatch(server, http, &req, &answer);
	/* Nobody tells unknown callers apart: one request each, so that they take turns. */
	answer.http.close |= !req.peer;
	if (r == HTTP_DONE)
		agent_audit_decision(&server->audit_limit, &req, &answer, clock_mono_ns());
	if (r != HTTP_PARKED)
		count(server, http, &req, r == HTTP_DONE ? &answer : NULL);
	*ret = answer.http;
	answer.http = (struct http_response){};
	return r;
}

int agent_handler_metrics(void *ctx, struct http_request *req, struct http_response *resp)
{
	struct agent_server *server = ctx;
	_cleanup_free_ char *node_text = NULL;
	struct metrics_now now = {.counts = http_counts(server->http),
				  .limits = server->limits,
				  .associations = cred_store_count(server->credentials),
				  .log_dropped = log_dropped()};

	if (server->leaves)
		agent_leaves_count(server->leaves, &now.leaves);
	if (server->documents)
		now.documents = agent_documents_count(server->documents);
	now.asks = server->leaves;
	now.passes_on = server->node_text.path;
	if (now.passes_on)
		agent_node_text_read(&server->node_text, clock_mono_ns(), &node_text);
	now.node_text = node_text;
	return agent_metrics_answer(&server->metrics, &now, http_request_head(req), resp);
}
