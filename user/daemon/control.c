// SPDX-License-Identifier: Apache-2.0
/*
 * podcred control: the associations as an API, and the admission webhook. It writes objects of the cluster, for whoever
 * may; it has no rights in any cloud.
 */
#include "daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aws/sealed_keys.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/secret.h"
#include "control/api.h"
#include "control/assumable.h"
#include "daemon/privileges.h"
#include "daemon/service.h"
#include "daemon/signals.h"
#include "http/client.h"
#include "http/desk.h"
#include "http/tls.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"

#define PEM_MAX	     (256 * 1024)
#define REQUEST_MS   10000
#define DEADLINE_MS  25000
#define WAITING_MAX  256
#define PROBES	     32
#define CONNECTIONS  512
#define METRICS_MAX  65536
#define DRAIN_EVERY  (50 * CLOCK_MS)
#define DRAIN_FOR_NS (10 * CLOCK_S)

struct daemon_control {
	const struct daemon_control_options *options;
	struct loop *loop;
	struct kube_config *kube_config; /* NULL: the client has it */
	struct http_client *http;
	struct kube_client *kube;
	struct http_tls *tls;
	struct control_api *api;
	struct control_broker broker;
	struct daemon_control_webhook *webhook;
	struct http_desk *desk, *health;
	struct loop_timer *drain; /* set: it is about to end */
	uint64_t drain_until_ns; /* 0: it is not */
};

/* ---- what is said ---- */

/* Who has changed what, and who was refused. */
static void on_audited(void *arg, const struct control_audit *a)
{
	char status[16];

	(void)arg;
	snprintf(status, sizeof(status), "%u", a->status);
	log_event(a->error ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "association_api", "operation",
		  a->operation, "status", status, "error", a->error, "user", a->user, "door",
		  a->door, "client", a->client, "namespace", a->name_space, "service_account",
		  a->service_account, "association_id", a->association_id, "role_arn", a->role_arn,
		  "why", a->message, NULL);
}

/* ---- the server's pair ---- */

static int read_pair(struct daemon_control *d, struct pc_err *err)
{
	const struct daemon_control_options *o = d->options;
	_cleanup_secret_ char *certificate = NULL;
	_cleanup_secret_ char *key = NULL;
	int r;

	if (!o->certificate)
		return 0;
	r = secret_read(o->certificate, PEM_MAX, &certificate, NULL);
	if (r < 0)
		return pc_err_set(err, r, "%s: %s; name a file with a certificate in PEM",
				  o->certificate, strerror(-r));
	r = secret_read(o->key, PEM_MAX, &key, NULL);
	if (r < 0)
		return pc_err_set(err, r, "%s: %s; name a file with a key in PEM", o->key,
				  strerror(-r));
	r = http_tls_set_pair(d->tls, certificate, key, err);
	return r < 0 ? pc_err_prefix(err, r, "%s", o->certificate) : 0;
}

static int read_sealing(struct daemon_control *d, struct pc_err *err)
{
	struct aws_sealing *sealing;
	int r = daemon_service_read_sealing(d->options->sealing_keys, &sealing, err);

	if (sealing)
		control_api_seal(d->api, sealing);
	return r;
}

static void on_reload(void *arg, int sig)
{
	struct daemon_control *d = arg;
	struct pc_err err = {};

	(void)sig;
	if (d->api && read_sealing(d, &err) < 0)
		log_warn("%s; the master keys read before stay in use", err.msg);
	if (read_pair(d, &err) < 0)
		log_warn("%s; the pair read before stays in use", err.msg);
	else if (d->options->certificate)
		log_info("%s and %s read again", d->options->certificate, d->options->key);
}

/* ---- requests ---- */

static void on_request(void *arg, struct http_ticket *ticket)
{
	const struct daemon_control *d = arg;

	if (!daemon_control_webhook_handle(d->webhook, ticket))
		control_api_handle(d->api, ticket);
}

static void say(struct http_response *resp, unsigned status, const char *text)
{
	http_response_begin(resp, status, "text/plain; charset=utf-8");
	text_add(&resp->body, text);
}

static void answer_ready(const struct daemon_control *d, struct http_response *resp)
{
	const char *why = NULL;

	if (d->drain_until_ns)
		say(resp, 503, "it is about to end\n");
	else if (control_api_is_ready(d->api, &why) &&
		 daemon_control_webhook_is_ready(d->webhook, &why))
		say(resp, 200, "ok\n");
	else
		say(resp, 503, why);
}

static void answer_metrics(struct daemon_control *d, struct http_response *resp)
{
	http_response_begin(resp, 200, "text/plain; version=0.0.4; charset=utf-8");
	resp->body.max = METRICS_MAX;
	control_api_metrics(d->api, &resp->body);
	daemon_control_webhook_metrics(d->webhook, &resp->body);
}

/* For the kubelet and for Prometheus: nothing here is secret, and nothing is changed. */
static void on_probe(void *arg, struct http_ticket *ticket)
{
	struct daemon_control *d = arg;
	const struct http_ask *ask = http_ticket_ask(ticket);
	struct http_response resp = {};

	if (ask->refuse || (strcmp(ask->method, "GET") != 0 && strcmp(ask->method, "HEAD") != 0))
		say(&resp, ask->refuse ?: 405, "only GET\n");
	else if (!strcmp(ask->target, "/healthz"))
		say(&resp, 200, "ok\n");
	else if (!strcmp(ask->target, "/readyz"))
		answer_ready(d, &resp);
	else if (!strcmp(ask->target, "/metrics"))
		answer_metrics(d, &resp);
	else
		say(&resp, 404, "there are /healthz, /readyz and /metrics\n");
	http_ticket_answer(ticket, &resp);
}

static int start_desks(struct daemon_control *d, struct pc_err *err)
{
	const struct http_desk_options desk = {
		.loop = d->loop,
		.waiting_max = WAITING_MAX,
		.deadline_ms = DEADLINE_MS,
		.arg = d,
		.handle = on_request,
		.server = {.listen = &d->options->listen,
			   .n_listen = 1,
			   .limits = {CONNECTIONS, CONNECTIONS, CONNECTIONS},
			   .threads = 2,
			   .request_timeout_ms = REQUEST_MS + DEADLINE_MS,
			   .tls = d->tls,
			   .body_max = CONTROL_BODY_MAX},
	};
	struct http_desk_options health = desk;
	int r = http_desk_start(&desk, &d->desk, err);

	if (r < 0)
		return r;
	health.handle = on_probe;
	health.server.listen = &d->options->health;
	health.server.limits = (struct http_limits){PROBES, PROBES, PROBES};
	health.server.threads = 1;
	health.server.tls = NULL;
	health.server.body_max = 0;
	return http_desk_start(&health, &d->health, err);
}

/* ---- the end ---- */

static void drain(void *arg)
{
	struct daemon_control *d = arg;

	if (http_desk_drain(d->desk) == 0 || clock_mono_ns() >= d->drain_until_ns)
		loop_stop(d->loop, 0);
}

/* Whoever is answered now is still answered; a Service takes a moment to send nobody any more. */
static void on_stop(void *arg, int sig)
{
	struct daemon_control *d = arg;

	(void)sig;
	if (d->drain_until_ns || !d->desk) {
		loop_stop(d->loop, 0);
		return;
	}
	log_info("about to end");
	d->drain_until_ns = clock_mono_ns() + DRAIN_FOR_NS;
	loop_timer_every(d->drain, DRAIN_EVERY, DRAIN_EVERY);
}

/* ---- the beginning ---- */

static int open_loop(struct daemon_control *d, struct pc_err *err)
{
	int r = loop_new(&d->loop);

	r = r ?: daemon_signals(d->loop, on_stop, on_reload, d);
	r = r ?: loop_timer_new(d->loop, drain, d, &d->drain);
	return r < 0 ? pc_err_set(err, r, "cannot begin: %s", strerror(-r)) : 0;
}

/* Before we become somebody else: the file may be root's. What it names has to be ours to read. */
static int find_kube(struct daemon_control *d, struct pc_err *err)
{
	const struct daemon_control_options *o = d->options;
	int r = o->kubeconfig ? kube_config_file(o->kubeconfig, o->context, &d->kube_config, err)
			      : kube_config_in_cluster(NULL, &d->kube_config, err);

	if (r < 0)
		return r;
	if (kube_config_runs_programs(d->kube_config))
		return pc_err_set(err, -EINVAL,
				  "%s: control executes no programs; give a kubeconfig with a "
				  "token or a certificate",
				  o->kubeconfig);
	if (kube_config_warning(d->kube_config))
		log_warn("%s", kube_config_warning(d->kube_config));
	return 0;
}

static int make_api(struct daemon_control *d, struct pc_err *err)
{
	const struct config_credentials *c = &d->options->config->credentials;
	const char *stock = d->options->config->webhook.stock_config_map;
	const struct control_api_options options = {
		.loop = d->loop,
		.kube = d->kube,
		.stock_config_map = *stock ? stock : NULL,
		.broker = *c->broker.url ? &d->broker : NULL,
		.tls = d->tls,
		.cluster_name = c->cluster_name,
		.cluster_arn = c->cluster_arn,
		.said = daemon_service_said,
		.audited = on_audited,
		.arg = d,
	};

	d->broker = (struct control_broker){
		.http = d->http,
		.url = c->broker.url,
		.cluster = c->cluster_name,
		.token_file = c->broker.token_file,
		.ca_file = *c->broker.ca_bundle ? c->broker.ca_bundle : NULL,
	};
	return control_api_new(&options, &d->api, err);
}

static int make_webhook(struct daemon_control *d, struct pc_err *err)
{
	const struct daemon_control_options *o = d->options;
	const struct daemon_control_webhook_options options = {
		.loop = d->loop,
		.kube = d->kube,
		.tls = d->tls,
		.config = &o->config->webhook,
		.api = d->api,
		.certificates = o->certificates,
		.server_name = o->server_name,
		.broker_certificates = o->broker_certificates,
	};

	return daemon_control_webhook_new(&options, &d->webhook, err);
}

static int make_clients(struct daemon_control *d, struct pc_err *err)
{
	int r = http_client_new(d->loop, &d->http);

	r = r ?: kube_client_new(d->loop, d->http, TAKE_PTR(d->kube_config), &d->kube);
	r = r ?: http_tls_new(&d->tls);
	return r < 0 ? pc_err_set(err, r, "no memory, or no descriptors") : 0;
}

static int start(struct daemon_control *d, struct pc_err *err)
{
	int r = find_kube(d, err);

	r = r ?: daemon_service_drop(d->options->user, daemon_privileges_find_user, err);
	if (r < 0)
		return r;
	r = log_start(); /* its thread has no more rights than we have now */
	if (r < 0)
		return pc_err_set(err, r, "cannot start a thread: %s", strerror(-r));
	daemon_service_confine("control");
	r = make_clients(d, err);
	r = r ?: read_pair(d, err);
	r = r ?: make_api(d, err);
	r = r ?: read_sealing(d, err);
	r = r ?: make_webhook(d, err);
	return r ?: start_desks(d, err);
}

static void finish(struct daemon_control *d)
{
	http_desk_stop(d->desk);
	http_desk_stop(d->health);
	daemon_control_webhook_free(d->webhook);
	control_api_free(d->api);
	kube_client_free(d->kube);
	kube_config_free(d->kube_config);
	http_client_free(d->http);
	http_tls_free(d->tls);
	loop_free(d->loop);
}

int daemon_control(const struct daemon_control_options *options, struct pc_err *err)
{
	_cleanup_(finish) struct daemon_control d = {.options = options};
	char listen[NET_ADDR_TEXT];
	int r = open_loop(&d, err);

	if (r < 0)
		return r;
	daemon_privileges_hide_memory();
	r = start(&d, err);
	if (r < 0)
		return r;
	log_info("serving cluster %s on %s", options->config->credentials.cluster_name,
		 net_addr_format(options->listen.ip, options->listen.port, listen, sizeof(listen)));
	return loop_run(d.loop);
}
