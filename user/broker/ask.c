// SPDX-License-Identifier: Apache-2.0
/* One request for credentials: who asks, about whom, and then what that one gets. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sealed_keys.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/timestamp.h"
#include "broker/answer.h"
#include "broker/bind.h"
#include "broker/internal.h"
#include "broker/request.h"
#include "broker/signed.h"
#include "broker/sts.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "http/desk.h"

#define SHORT_LIFE_S 900 /* of what was given without the API server's word */
#define NODE_SIZE    254
#define TRIED_POD    "podcred-check"
#define UID_SIZE     64

struct broker_ask {
	TAILQ_ENTRY(broker_ask) entry;
	struct broker *broker;
	struct http_ticket *ticket;
	enum broker_operation operation;
	struct broker_body body;
	struct loop_timer *timer;
	struct broker_review_wait *wait;
	struct fetch_pending *pending;
	bool by_keys;
	/* of the caller, as soon as they are known */
	char namespace[64], account[254], pod[254], pod_uid[UID_SIZE];
	char node[NODE_SIZE], node_uid[UID_SIZE];
	/* of the pod */
	struct {
		char name_space[64], account[254], name[254], uid[UID_SIZE];
	} of;
};

/* ---- the end ---- */

static void ask_free(struct broker_ask *ask)
{
	TAILQ_REMOVE(&ask->broker->asks, ask, entry);
	loop_timer_free(ask->timer);
	broker_review_cancel(ask->wait);
	fetch_pending_cancel(ask->pending);
	explicit_bzero(&ask->body, sizeof(ask->body));
	free(ask);
}

static struct broker_report report_of(const struct broker_ask *ask, enum broker_reason reason,
				      const char *why)
{
	const struct http_ask *http = http_ticket_ask(ask->ticket);

	return (struct broker_report){
		.reason = reason,
		.why = why && *why		  ? why
		       : reason == BROKER_GRANTED ? ""
						  : broker_reason_refusal(reason)->message,
		.client = http->client,
		.caller = {ask->namespace, ask->account, ask->pod, ask->pod_uid, ask->node},
		.pod = {ask->of.name_space, ask->of.account, ask->of.name,
			*ask->of.uid ? ask->of.uid : ask->body.pod_uid},
		.role_arn = "",
		.session_name = "",
		.access_key_id = "",
		.cache = "",
		.expiration = "",
		.verified = ask->by_keys ? "jwks" : "review",
		.took_ns = clock_mono_ns() - http->since_ns,
	};
}

static void tell(const struct broker_ask *ask, const struct broker_report *report)
{
	const struct broker_events *events = &ask->broker->options.events;

	broker_count(ask->broker, report->reason, report->took_ns);
	events->answered(events->arg, report);
}

static void refuse(struct broker_ask *ask, enum broker_reason reason, const char *why)
{
	const struct broker_report report = report_of(ask, reason, why);
	struct http_response resp = {};

	tell(ask, &report);
	if (ask->operation == BROKER_STS)
		broker_sts_refuse(&resp, reason, why);
	else
		broker_answer_refusal(&resp, reason, why);
	http_ticket_answer(ask->ticket, &resp);
	ask_free(ask);
}

/* ---- what the pod gets ---- */

static enum broker_reason reason_of(enum fetch_class class)
{
	static const enum broker_reason reasons[] = {
		[FETCH_GRANTED] = BROKER_GRANTED,
		[FETCH_ABSENT] = BROKER_NO_ASSOCIATION,
		[FETCH_NOT_ALLOWED] = BROKER_ROLE_NOT_ALLOWED,
		[FETCH_DENIED] = BROKER_DENIED,
		[FETCH_INVALID] = BROKER_INVALID,
		[FETCH_TOKEN] = BROKER_INVALID,
		[FETCH_NODE] = BROKER_UPSTREAM,
		[FETCH_THROTTLED] = BROKER_THROTTLED,
		[FETCH_UNAVAILABLE] = BROKER_UPSTREAM,
		[FETCH_BROKEN] = BROKER_BROKEN,
	};

	return reasons[class];
}

static time_t expiration_of(const struct broker_ask *ask, const struct fetch_value *value)
{
	time_t soon = time(NULL) + SHORT_LIFE_S;

	if (!value->expiration || (ask->by_keys && value->expiration > soon))
		return soon;
	return value->expiration;
}

static void grant(struct broker_ask *ask, const struct fetch_reply *reply)
{
	const struct config *config = ask->broker->options.config;
	const struct fetch_value *value = reply->answer.value;
	struct broker_report report = report_of(ask, BROKER_GRANTED, NULL);
	const struct kube_cluster_pod pod = {.name_space = ask->of.name_space,
					     .service_account = ask->of.account,
					     .name = ask->of.name,
					     .uid = ask->of.uid};
	const struct broker_answer_about about = {
		.association_uid = fetch_association_uid(ask->broker->options.fetch,
							 ask->of.name_space, ask->of.account),
		.cluster_arn = config->credentials.cluster_arn,
		.audience = config->credentials.tokens.audience,
		.expiration = expiration_of(ask, value),
	};
	struct http_response resp = {};
	char when[TIMESTAMP_SIZE] = "";

	(void)timestamp_format(about.expiration, when);
	report.role_arn = reply->role_arn ?: "";
	report.session_name = reply->session_name ?: "";
	report.access_key_id = value->access_key_id;
	report.cache = fetch_state_name(reply->answer.state);
	report.expiration = when;
	tell(ask, &report);
	broker_answer_grant(&resp, &pod, reply, &about);
	http_ticket_answer(ask->ticket, &resp);
	ask_free(ask);
}

static void on_reply(void *arg, const struct fetch_reply *reply)
{
	struct broker_ask *ask = arg;
	const struct fetch_answer *answer = &reply->answer;
	enum broker_reason reason = reason_of(answer->class);

	ask->pending = NULL;
	if (reason == BROKER_GRANTED)
		grant(ask, reply);
	else
		refuse(ask, reason, answer->why);
}

static void fetch_for(struct broker_ask *ask, const struct kube_cluster_pod *known,
		      fetch_reply_fn *done)
{
	struct cred_pod pod;
	struct fetch_pending *pending;

	snprintf(ask->of.name_space, sizeof(ask->of.name_space), "%s", known->name_space);
	snprintf(ask->of.account, sizeof(ask->of.account), "%s", known->service_account);
	snprintf(ask->of.name, sizeof(ask->of.name), "%s", known->name);
	snprintf(ask->of.uid, sizeof(ask->of.uid), "%s", known->uid);
	pod = (struct cred_pod){.namespace = ask->of.name_space,
				.name = ask->of.name,
				.uid = ask->of.uid,
				.service_account = ask->of.account};
	fetch_credentials(ask->broker->options.fetch, &pod, NULL, done, ask, &pending);
	if (pending)
		ask->pending = pending;
}

/* ---- about whom ---- */

/* token: of the pod, judged good; NULL: none was shown. */
static void bind_pod(struct broker_ask *ask, const struct broker_token *token)
{
	const struct kube_cluster_pods *pods = ask->broker->pods;
	const char *uid = *ask->body.pod_uid ? ask->body.pod_uid : token->pod_uid;
	const struct kube_cluster_pod *pod = kube_cluster_pods_find(pods, uid);
	const struct broker_node node = {ask->node, ask->node_uid};
	enum broker_reason reason = broker_bind_pod(
		&node, pod, token, pod ? kube_cluster_pods_node(pods, pod->node) : NULL);

	snprintf(ask->of.uid, sizeof(ask->of.uid), "%s", uid);
	if (pod && reason == BROKER_GRANTED)
		fetch_for(ask, pod, on_reply);
	else
		refuse(ask, reason, NULL);
}

static void on_pod_verdict(void *arg, const struct broker_verdict *verdict)
{
	struct broker_ask *ask = arg;

	ask->wait = NULL;
	ask->by_keys = ask->by_keys || verdict->by_keys;
	if (verdict->error)
		refuse(ask, BROKER_API_AWAY, NULL);
	else if (!verdict->good)
		refuse(ask, BROKER_POD_TOKEN_REFUSED, verdict->why);
	else
		bind_pod(ask, &verdict->token);
}

static void judge_pod(struct broker_ask *ask)
{
	struct broker_verdict verdict;

	if (!*ask->body.token)
		bind_pod(ask, NULL);
	else if (broker_reviews_ask(ask->broker->reviews, BROKER_FOR_POD, ask->body.token,
				    on_pod_verdict, ask, &verdict, &ask->wait))
		on_pod_verdict(ask, &verdict);
}

/* ---- who asks ---- */

static bool is_listed(const struct config_accounts *accounts, const struct broker_token *token)
{
	for (size_t i = 0; i < accounts->n; i++)
		if (!strcmp(accounts->v[i].name_space, token->name_space) &&
		    !strcmp(accounts->v[i].name, token->service_account))
			return true;
	return false;
}

static void remember_caller(struct broker_ask *ask, const struct broker_token *token)
{
	snprintf(ask->namespace, sizeof(ask->namespace), "%s", token->name_space);
	snprintf(ask->account, sizeof(ask->account), "%s", token->service_account);
	snprintf(ask->pod, sizeof(ask->pod), "%s", token->pod_name);
	snprintf(ask->pod_uid, sizeof(ask->pod_uid), "%s", token->pod_uid);
}

static enum broker_reason bind_caller(struct broker_ask *ask, const struct broker_token *token)
{
	const struct kube_cluster_pods *pods = ask->broker->pods;
	const struct kube_cluster_pod *pod = kube_cluster_pods_find(pods, token->pod_uid);
	const char *uid = kube_cluster_pods_node(pods, broker_bind_node_name(token, pod));
	struct broker_node node;
	enum broker_reason reason = broker_bind_caller(token, pod, uid, &node);

	if (reason != BROKER_GRANTED)
		return reason;
	snprintf(ask->node, sizeof(ask->node), "%s", node.name);
	snprintf(ask->node_uid, sizeof(ask->node_uid), "%s", node.uid);
	return reason;
}

/* ---- whether a role can be had ---- */

static void on_tried(void *arg, const struct fetch_reply *reply)
{
	struct broker_ask *ask = arg;
	struct http_response resp = {};

	ask->pending = NULL;
	/* nobody is given what came of it */
	fetch_gone(ask->broker->options.fetch, ask->of.uid);
	broker_answer_tried(&resp, reply);
	http_ticket_answer(ask->ticket, &resp);
	ask_free(ask);
}

/* By the way that credentials of a pod take. The pod does not exist: its name says so, its uid is that of the association. */
static void try_role(struct broker_ask *ask)
{
	struct fetch *fetch = ask->broker->options.fetch;
	const struct broker_body *body = &ask->body;
	const struct kube_cluster_pod pod = {
		.name_space = body->name_space,
		.service_account = body->service_account,
		.name = TRIED_POD,
		.uid = fetch_association_uid(fetch, body->name_space, body->service_account)};

	if (*pod.uid)
		fetch_for(ask, &pod, on_tried);
	else
		refuse(ask, BROKER_NO_ASSOCIATION, NULL);
}

static struct broker_sealing sealing_of(const struct broker_ask *ask)
{
	const struct broker_options *o = &ask->broker->options;

	return (struct broker_sealing){o->sealing, &o->config->credentials};
}

/* Keys for the caller itself. */
static void answer_keys(struct broker_ask *ask, const struct broker_token *token)
{
	const struct broker_sealing sealing = sealing_of(ask);
	time_t expires = time(NULL) + BROKER_KEYS_LIFE_S;
	struct aws_sealed_keys keys = {};
	struct http_response resp = {};
	struct broker_report report;

	if (broker_signed_issue(&sealing, token, expires, &keys) < 0) {
		refuse(ask, BROKER_BROKEN, NULL);
		return;
	}
	report = report_of(ask, BROKER_GRANTED, NULL);
	report.access_key_id = keys.access_key_id;
	tell(ask, &report);
	broker_sts_grant(&resp, &keys, token, expires);
	aws_sealed_keys_done(&keys);
	http_ticket_answer(ask->ticket, &resp);
	ask_free(ask);
}

static void use_caller(struct broker_ask *ask, const struct broker_token *token)
{
	const struct config_broker *config = &ask->broker->options.config->broker;
	bool tries = ask->operation == BROKER_ASSUMABLE;
	enum broker_reason reason = BROKER_CALLER_NOT_LISTED;

	remember_caller(ask, token);
	if (is_listed(tries ? &config->control : &config->agents, token))
		reason = tries ? BROKER_GRANTED : bind_caller(ask, token);
	if (reason != BROKER_GRANTED)
		refuse(ask, reason, NULL);
	else if (tries)
		try_role(ask);
	else if (ask->operation == BROKER_STS)
		answer_keys(ask, token);
	else
		judge_pod(ask);
}

static void on_caller_verdict(void *arg, const struct broker_verdict *verdict)
{
	struct broker_ask *ask = arg;

	ask->wait = NULL;
	ask->by_keys = verdict->by_keys;
	if (verdict->error)
		refuse(ask, BROKER_API_AWAY, NULL);
	else if (!verdict->good)
		refuse(ask, BROKER_CALLER_REFUSED, verdict->why);
	else
		use_caller(ask, &verdict->token);
}

static void judge_signer(struct broker_ask *ask, const char *authorization)
{
	const struct broker_sealing sealing = sealing_of(ask);
	struct broker_signer signer = {};
	enum broker_reason reason = broker_signed_verify(&sealing, http_ticket_ask(ask->ticket),
							 authorization, time(NULL), &signer);

	if (reason == BROKER_GRANTED)
		use_caller(ask, &signer.token);
	else
		refuse(ask, reason, NULL);
}

/* The caller's own token, wherever it shows it. */
static int token_of(const struct broker_ask *ask, const char *authorization,
		    char ret[BROKER_TOKEN_SIZE])
{
	const struct http_ask *http = http_ticket_ask(ask->ticket);

	if (ask->operation == BROKER_STS)
		return broker_request_sts(http->body, http->body_len, ret);
	return authorization ? broker_request_bearer(authorization, ret) : -EINVAL;
}

static void judge_caller(struct broker_ask *ask)
{
	char token[BROKER_TOKEN_SIZE];
	struct broker_verdict verdict;
	size_t count;
	const char *text = http_ask_get(http_ticket_ask(ask->ticket), "Authorization", &count);

	if (count == 1 && ask->operation != BROKER_STS && broker_signed_is(text)) {
		judge_signer(ask, text);
		return;
	}
	if (count > 1 || token_of(ask, text, token) < 0)
		refuse(ask, BROKER_NO_TOKEN, NULL);
	else if (broker_reviews_ask(ask->broker->reviews, BROKER_FOR_CALLER, token,
				    on_caller_verdict, ask, &verdict, &ask->wait))
		on_caller_verdict(ask, &verdict);
	explicit_bzero(token, sizeof(token));
}

/* ---- the beginning ---- */

static void on_late(void *arg)
{
	struct broker_ask *ask = arg;

	refuse(ask, ask->pending ? BROKER_LATE : BROKER_API_AWAY, NULL);
}

static uint64_t left_ns(const struct http_ask *http)
{
	uint64_t end = http->since_ns + BROKER_DEADLINE_MS * CLOCK_MS, now = clock_mono_ns();

	return end > now ? end - now : 0;
}

static enum broker_reason read_request(struct broker_ask *ask, const struct http_ask *http)
{
	const char *name = ask->broker->options.config->credentials.cluster_name;
	char cluster[BROKER_CLUSTER_SIZE];

	ask->operation = broker_request_route(http->method, http->target, cluster);
	if (ask->operation == BROKER_STS)
		return ask->broker->options.sealing ? BROKER_GRANTED : BROKER_NO_OPERATION;
	if (strcmp(cluster, name) != 0)
		return BROKER_OTHER_CLUSTER;
	return broker_request_body(ask->operation, http->body, http->body_len, &ask->body) < 0
		       ? BROKER_BAD_REQUEST
		       : BROKER_GRANTED;
}

static struct broker_ask *ask_new(struct broker *broker, struct http_ticket *ticket)
{
	struct broker_ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return NULL;
	ask->broker = broker;
	ask->ticket = ticket;
	if (loop_timer_new(broker->options.loop, on_late, ask, &ask->timer) < 0) {
		free(ask);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&broker->asks, ask, entry);
	return ask;
}

void broker_ask_begin(struct broker *broker, struct http_ticket *ticket)
{
	const struct http_ask *http = http_ticket_ask(ticket);
	struct broker_ask *ask = ask_new(broker, ticket);
	struct http_response resp = {};
	enum broker_reason reason;

	if (!ask) {
		broker_answer_refusal(&resp, BROKER_BROKEN, NULL);
		http_ticket_answer(ticket, &resp);
		return;
	}
	loop_timer_after(ask->timer, left_ns(http));
	reason = read_request(ask, http);
	if (reason == BROKER_GRANTED)
		judge_caller(ask);
	else
		refuse(ask, reason, NULL);
}

void broker_asks_end(struct broker *broker)
{
	while (!TAILQ_EMPTY(&broker->asks))
		refuse(TAILQ_FIRST(&broker->asks), BROKER_LATE, NULL);
}
