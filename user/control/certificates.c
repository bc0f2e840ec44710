// SPDX-License-Identifier: Apache-2.0
#include "control/certificates.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/secret.h"
#include "base/secret_json.h"
#include "base/text.h"
#include "control/chain.h"
#include "kube/objects.h"
#include "kube/project.h"

#define EVERY_MS	 30000
#define SOON_MS		 2000 /* while there is nothing to serve with, and after a conflict */
#define SETTLE_S	 300
#define SERVER_LIFE_S	 (90 * 86400)
#define AUTHORITY_LIFE_S (3650 * 86400)
#define SECRET_MAX	 (256U << 10)
#define VERSION_SIZE	 64
#define BUNDLE_TEXT_MAX	 (128U << 10) /* base64 of what a certificate may have */

static const struct kube_kind kind_secret = {"v1", "secrets", "Secret", true};
static const struct kube_kind kind_configuration = {"admissionregistration.k8s.io/v1",
						    "mutatingwebhookconfigurations",
						    "MutatingWebhookConfiguration", false};
static const struct kube_kind kind_api_service = {"apiregistration.k8s.io/v1", "apiservices",
						  "APIService", false};
static const struct kube_kind kind_config_map = {"v1", "configmaps", "ConfigMap", true};

/* Something that has to trust the authority. */
struct target {
	const struct kube_kind *kind;
	const char *name; /* NULL: there is none */
	const char *name_space; /* NULL: it is in none */
	bool published;
};

enum target_number {
	TARGET_WEBHOOK,
	TARGET_API,
	TARGET_CONFIG_MAP,
	TARGETS,
};

struct control_certificates {
	struct loop *loop;
	struct kube_client *client;
	struct control_certificates_options options;
	struct chain_rules rules;
	struct control_certificates_events events;
	void *arg;
	struct loop_timer *timer;
	struct kube_object_call *call;

	struct chain chain; /* as the Secret has it */
	char version[VERSION_SIZE]; /* of the Secret */
	char *served; /* the certificate that changed() was told */
	enum chain_step step; /* that is being written */
	struct target targets[TARGETS];
	unsigned at; /* the target that is being asked */
	struct control_certificates_state state;
};

static void look(void *arg);
static void next_target(struct control_certificates *c);

/* ---- telling ---- */

__attribute__((format(printf, 2, 3))) static void note(struct control_certificates *c,
						       const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (c->events.note)
		c->events.note(c->arg, line);
}

static void say(struct control_certificates *c, const char *why)
{
	if (!strcmp(c->state.why, why))
		return;
	snprintf(c->state.why, sizeof(c->state.why), "%s", why);
	if (c->events.state)
		c->events.state(c->arg, &c->state);
}

static void again_after(struct control_certificates *c, unsigned ms)
{
	loop_timer_after(c->timer, ms * CLOCK_MS);
}

/* What is served goes on to be served; it is tried again. */
static void fail(struct control_certificates *c, const char *why)
{
	say(c, why);
	again_after(c, c->state.ready || c->options.every_ms < SOON_MS ? c->options.every_ms
								       : SOON_MS);
}

static void ask(struct control_certificates *c, struct kube_object_request *request,
		void (*done)(void *arg, const struct kube_object_result *result))
{
	struct pc_err err = {};

	request->done = done;
	request->arg = c;
	if (kube_object_start(c->client, request, &c->call, &err) < 0)
		fail(c, err.msg);
}

/* ---- the Secret ---- */

static const struct project_shape data_shape[] = {
	{.key = "ca.crt"}, {.key = "ca.key"}, {.key = "tls.crt"}, {.key = "tls.key"}, {}};
static const struct project_shape metadata_shape[] = {{.key = "resourceVersion"}, {}};
static const struct project_shape secret_members[] = {
	{.key = "metadata", .members = metadata_shape}, {.key = "data", .members = data_shape}, {}};
static const struct project_shape secret_shape = {.members = secret_members};

static char *member_of(const json_t *data, const char *key)
{
	const char *text = json_string_value(json_object_get(data, key));
	char *value = NULL;
	size_t len = 0;

	if (!text || base64_decode(text, &value, &len) < 0)
		return NULL;
	return strlen(value) == len ? value : secret_free(value);
}

static void read_secret(struct control_certificates *c, const json_t *object)
{
	const json_t *data = json_object_get(object, "data");
	const char *version = json_string_value(
		json_object_get(json_object_get(object, "metadata"), "resourceVersion"));

	chain_done(&c->chain);
	c->chain.bundle = member_of(data, "ca.crt");
	c->chain.authority_key = member_of(data, "ca.key");
	c->chain.server.certificate = member_of(data, "tls.crt");
	c->chain.server.key = member_of(data, "tls.key");
	snprintf(c->version, sizeof(c->version), "%s", version ?: "");
}

/* A member that is not there is "", which is no certificate either. */
static json_t *encoded(const char *value)
{
	_cleanup_(text_done) struct text t = {.max = BUNDLE_TEXT_MAX};

	base64_encode(&t, value, strlen(value));
	return text_error(&t) < 0 ? NULL : json_stringn(t.data, t.len);
}

static json_t *secret_of(const struct control_certificates *c, const struct chain *chain)
{
	json_t *metadata =
		json_pack("{s:s, s:s, s:{s:s}}", "name", c->options.secret, "namespace",
			  c->options.name_space, "labels", "app.kubernetes.io/name", "podcred");

	if (*c->version)
		json_object_set_new(metadata, "resourceVersion", json_string(c->version));
	return json_pack("{s:s, s:s, s:s, s:o, s:{s:o, s:o, s:o, s:o}}", "apiVersion", "v1", "kind",
			 "Secret", "type", "Opaque", "metadata", metadata, "data", "ca.crt",
			 encoded(chain->bundle), "ca.key", encoded(chain->authority_key), "tls.crt",
			 encoded(chain->server.certificate), "tls.key", encoded(chain->server.key));
}

static void on_written(void *arg, const struct kube_object_result *result)
{
	struct control_certificates *c = arg;

	c->call = NULL;
	switch (result->outcome) {
	case KUBE_DONE:
		c->state.issued++;
		note(c, "certificates: %s, in Secret %s/%s", chain_step_name(c->step),
		     c->options.name_space, c->options.secret);
		again_after(c, 0);
		break;
	case KUBE_EXISTS: /* another replica was first: its own count */
	case KUBE_CONFLICT:
	case KUBE_NOT_FOUND: /* it was deleted meanwhile */
		again_after(c, c->options.every_ms < SOON_MS ? c->options.every_ms : SOON_MS);
		break;
	default:
		fail(c, result->why);
	}
}

static void write_step(struct control_certificates *c, enum chain_step step, time_t now)
{
	_cleanup_(chain_done) struct chain made = {};
	_cleanup_json_ json_t *body = NULL;
	struct kube_object_request request = {
		.verb = *c->version ? KUBE_REPLACE : KUBE_CREATE,
		.kind = &kind_secret,
		.name_space = c->options.name_space,
		.name = *c->version ? c->options.secret : NULL,
		.shape = &secret_shape,
		.max_body = SECRET_MAX,
	};
	int r = chain_do(&c->chain, step, &c->rules, now, &made);

	body = r == 0 ? secret_of(c, &made) : NULL;
	if (!body) {
		fail(c, r == -EINVAL ? "the names of the server are no DNS names"
				     : "no certificate could be made");
		return;
	}
	c->step = step;
	request.body = body;
	ask(c, &request, on_written);
}

/* What is good is served, whatever else may be wrong. */
static void adopt(struct control_certificates *c, time_t now)
{
	const struct crypto_pem *server = &c->chain.server;
	struct crypto_validity validity = {};
	char *copy;

	if (!chain_is_usable(&c->chain, &c->rules, now))
		return;
	c->state.authorities = (unsigned)crypto_bundle_count(c->chain.bundle);
	if (c->served && !strcmp(c->served, server->certificate))
		return;
	copy = strdup(server->certificate);
	if (!copy)
		return;
	free(c->served);
	c->served = copy;
	crypto_pem_validity(server->certificate, &validity);
	c->state.expires = validity.to;
	c->state.ready = true;
	if (c->events.changed)
		c->events.changed(c->arg, server->certificate, server->key);
}

static void on_secret(void *arg, const struct kube_object_result *result)
{
	struct control_certificates *c = arg;
	time_t now = time(NULL);

	c->call = NULL;
	if (result->outcome != KUBE_DONE && result->outcome != KUBE_NOT_FOUND) {
		fail(c, result->why);
		return;
	}
	read_secret(c, result->object);
	adopt(c, now);
	if (!chain_is_usable(&c->chain, &c->rules, now)) {
		write_step(c, chain_next(&c->chain, &c->rules, now, false), now);
		return;
	}
	c->at = 0;
	next_target(c);
}

static void look(void *arg)
{
	struct control_certificates *c = arg;
	struct kube_object_request request = {
		.verb = KUBE_GET,
		.kind = &kind_secret,
		.name_space = c->options.name_space,
		.name = c->options.secret,
		.shape = &secret_shape,
		.max_body = SECRET_MAX,
	};

	if (!c->call)
		ask(c, &request, on_secret);
}

/* ---- whom it is told ---- */

static void finish(struct control_certificates *c)
{
	time_t now = time(NULL);
	enum chain_step step;

	c->state.published = true;
	for (unsigned i = 0; i < TARGETS; i++)
		c->state.published &= c->targets[i].published;
	step = chain_next(&c->chain, &c->rules, now, c->state.published);
	if (step != CHAIN_KEEP && step != CHAIN_WAIT) {
		write_step(c, step, now);
		return;
	}
	if (c->state.published)
		say(c, "");
	again_after(c, c->options.every_ms);
}

static void on_told(void *arg, const struct kube_object_result *result)
{
	struct control_certificates *c = arg;
	struct target *target = &c->targets[c->at];

	c->call = NULL;
	target->published = result->outcome == KUBE_DONE;
	if (target->published)
		note(c, "certificates: %s %s trusts the authority of Secret %s/%s",
		     target->kind->kind, target->name, c->options.name_space, c->options.secret);
	else
		say(c, result->why);
	c->at++;
	next_target(c);
}

/* Whose caBundle it is; -1: none. */
static json_int_t index_of(const struct control_certificates *c, const json_t *object)
{
	const json_t *webhooks = json_object_get(object, "webhooks"), *webhook;
	size_t i;

	json_array_foreach (webhooks, i, webhook) {
		const char *name = json_string_value(json_object_get(webhook, "name"));

		if (name && !strcmp(name, c->options.webhook))
			return (json_int_t)i;
	}
	return -1;
}

/* What it has now, as it is written there: base64, but of a ConfigMap. */
static const char *bundle_in(const struct control_certificates *c, const json_t *object,
			     json_int_t index)
{
	const json_t *webhooks = json_object_get(object, "webhooks");

	switch (c->at) {
	case TARGET_API:
		object = json_object_get(json_object_get(object, "spec"), "caBundle");
		break;
	case TARGET_CONFIG_MAP:
		object = json_object_get(json_object_get(object, "data"), "ca.crt");
		break;
	default:
		object = json_object_get(json_array_get(webhooks, (size_t)index), "clientConfig");
		object = json_object_get(object, "caBundle");
	}
	return json_string_value(object) ?: "";
}

/* By number, as a list has nothing better; the name says that it is still that one. */
static json_t *webhook_patch(const struct control_certificates *c, json_int_t index, json_t *bundle)
{
	char name[64], path[64];

	snprintf(name, sizeof(name), "/webhooks/%lld/name", (long long)index);
	snprintf(path, sizeof(path), "/webhooks/%lld/clientConfig/caBundle", (long long)index);
	return json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:O}]", "op", "test", "path", name, "value",
			 c->options.webhook, "op", "add", "path", path, "value", bundle);
}

static json_t *patch_of(const struct control_certificates *c, json_int_t index, json_t *bundle)
{
	if (c->at == TARGET_WEBHOOK)
		return webhook_patch(c, index, bundle);
	return c->at == TARGET_API ? json_pack("{s:{s:O}}", "spec", "caBundle", bundle)
				   : json_pack("{s:{s:O}}", "data", "ca.crt", bundle);
}

static void tell(struct control_certificates *c, const json_t *object)
{
	struct target *target = &c->targets[c->at];
	json_int_t index = c->at == TARGET_WEBHOOK ? index_of(c, object) : 0;
	_cleanup_json_ json_t *bundle = c->at == TARGET_CONFIG_MAP ? json_string(c->chain.bundle)
								   : encoded(c->chain.bundle);
	_cleanup_json_ json_t *body = NULL;
	struct kube_object_request request = {.verb = c->at == TARGET_WEBHOOK ? KUBE_JSON_PATCH
									      : KUBE_MERGE,
					      .kind = target->kind,
					      .name_space = target->name_space,
					      .name = target->name};

	target->published = index >= 0 && bundle &&
			    !strcmp(bundle_in(c, object, index), json_string_value(bundle));
	if (!target->published && index >= 0 && bundle) {
		body = patch_of(c, index, bundle);
		request.body = body;
		ask(c, &request, on_told);
		return;
	}
	if (index < 0)
		say(c, "the MutatingWebhookConfiguration has no webhook of podcred's name; apply "
		       "the manifests again");
	c->at++;
	next_target(c);
}

static void on_target(void *arg, const struct kube_object_result *result)
{
	struct control_certificates *c = arg;

	c->call = NULL;
	if (result->outcome == KUBE_DONE) {
		tell(c, result->object);
		return;
	}
	/* who is not there need not be told */
	c->targets[c->at].published = result->outcome == KUBE_NOT_FOUND;
	if (!c->targets[c->at].published)
		say(c, result->why);
	c->at++;
	next_target(c);
}

static void next_target(struct control_certificates *c)
{
	struct kube_object_request request = {.verb = KUBE_GET};

	while (c->at < TARGETS && !c->targets[c->at].name)
		c->targets[c->at++].published = true;
	if (c->at == TARGETS) {
		finish(c);
		return;
	}
	request.kind = c->targets[c->at].kind;
	request.name_space = c->targets[c->at].name_space;
	request.name = c->targets[c->at].name;
	ask(c, &request, on_target);
}

/* ---- all of it ---- */

static void set_defaults(struct control_certificates *c)
{
	struct control_certificates_options *o = &c->options;

	o->every_ms = o->every_ms ?: EVERY_MS;
	o->settle_s = o->settle_s ?: SETTLE_S;
	o->server_life_s = o->server_life_s ?: SERVER_LIFE_S;
	o->authority_life_s = o->authority_life_s ?: AUTHORITY_LIFE_S;
	c->rules = (struct chain_rules){
		.authority = "podcred",
		.names = o->names,
		.authority_life = o->authority_life_s,
		.server_life = o->server_life_s,
		.settle = o->settle_s,
	};
	c->targets[TARGET_WEBHOOK] =
		(struct target){.kind = &kind_configuration, .name = o->configuration};
	c->targets[TARGET_API] = (struct target){.kind = &kind_api_service, .name = o->api_service};
	c->targets[TARGET_CONFIG_MAP] = (struct target){
		.kind = &kind_config_map, .name = o->config_map, .name_space = o->name_space};
}

int control_certificates_new(struct loop *loop, struct kube_client *client,
			     const struct control_certificates_options *options,
			     const struct control_certificates_events *events, void *arg,
			     struct control_certificates **ret)
{
	struct control_certificates *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	/* jansson holds the keys on their way from and to the API server */
	secret_json_wipe();
	c->loop = loop;
	c->client = client;
	c->options = *options;
	c->events = *events;
	c->arg = arg;
	set_defaults(c);
	if (loop_timer_new(loop, look, c, &c->timer) < 0) {
		free(c);
		return -ENOMEM;
	}
	again_after(c, 0);
	*ret = c;
	return 0;
}

struct control_certificates *control_certificates_free(struct control_certificates *c)
{
	if (!c)
		return NULL;
	kube_object_cancel(c->call);
	loop_timer_free(c->timer);
	chain_done(&c->chain);
	free(c->served);
	free(c);
	return NULL;
}

const struct control_certificates_state *control_certificates_state(
	const struct control_certificates *c)
{
	return &c->state;
}
