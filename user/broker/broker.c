// SPDX-License-Identifier: Apache-2.0
#include "broker/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "broker/answer.h"
#include "broker/internal.h"
#include "broker/issuer.h"
#include "broker/request.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "http/desk.h"

/* ---- what needs no caller ---- */

bool broker_is_ready(const struct broker *broker, const char **why)
{
	*why = "the pods and nodes of the cluster are still being listed";
	return kube_cluster_pods_listed(broker->pods);
}

static void answer_text(struct http_ticket *ticket, unsigned status, const char *text)
{
	struct http_response resp = {};

	http_response_begin(&resp, status, "text/plain; charset=utf-8");
	text_add(&resp.body, text);
	text_add(&resp.body, "\n");
	http_ticket_answer(ticket, &resp);
}

static void answer_ready(const struct broker *broker, struct http_ticket *ticket)
{
	const char *why;
	bool ready = broker_is_ready(broker, &why);

	answer_text(ticket, ready ? 200 : 503, ready ? "ok" : why);
}

static void refuse(struct broker *broker, struct http_ticket *ticket, enum broker_reason reason)
{
	struct http_response resp = {};

	broker_count(broker, reason, 0);
	broker_answer_refusal(&resp, reason, NULL);
	http_ticket_answer(ticket, &resp);
}

/* Anybody may have them: they are to be published. */
static bool answer_document(const struct broker *broker, struct http_ticket *ticket)
{
	const struct broker_issuer *issuer = broker->options.issuer;
	const struct http_ask *ask = http_ticket_ask(ticket);
	struct http_response resp = {};

	http_response_begin(&resp, 200, "application/json");
	if (!issuer || strcmp(ask->method, "GET") != 0 ||
	    broker_issuer_document(issuer, ask->target, &resp.body) < 0) {
		http_response_done(&resp);
		return false;
	}
	http_ticket_answer(ticket, &resp);
	return true;
}

void broker_handle(void *arg, struct http_ticket *ticket)
{
	struct broker *broker = arg;
	const struct http_ask *ask = http_ticket_ask(ticket);
	char cluster[BROKER_CLUSTER_SIZE];

	if (ask->refuse) {
		refuse(broker, ticket, ask->refuse == 413 ? BROKER_TOO_LARGE : BROKER_BAD_REQUEST);
		return;
	}
	if (answer_document(broker, ticket))
		return;
	switch (broker_request_route(ask->method, ask->target, cluster)) {
	case BROKER_ASSUME_FOR_TOKEN:
	case BROKER_ASSUME_FOR_POD:
	case BROKER_ASSUMABLE:
	case BROKER_STS:
		broker_ask_begin(broker, ticket);
		return;
	case BROKER_HEALTHZ:
		answer_text(ticket, 200, "ok");
		return;
	case BROKER_READYZ:
		answer_ready(broker, ticket);
		return;
	default:
		refuse(broker, ticket, BROKER_NO_OPERATION);
	}
}

/* ---- the cluster ---- */

static void on_ended(void *arg, const char *uid)
{
	const struct broker *broker = arg;

	fetch_gone(broker->options.fetch, uid);
}

static void on_state(void *arg, const char *what, const struct kube_watch_state *state)
{
	const struct broker *broker = arg;
	char line[700];

	if (!*state->why)
		return;
	snprintf(line, sizeof(line), "%s: %.600s; what was known of them stays in force", what,
		 state->why);
	broker->options.events.said(broker->options.events.arg, true, line);
}

void broker_set_keys(struct broker *broker, const char *jwks, size_t len,
		     const char *const *issuers, size_t n_issuers)
{
	broker_reviews_set_keys(broker->reviews, jwks, len, issuers, n_issuers);
}

/* ---- life ---- */

struct broker *broker_free(struct broker *broker)
{
	if (!broker)
		return NULL;
	broker_asks_end(broker);
	broker_reviews_free(broker->reviews);
	kube_cluster_pods_free(broker->pods);
	free(broker);
	return NULL;
}

static int make(struct broker *broker)
{
	static const struct kube_cluster_pods_events events = {.ended = on_ended,
							       .state = on_state};
	const struct broker_options *o = &broker->options;
	const struct broker_reviews_options reviews = {
		.loop = o->loop,
		.kube = o->kube,
		.audience = {[BROKER_FOR_CALLER] = o->config->broker.audience,
			     [BROKER_FOR_POD] = o->config->credentials.tokens.audience},
		.keys_may_do = o->config->broker.when_api_is_away == CONFIG_API_AWAY_KEYS,
	};
	int r = broker_reviews_new(&reviews, &broker->reviews);

	return r ?: kube_cluster_pods_new(o->loop, o->kube, NULL, &events, broker, &broker->pods);
}

int broker_new(const struct broker_options *options, struct broker **ret)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	int r;

	if (!broker)
		return -ENOMEM;
	broker->options = *options;
	TAILQ_INIT(&broker->asks);
	r = make(broker);
	if (r < 0)
		broker_free(broker);
	else
		*ret = broker;
	return r;
}
