// SPDX-License-Identifier: Apache-2.0
/*
 * podcred broker: the cloud rights of a cluster are here, and on no node. Agents ask it by the network, so its bytes come
 * from machines that may be taken over; it writes nothing, and what it gives is decided in user/broker.
 */
#include "daemon/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sealed_keys.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "broker/broker.h"
#include "broker/issuer.h"
#include "daemon/broker_door.h"
#include "daemon/privileges.h"
#include "daemon/service.h"
#include "daemon/signals.h"
#include "fetch/fetch.h"
#include "fetch/trust.h"
#include "http/client.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "upstream/upstream.h"

#define PODS	      250000
#define REREAD_NS     (30 * CLOCK_S)
#define DRAIN_NS      (8 * CLOCK_S)
#define DRAIN_LOOK_NS (100 * CLOCK_MS)

struct daemon_broker {
	const struct daemon_broker_options *options;
	struct loop *loop;
	struct kube_config *kube_config; /* NULL: the client has it */
	struct http_client *http;
	struct kube_client *kube;
	struct fetch *fetch;
	struct fetch_trust *trust;
	struct broker *broker;
	struct broker_door_options door_options;
	struct broker_door door;
	struct aws_sealing *sealing; /* NULL: no agent signs */
	struct broker_issuer *issuer; /* NULL: another source */
	struct loop_timer *reread, *drain;
	uint64_t drain_until_ns; /* 0: not yet */
};

/* ---- what is said ---- */

static void on_tried(void *arg, const struct fetch_report *report)
{
	const struct fetch_result *result = report->result;
	bool bad = result->class != FETCH_GRANTED;
	char ms[24];

	(void)arg;
	snprintf(ms, sizeof(ms), "%llu", report->took_ns / CLOCK_MS);
	log_event(bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "fetched", "result",
		  fetch_class_name(result->class), "namespace", report->pod->namespace, "pod",
		  report->pod->name, "service_account", report->pod->service_account, "source",
		  report->source, "role_arn", report->role_arn, "session_name",
		  report->session_name, "access_key_id", result->access_key_id, "latency_ms", ms,
		  "why", bad ? result->why : NULL, NULL);
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

/* Who got what for whom: with the agent's own line, and AWS's log, the whole way of a key. */
static void on_answered(void *arg, const struct broker_report *r)
{
	bool bad = r->reason != BROKER_GRANTED;
	char us[24];

	(void)arg;
	snprintf(us, sizeof(us), "%llu", (unsigned long long)(r->took_ns / 1000));
	log_event(bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "brokered", "result",
		  broker_reason_name(r->reason), "namespace", or_null(r->pod.name_space), "pod",
		  or_null(r->pod.name), "service_account", or_null(r->pod.service_account),
		  "pod_uid", or_null(r->pod.uid), "node", or_null(r->caller.node), "caller",
		  or_null(r->caller.service_account), "caller_namespace",
		  or_null(r->caller.name_space), "caller_pod", or_null(r->caller.pod), "client",
		  or_null(r->client), "role_arn", or_null(r->role_arn), "session_name",
		  or_null(r->session_name), "access_key_id", or_null(r->access_key_id),
		  "expiration", or_null(r->expiration), "cache", or_null(r->cache), "verified",
		  r->verified, "latency_us", us, "why", bad ? r->why : NULL, NULL);
}

/* ---- keys of the cluster ---- */

static void take_keys(void *arg)
{
	struct daemon_broker *d = arg;
	struct upstream_keys keys;

	fetch_trust_now(d->trust, &keys);
	if (keys.jwks && d->broker)
		broker_set_keys(d->broker, keys.jwks, strlen(keys.jwks),
				(const char *const *)keys.issuers.v, keys.issuers.n);
}

/* ---- the end ---- */

static void look_at_drain(void *arg)
{
	struct daemon_broker *d = arg;

	if (!daemon_broker_door_drain(&d->door) || clock_mono_ns() >= d->drain_until_ns)
		loop_stop(d->loop, 0);
}

static void on_stop(void *arg, int sig)
{
	struct daemon_broker *d = arg;

	(void)sig;
	if (!d->door.desk || d->drain_until_ns) {
		loop_stop(d->loop, 0);
		return;
	}
	log_info("ending, when the requests that are here are answered");
	d->drain_until_ns = clock_mono_ns() + DRAIN_NS;
	loop_timer_every(d->drain, 0, DRAIN_LOOK_NS);
}

static void reread_issuer(struct daemon_broker *d)
{
	struct pc_err err = {};
	int r = broker_issuer_reread(d->issuer, &err);

	if (r < 0)
		log_warn("%s; the keys read before stay in force", err.msg);
	else if (r > 0)
		log_info("other keys are in force; tokens are signed by %s",
			 broker_issuer_kid(d->issuer));
}

static void reread(void *arg)
{
	struct daemon_broker *d = arg;

	if (d->issuer)
		reread_issuer(d);
	if (d->door.tls)
		daemon_broker_door_reread(&d->door);
}

static void on_reload(void *arg, int sig)
{
	(void)sig;
	reread(arg);
	log_info("a changed configuration counts from the next start on");
}

static int open_loop(struct daemon_broker *d, struct pc_err *err)
{
	int r = loop_new(&d->loop);

	r = r ?: daemon_signals(d->loop, on_stop, on_reload, d);
	r = r ?: loop_timer_new(d->loop, look_at_drain, d, &d->drain);
	r = r ?: loop_timer_new(d->loop, reread, d, &d->reread);
	return r < 0 ? pc_err_set(err, r, "cannot begin: %s", strerror(-r)) : 0;
}

/* ---- who we are ---- */

/* It executes nothing, as it is asked by machines that may be taken over. */
static int check_programs(const struct daemon_broker *d, struct pc_err *err)
{
	const struct config_credentials *c = &d->options->config->credentials;
	bool runs = kube_config_runs_programs(d->kube_config);

	for (size_t i = 0; i < c->n_node; i++)
		runs = runs || c->node[i].kind == CONFIG_NODE_EXEC ||
		       (c->node[i].kind == CONFIG_NODE_FILE && fetch_profile_runs_program(c, i));
	return runs ? pc_err_set(
			      err, -EINVAL,
			      "the broker executes no programs; remove exec from "
			      "nodeCredentials, credential_process from the profile, or the exec "
			      "plugin from the kubeconfig")
		    : 0;
}

/* ---- the beginning ---- */

static int find_api(struct daemon_broker *d, struct pc_err *err)
{
	const struct daemon_broker_options *o = d->options;
	int r;

	if (o->kubeconfig)
		return kube_config_file(o->kubeconfig, o->context, &d->kube_config, err);
	r = kube_config_in_cluster(NULL, &d->kube_config, err);
	return r == -ENOENT
		       ? pc_err_set(err, r,
				    "no API server: this is no pod with a service account; give "
				    "--kubeconfig FILE")
		       : r;
}

static int make_kube(struct daemon_broker *d, struct pc_err *err)
{
	int r = http_client_new(d->loop, &d->http);

	if (r < 0)
		return pc_err_set(err, r, "no HTTP client: %s", strerror(-r));
	if (kube_config_warning(d->kube_config))
		log_warn("%s", kube_config_warning(d->kube_config));
	r = kube_client_new(d->loop, d->http, TAKE_PTR(d->kube_config), &d->kube);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

static void ignore(void *arg)
{
	(void)arg;
}

static int make_issuer(struct daemon_broker *d, struct pc_err *err)
{
	const struct config *config = d->options->config;
	int r;

	if (config->credentials.source != CONFIG_SOURCE_ISSUER)
		return 0;
	r = broker_issuer_new(config, &d->issuer, err);
	if (r == 0)
		log_info("tokens are issued by %s, and signed by %s", config->broker.issuer.url,
			 broker_issuer_kid(d->issuer));
	return r;
}

static int make_fetch(struct daemon_broker *d, struct pc_err *err)
{
	const struct config_credentials *c = &d->options->config->credentials;
	const struct fetch_options options = {
		.loop = d->loop,
		.http = d->http,
		.kube = d->kube,
		.config = c,
		.issuer = {d->issuer, d->issuer ? broker_issuer_issue : NULL},
		.max_pods = PODS,
		.events = {.arg = d,
			   .said = daemon_service_said,
			   .tried = on_tried,
			   .changed = ignore,
			   .ready = ignore},
	};
	const struct fetch_trust_options trust = {.loop = d->loop,
						  .kube = d->kube,
						  .config = c,
						  .said = daemon_service_said,
						  .changed = take_keys,
						  .arg = d};
	int r = fetch_new(&options, &d->fetch, err);

	if (r < 0)
		return r;
	r = fetch_trust_new(&trust, &d->trust);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

static int make_broker(struct daemon_broker *d, struct pc_err *err)
{
	const struct broker_options options = {
		.loop = d->loop,
		.kube = d->kube,
		.fetch = d->fetch,
		.config = d->options->config,
		.sealing = d->sealing,
		.issuer = d->issuer,
		.events = {.arg = d, .said = daemon_service_said, .answered = on_answered},
	};
	int r = broker_new(&options, &d->broker);

	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

static int open_door(struct daemon_broker *d, struct pc_err *err)
{
	d->door_options = (struct broker_door_options){d->options, d->loop, d->broker};
	d->door.options = &d->door_options;
	loop_timer_every(d->reread, REREAD_NS, REREAD_NS);
	return daemon_broker_door_open(&d->door, err);
}

static int start(struct daemon_broker *d, struct pc_err *err)
{
	int r = find_api(d, err);

	r = r ?: check_programs(d, err);
	r = r ?: daemon_service_drop(d->options->user, daemon_privileges_find_fetch_user, err);
	if (r < 0)
		return r;
	r = log_start(); /* its thread has no more rights than we have now */
	if (r < 0)
		return pc_err_set(err, r, "cannot start a thread: %s", strerror(-r));
	daemon_service_confine("broker");
	r = make_kube(d, err);
	r = r ?: make_issuer(d, err);
	r = r ?: make_fetch(d, err);
	r = r ?: daemon_service_read_sealing(d->options->sealing, &d->sealing, err);
	r = r ?: make_broker(d, err);
	return r ?: open_door(d, err);
}

static void finish(struct daemon_broker *d)
{
	daemon_broker_door_close(&d->door);
	broker_free(d->broker);
	fetch_trust_free(d->trust);
	fetch_free(d->fetch);
	aws_sealing_free(d->sealing);
	broker_issuer_free(d->issuer);
	kube_client_free(d->kube);
	kube_config_free(d->kube_config);
	http_client_free(d->http);
	loop_free(d->loop);
}

int daemon_broker(const struct daemon_broker_options *options, struct pc_err *err)
{
	_cleanup_(finish) struct daemon_broker d = {.options = options};
	int r = open_loop(&d, err);

	if (r < 0)
		return r;
	upstream_wipe_json();
	daemon_privileges_hide_memory();
	r = start(&d, err);
	if (r < 0)
		return r;
	log_info("broker ready");
	return loop_run(d.loop);
}
