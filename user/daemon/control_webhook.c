// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_webhook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/webhook.h"
#include "control/admission.h"
#include "control/certificates.h"
#include "http/desk.h"
#include "http/tls.h"

/* As the manifests have them. */
#define CONFIGURATION	"podcred"
#define WEBHOOK		"pods.podcred.io"
#define API_SERVICE	"v1.eks.podcred.io"
#define BROKER_BUNDLE	"podcred-broker-ca"
#define SERVICE		"podcred-control"
#define BROKER_SERVICE	"podcred-broker"
#define BROKER_SETTLE_S 900 /* until the kubelet has renewed what the nodes have mounted */

#define SERVER_NAME_SIZE (K8S_SUBDOMAIN_SIZE + K8S_LABEL_SIZE)

/* "NAME.NAMESPACE.svc", and the same with the usual domain of clusters. */
struct names {
	char text[2][SERVER_NAME_SIZE + 16];
	const char *list[3];
};

/* Certificates of one server. */
struct pair {
	const char *whose;
	struct names names;
	struct daemon_secret secret;
	struct control_certificates *certificates;
	struct http_tls *tls; /* NULL: somebody else serves with them */
};

struct daemon_control_webhook {
	struct control_admission admission;
	struct pair control, broker;
	uint64_t answered_ns; /* all reviews together */
};

int daemon_secret_parse(const char *text, struct daemon_secret *ret)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : 0;

	if (!slash || !k8s_is_label(text, len) || !k8s_is_subdomain(slash + 1, strlen(slash + 1)))
		return -EINVAL;
	snprintf(ret->name_space, sizeof(ret->name_space), "%.*s", (int)len, text);
	snprintf(ret->name, sizeof(ret->name), "%s", slash + 1);
	return 0;
}

/* ---- certificates ---- */

static void on_changed(void *arg, const char *certificate, const char *key)
{
	struct pair *pair = arg;
	struct pc_err err = {};

	if (pair->tls && http_tls_set_pair(pair->tls, certificate, key, &err) < 0)
		log_error("%s", err.msg);
}

static void on_note(void *arg, const char *line)
{
	const struct pair *pair = arg;

	log_info("%s: %s", pair->whose, line);
}

static void on_certificates(void *arg, const struct control_certificates_state *state)
{
	const struct pair *pair = arg;

	if (*state->why)
		log_warn("certificates of %s: %s", pair->whose, state->why);
	else
		log_info("certificates of %s: all is well", pair->whose);
}

static void set_names(struct pair *pair, const char *service, const char *server_name)
{
	struct names *names = &pair->names;

	if (server_name)
		snprintf(names->text[0], sizeof(names->text[0]), "%.300s", server_name);
	else
		snprintf(names->text[0], sizeof(names->text[0]), "%s.%s.svc", service,
			 pair->secret.name_space);
	snprintf(names->text[1], sizeof(names->text[1]), "%.300s.cluster.local", names->text[0]);
	names->list[0] = names->text[0];
	names->list[1] = names->text[1];
}

static int start_pair(struct pair *pair, const struct daemon_control_webhook_options *o,
		      const struct control_certificates_options *targets)
{
	static const struct control_certificates_events events = {
		.changed = on_changed, .note = on_note, .state = on_certificates};
	struct control_certificates_options options = *targets;

	if (!*pair->secret.name_space)
		return 0;
	options.name_space = pair->secret.name_space;
	options.secret = pair->secret.name;
	options.names = pair->names.list;
	return control_certificates_new(o->loop, o->kube, &options, &events, pair,
					&pair->certificates);
}

static int start_certificates(struct daemon_control_webhook *w,
			      const struct daemon_control_webhook_options *o)
{
	const struct control_certificates_options own = {.configuration = CONFIGURATION,
							 .webhook = WEBHOOK,
							 .api_service = API_SERVICE},
						  broker = {.config_map = BROKER_BUNDLE,
							    .settle_s = BROKER_SETTLE_S};

	w->control = (struct pair){.whose = "control", .secret = o->certificates, .tls = o->tls};
	w->broker = (struct pair){.whose = "broker", .secret = o->broker_certificates};
	set_names(&w->control, SERVICE, o->server_name);
	set_names(&w->broker, BROKER_SERVICE, NULL);
	return start_pair(&w->control, o, &own) ?: start_pair(&w->broker, o, &broker);
}

/* ---- reviews ---- */

static void audit(const struct control_outcome *o)
{
	bool quiet = o->verdict == CONTROL_NO_ASSOCIATION || o->verdict == CONTROL_FOREIGN;
	bool bad = o->verdict == CONTROL_UNREADABLE || o->verdict == CONTROL_FAILED;

	if (!quiet)
		log_event(bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "reviewed", "result",
			  control_verdict_name(o->verdict), "namespace", o->name_space, "pod",
			  o->pod, "service_account", o->service_account, "why",
			  *o->why ? o->why : NULL, NULL);
}

bool daemon_control_webhook_handle(struct daemon_control_webhook *w, struct http_ticket *ticket)
{
	const struct http_ask *ask = http_ticket_ask(ticket);
	struct http_response resp = {};
	struct control_outcome outcome;

	if (!control_admission_is(ask))
		return false;
	control_admission_answer(&w->admission, ask, &resp, &outcome);
	w->answered_ns += clock_mono_ns() - ask->since_ns;
	http_ticket_answer(ticket, &resp);
	audit(&outcome);
	return true;
}

/* ---- all of it ---- */

int daemon_control_webhook_new(const struct daemon_control_webhook_options *o,
			       struct daemon_control_webhook **ret, struct pc_err *err)
{
	struct daemon_control_webhook *w = calloc(1, sizeof(*w));
	const struct config_webhook *c = o->config;
	int r = w ? start_certificates(w, o) : -ENOMEM;

	if (r < 0) {
		daemon_control_webhook_free(w);
		return pc_err_set(err, r, "no memory");
	}
	w->admission.inject = (struct control_inject){
		.style = c->style == CONFIG_WEBHOOK_WEB_IDENTITY ? CONTROL_STYLE_WEB_IDENTITY
								 : CONTROL_STYLE_CONTAINER,
		.override_irsa = c->override_irsa,
		.ipv6 = c->ipv6,
		.region = *c->region ? c->region : NULL,
		.expiration = c->expiration,
	};
	w->admission.find = control_find_association;
	w->admission.arg = o->api;
	*ret = w;
	return 0;
}

void daemon_control_webhook_free(struct daemon_control_webhook *w)
{
	if (!w)
		return;
	control_certificates_free(w->control.certificates);
	control_certificates_free(w->broker.certificates);
	free(w);
}

bool daemon_control_webhook_is_ready(struct daemon_control_webhook *w, const char **ret_why)
{
	const struct control_certificates *own = w->control.certificates;

	if (!own || control_certificates_state(own)->ready)
		return true;
	*ret_why = "it has no certificate yet\n";
	return false;
}

static void pair_metrics(const struct pair *pair, struct text *ret)
{
	const struct control_certificates_state *state;

	if (!pair->certificates)
		return;
	state = control_certificates_state(pair->certificates);
	text_addf(ret, "podcred_control_certificate_expiry_timestamp_seconds{server=\"%s\"} %lld\n",
		  pair->whose, (long long)state->expires);
	text_addf(ret, "podcred_control_certificate_published{server=\"%s\"} %d\n", pair->whose,
		  state->published);
}

void daemon_control_webhook_metrics(struct daemon_control_webhook *w, struct text *ret)
{
	text_add(ret, "# HELP podcred_control_reviews_total Pods that the API server asked about.\n"
		      "# TYPE podcred_control_reviews_total counter\n");
	for (unsigned i = 0; i < CONTROL_VERDICTS; i++)
		text_addf(ret, "podcred_control_reviews_total{result=\"%s\"} %llu\n",
			  control_verdict_name(i), (unsigned long long)w->admission.counts[i]);
	text_addf(ret, "# HELP podcred_control_review_seconds_total Time that they took.\n"
		       "# TYPE podcred_control_review_seconds_total counter\n");
	text_addf(ret, "podcred_control_review_seconds_total %.6f\n", (double)w->answered_ns / 1e9);
	text_add(ret, "# HELP podcred_control_certificate_expiry_timestamp_seconds When it ends.\n"
		      "# TYPE podcred_control_certificate_expiry_timestamp_seconds gauge\n");
	text_add(ret, "# HELP podcred_control_certificate_published Whether clients trust it.\n"
		      "# TYPE podcred_control_certificate_published gauge\n");
	pair_metrics(&w->control, ret);
	pair_metrics(&w->broker, ret);
}
