// SPDX-License-Identifier: Apache-2.0
/* The table of services, and the steps from a request to its answer. The caller is identified before the first
 * step. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/service.h"

#include "agent/leaves.h"
#include "agent/metrics.h"
#include "agent/sts_request.h"
#include "base/addr.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define SERVICE_PORT 80

const char *const agent_headers[HTTP_EXTRA_MAX] = {
	[AGENT_HEADER_IMDS_TOKEN] = "X-aws-ec2-metadata-token",
	[AGENT_HEADER_IMDS_TTL] = "X-aws-ec2-metadata-token-ttl-seconds",
};

/* ---- the table ---- */

static const struct agent_service *const services[] = {
	&agent_pod_identity,
	&agent_ecs,
	&agent_imds,
	&agent_sts,
};

_Static_assert(ARRAY_SIZE(services) < METRICS_SERVICES, "more services: more counters");

const struct agent_service *agent_service_at(size_t i)
{
	return i < ARRAY_SIZE(services) ? services[i] : NULL;
}

static bool is_at(const struct agent_service *service, const uint8_t ip[16])
{
	static const uint8_t none[16];

	if (!memcmp(ip, none, sizeof(none)))
		return false;
	for (size_t i = 0; i < AGENT_SERVICE_ADDRESSES; i++)
		if (!memcmp(service->addresses[i].ip, ip, 16))
			return true;
	return false;
}

const struct agent_service *agent_service_of(const struct podcred_peer *peer)
{
	if (peer->port != SERVICE_PORT)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (is_at(services[i], peer->address))
			return services[i];
	return NULL;
}

bool agent_service_host_ok(const struct agent_service *service, const struct http_head *head)
{
	struct net_addr addr;

	if (head->host_repeated)
		return false;
	if (!head->host)
		return true;
	if (net_addr_parse(head->host, &addr) < 0)
		return false;
	if (addr.port && addr.port != SERVICE_PORT)
		return false;
	return is_at(service, addr.ip);
}

int agent_service_check_token(const struct agent_exchange *x, const struct agent_token *token,
			      enum agent_reason *ret)
{
	const struct agent_env *env = x->env;
	int r;

	*ret = AGENT_NO_REASON;
	if (!env->tokens)
		return 0;
	r = agent_tokens_check(env->tokens, token, x->req->peer, x->req->now, ret);
	if (env->want_keys &&
	    agent_tokens_want_keys(env->tokens, (int64_t)(x->req->since_ns / CLOCK_MS)))
		env->want_keys(env->want_keys_arg);
	if (r == -EIO)
		*ret = AGENT_TOKEN_NOT_VERIFIED;
	return r == -EIO ? 0 : r;
}

/* ---- what needs no service ---- */

static bool asks_for(const struct agent_request *req, const char *what)
{
	char path[HTTP_PATH_SIZE];

	return http_is_read(&req->head) &&
	       http_path_normalise(req->head.target, path, sizeof(path)) == 0 &&
	       !strcmp(path, what);
}

/* Probes come without a stamp, from the host, and learn one thing: the agent answers. Nothing else is
 * here for those that were not redirected. */
bool agent_is_probe(const struct agent_request *req)
{
	return asks_for(req, "/healthz") || asks_for(req, "/readyz");
}

static int answered(int r)
{
	return r < 0 ? r : AGENT_ANSWERED;
}

static int not_ready(struct agent_answer *answer, const char *why)
{
	return agent_answer_error(answer, 503, "ServiceUnavailable", why, AGENT_NO_REASON);
}

/* To a caller with a stamp: whose agent this is, and who the caller is. From that a process of the agent's pod
 * can tell whether what is stamped arrives here. */
static int answer_ready(const struct agent_env *env, const struct podcred_peer *peer,
			struct agent_answer *answer)
{
	struct text *body = &answer->http.body;
	bool named = peer && peer->flags & PODCRED_PEER_NAMED;

	http_response_begin(&answer->http, 200, "application/json");
	text_addf(body, "{\"ready\":true,\"stamped\":%s", peer ? "true" : "false");
	if (peer && env->pod_uid)
		text_add_member(body, "agentPodUid", env->pod_uid);
	if (named)
		text_add_member(body, "callerPodUid", peer->pod_uid);
	text_add(body, "}");
	return text_error(body);
}

static int answer_probe(const struct agent_env *env, const struct agent_request *req,
			struct agent_answer *answer)
{
	if (env->stalled)
		return not_ready(answer, "the agent's loop has not turned for seconds");
	if (asks_for(req, "/healthz"))
		return agent_answer_text(answer, 200, "ok", AGENT_NO_REASON);
	if (env->deaf)
		return not_ready(answer, "podcred's programs are not attached to the cgroup that "
					 "the agent was started in; load from there, or start it "
					 "in the agent's cgroup");
	return answer_ready(env, req->peer, answer);
}

static int refuse_outsider(const struct agent_request *req, struct agent_answer *answer)
{
	if (!req->peer)
		return agent_answer_error(answer, 403, "AccessDenied",
					  "this connection is not vouched for by podcred",
					  AGENT_UNKNOWN_CALLER);
	return agent_answer_error(
		answer, 403, "AccessDenied",
		"this connection was made to the agent's own address; if a sidecar "
		"in the pod makes it, exclude that address from what the sidecar "
		"takes over",
		AGENT_DIRECT);
}

/* ---- the steps ---- */

static int step_read(struct agent_exchange *x)
{
	const struct http_head *head = &x->req->head;

	if (x->req->peer)
		x->service = agent_service_of(x->req->peer);
	if (head->ambiguous && x->service)
		return answered(x->service->refuse(x, AGENT_AMBIGUOUS));
	if (head->ambiguous)
		return answered(agent_answer_ambiguous(x->answer));
	if (head->too_large)
		return answered(agent_answer_error(x->answer, 413, "InvalidRequest",
						   "no request here has such a body",
						   AGENT_NO_REASON));
	return AGENT_GO_ON;
}

static int step_identify(struct agent_exchange *x)
{
	const struct podcred_peer *peer = x->req->peer;

	if (!peer || peer->flags & PODCRED_PEER_DIRECT)
		return answered(agent_is_probe(x->req) ? answer_probe(x->env, x->req, x->answer)
						       : refuse_outsider(x->req, x->answer));
	if (!x->service)
		return answered(agent_answer_error(x->answer, 403, "AccessDenied",
						   "no service is known at the dialled address",
						   AGENT_UNKNOWN_DESTINATION));
	return x->service->check(x);
}

static int step_name(struct agent_exchange *x)
{
	return x->req->peer->flags & PODCRED_PEER_NAMED ? AGENT_GO_ON : -EAGAIN;
}

static int step_prepare(struct agent_exchange *x)
{
	return x->service->prepare ? x->service->prepare(x) : AGENT_GO_ON;
}

static void take_association(struct agent_exchange *x)
{
	x->role = (struct agent_role){.name = x->association->role,
				      .arn = x->association->role_arn,
				      .account_id = x->association->account_id,
				      .source = cred_source_name(x->association->source)};
}

static void take_told(struct agent_exchange *x)
{
	const struct agent_told *told = x->told;

	x->role = (struct agent_role){.name = told->role,
				      .arn = told->role_arn,
				      .account_id = told->account_id,
				      .session_name = told->session_name,
				      .source = told->source,
				      .id = told->role_id};
}

static enum agent_reason reason_of(const struct agent_told *told)
{
	static const enum agent_reason reasons[UPSTREAM_REASON_MAX] = {
		[UPSTREAM_NO_ASSOCIATION] = AGENT_NO_ASSOCIATION,
		[UPSTREAM_NOT_ALLOWED] = AGENT_ROLE_NOT_ALLOWED,
		[UPSTREAM_DENIED] = AGENT_ROLE_DENIED,
		[UPSTREAM_INVALID] = AGENT_ROLE_INVALID,
		[UPSTREAM_THROTTLED] = AGENT_THROTTLED,
		[UPSTREAM_UNAVAILABLE] = AGENT_UNAVAILABLE,
		[UPSTREAM_NODE_CREDENTIALS] = AGENT_NODE_CREDENTIALS,
		[UPSTREAM_TOKEN_INVALID] = AGENT_TOKEN_REFUSED,
		[UPSTREAM_TOKEN_EXPIRED] = AGENT_TOKEN_REFUSED,
		[UPSTREAM_NOT_FOUND] = AGENT_FETCH_FAILED, /* an answer to another question */
		[UPSTREAM_BUSY] = AGENT_FETCH_BUSY,
		[UPSTREAM_INTERNAL] = AGENT_FETCH_FAILED,
	};

	return reasons[told->reason];
}

/* What fetch knows, where the associations file has no keys itself. */
static int ask_fetch(struct agent_exchange *x)
{
	const struct http_head *head = &x->req->head;
	bool token = x->service->authorization_is_token;
	int r = agent_leaves_get(x->env->leaves, x->req->peer,
				 token ? head->authorization_text : NULL,
				 token ? head->authorization_len : 0, x->req->now, &x->told);

	if (r < 0)
		return r;
	take_told(x);
	if (x->told->granted || x->told->reason == UPSTREAM_NO_ASSOCIATION)
		return AGENT_GO_ON;
	return answered(x->service->refuse(x, reason_of(x->told)));
}

static int step_associate(struct agent_exchange *x)
{
	const struct cred_association *association = cred_table_find(
		x->env->table, x->req->peer->pod_namespace, x->req->peer->service_account);

	if (association && association->source == CRED_SOURCE_STATIC) {
		x->association = association;
		take_association(x);
		return AGENT_GO_ON;
	}
	/* a static pod has no service account, and what fetch knows is of service accounts */
	if (!x->env->leaves || !x->req->peer->service_account[0])
		return AGENT_GO_ON;
	return ask_fetch(x);
}

static int step_decide(struct agent_exchange *x)
{
	return x->service->decide(x);
}

static int copy_keys(struct agent_exchange *x)
{
	int r = cred_get(x->association, x->req->now, &x->credentials);

	if (r == -EKEYEXPIRED)
		return answered(x->service->refuse(x, AGENT_CREDENTIALS_EXPIRED));
	if (r < 0)
		return r;
	x->secrets = (struct agent_secrets){.access_key_id = x->credentials.access_key_id,
					    .secret_access_key = x->credentials.secret_access_key,
					    .session_token = x->credentials.session_token,
					    .expiration = x->credentials.expiration};
	return AGENT_GO_ON;
}

static int step_credentials(struct agent_exchange *x)
{
	const struct agent_told *told = x->told;

	if (x->association)
		return copy_keys(x);
	x->secrets = (struct agent_secrets){.access_key_id = told->access_key_id,
					    .secret_access_key = told->secret_access_key,
					    .session_token = told->session_token,
					    .expiration = told->expiration};
	/* what came while this request waited is as new to us as fetch says; what was here was here */
	x->answer->cache =
		told->told_ns >= x->req->since_ns ? upstream_cache_name(told->cache) : "hit";
	return AGENT_GO_ON;
}

static int step_answer(struct agent_exchange *x)
{
	return x->service->answer(x);
}

static const agent_step_fn steps[] = {
	step_read,	step_identify, step_name,	 step_prepare,
	step_associate, step_decide,   step_credentials, step_answer,
};

static void copy_text(char *ret, size_t size, const char *text)
{
	snprintf(ret, size, "%s", text ?: "");
}

/* For the log: of a decision about credentials, and no other answer. */
static void note_role(struct agent_exchange *x)
{
	struct agent_answer *answer = x->answer;

	if (answer->audit == AUDIT_NONE)
		return;
	copy_text(answer->role, sizeof(answer->role), x->role.name);
	copy_text(answer->role_arn, sizeof(answer->role_arn), x->role.arn);
	copy_text(answer->session_name, sizeof(answer->session_name), x->role.session_name);
	copy_text(answer->source, sizeof(answer->source), x->role.source);
}

static void exchange_done(struct agent_exchange *x)
{
	agent_told_unref(x->told);
	cred_done(&x->credentials);
	agent_sts_request_free(x->sts);
}

int agent_dispatch(const struct agent_env *env, const struct agent_request *req,
		   struct agent_answer *ret)
{
	_cleanup_(agent_answer_done) struct agent_answer answer = {};
	_cleanup_(exchange_done) struct agent_exchange x = {
		.env = env, .req = req, .answer = &answer};
	int r = AGENT_GO_ON;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && r == AGENT_GO_ON; i++)
		r = steps[i](&x);
	if (r < 0)
		return r;
	note_role(&x);
	*ret = answer;
	answer = (struct agent_answer){};
	return 0;
}

int agent_give_up(const struct agent_service *service, const struct agent_request *req,
		  enum agent_reason reason, struct agent_answer *ret)
{
	_cleanup_(agent_answer_done) struct agent_answer answer = {};
	struct agent_exchange x = {.req = req, .service = service, .answer = &answer};
	int r = service->refuse(&x, reason);

	if (r < 0)
		return r;
	*ret = answer;
	answer = (struct agent_answer){};
	return 0;
}
