// SPDX-License-Identifier: Apache-2.0
#include "daemon/broker_door.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "broker/broker.h"
#include "http/desk.h"
#include "http/tls.h"

#define PEM_MAX	    (256U << 10)
#define CONNECTIONS 4096
#define WAITING	    1024
#define PROBES	    16
#define METRICS_MAX (256U << 10)

/* ---- the certificate ---- */

static int read_pair(const struct broker_door *d, char **ret_certificate, char **ret_key,
		     struct pc_err *err)
{
	const struct daemon_broker_options *o = d->options->options;
	int r = secret_read(o->certificate, PEM_MAX, ret_certificate, NULL);

	if (r < 0)
		return pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  o->certificate, strerror(-r));
	r = secret_read(o->key, PEM_MAX, ret_key, NULL);
	return r < 0 ? pc_err_set(err, r, "cannot read %s: %s; check the path and its permissions",
				  o->key, strerror(-r))
		     : 0;
}

/* 1: it is another one now. */
static int use_certificate(struct broker_door *d, struct pc_err *err)
{
	_cleanup_secret_ char *certificate = NULL, *key = NULL;
	int r = read_pair(d, &certificate, &key, err);

	if (r < 0 || (d->certificate && !strcmp(d->certificate, certificate)))
		return r;
	r = http_tls_set_pair(d->tls, certificate, key, err);
	if (r < 0)
		return r;
	free(d->certificate);
	d->certificate = TAKE_PTR(certificate);
	return 1;
}

void daemon_broker_door_reread(struct broker_door *d)
{
	struct pc_err err = {};
	int r = d->tls ? use_certificate(d, &err) : 0;

	if (r < 0)
		log_warn("%s; the certificate read before stays in force", err.msg);
	else if (r > 0)
		log_info("another certificate is in force");
}

/* ---- the servers ---- */

static int make_tls(struct broker_door *d, struct pc_err *err)
{
	int r;

	if (!d->options->options->certificate) {
		log_warn("without TLS: tokens and credentials are readable on their way; for tests "
			 "on loopback only");
		return 0;
	}
	r = http_tls_new(&d->tls);
	if (r < 0)
		return pc_err_set(err, r, "no memory");
	r = use_certificate(d, err);
	return r < 0 ? r : 0;
}

static int serve_agents(struct broker_door *d, struct pc_err *err)
{
	const struct http_desk_options options = {
		.loop = d->options->loop,
		.server = {.listen = d->options->options->listen,
			   .n_listen = d->options->options->n_listen,
			   .limits = {.total = CONNECTIONS,
				      .unknown = CONNECTIONS,
				      .local = CONNECTIONS},
			   .idle_timeout_s = 60,
			   .request_timeout_ms = 5000,
			   .tls = d->tls,
			   .body_max = BROKER_BODY_MAX},
		.waiting_max = WAITING,
		.deadline_ms = BROKER_DEADLINE_MS + 100,
		.arg = d->options->broker,
		.handle = broker_handle,
	};

	return http_desk_start(&options, &d->desk, err);
}

static void serve_metrics(const struct broker_door *d, struct http_response *resp)
{
	http_response_begin(resp, 200, "text/plain; version=0.0.4; charset=utf-8");
	resp->body.max = METRICS_MAX;
	broker_metrics(d->options->broker, &resp->body);
}

static void say(struct http_response *resp, unsigned status, const char *text)
{
	http_response_begin(resp, status, "text/plain; charset=utf-8");
	text_add(&resp->body, text);
	text_add(&resp->body, "\n");
}

static void on_probe(void *arg, struct http_ticket *ticket)
{
	const struct broker_door *d = arg;
	const struct http_ask *ask = http_ticket_ask(ticket);
	struct http_response resp = {};
	const char *why;
	bool ready = broker_is_ready(d->options->broker, &why);

	if (ask->refuse || strcmp(ask->method, "GET") != 0)
		say(&resp, 405, "GET only");
	else if (!strcmp(ask->target, "/metrics"))
		serve_metrics(d, &resp);
	else if (!strcmp(ask->target, "/healthz"))
		say(&resp, 200, "ok");
	else if (!strcmp(ask->target, "/readyz"))
		say(&resp, ready ? 200 : 503, ready ? "ok" : why);
	else
		say(&resp, 404, "there are /healthz, /readyz and /metrics");
	http_ticket_answer(ticket, &resp);
}

static int serve_health(struct broker_door *d, struct pc_err *err)
{
	const struct http_desk_options options = {
		.loop = d->options->loop,
		.server = {.listen = &d->options->options->health,
			   .n_listen = 1,
			   .limits = {.total = PROBES, .unknown = PROBES, .local = PROBES},
			   .request_timeout_ms = 5000},
		.waiting_max = PROBES,
		.deadline_ms = 5000,
		.arg = d,
		.handle = on_probe,
	};

	return http_desk_start(&options, &d->health, err);
}

int daemon_broker_door_open(struct broker_door *d, struct pc_err *err)
{
	int r = make_tls(d, err);

	r = r ?: serve_agents(d, err);
	return r ?: serve_health(d, err);
}

unsigned daemon_broker_door_drain(struct broker_door *d)
{
	return http_desk_drain(d->desk);
}

void daemon_broker_door_close(struct broker_door *d)
{
	http_desk_stop(d->desk);
	http_desk_stop(d->health);
	d->desk = d->health = NULL;
	d->tls = http_tls_free(d->tls);
	free(d->certificate);
	d->certificate = NULL;
}
