// SPDX-License-Identifier: Apache-2.0
#include "kube/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/secret.h"
#include "kube/credentials.h"
#include "kube/internal.h"

#define CONNECT_NS   (10 * CLOCK_S)
#define HTTP_REFUSED 401
#define WHY_SIZE     1024

TAILQ_HEAD(calls, kube_call);

struct kube_client {
	struct loop *loop;
	struct http_client *http;
	struct kube_config *config;
	struct kube_credentials *credentials;
	struct loop_timer *kick; /* somebody waits */
	struct calls waiting; /* to begin: for the loop, or for credentials */
	struct calls begun;
};

struct kube_call {
	struct kube_client *client;
	TAILQ_ENTRY(kube_call) entry;
	bool begun; /* else it waits */
	struct http_call *http; /* of one that has begun */
	struct kube_call_options options; /* whose texts are ours */
	char *method, *url, *accept, *content_type, *body;
	unsigned generation; /* of the credentials that it has */
	bool again; /* the answer is not the caller's; it is asked again */
	bool renewed, reread; /* which happen once each */
};

/* ---- the end of a call ---- */

static void call_free(struct kube_call *call)
{
	TAILQ_REMOVE(call->begun ? &call->client->begun : &call->client->waiting, call, entry);
	http_call_cancel(call->http);
	free(call->method);
	secret_free(call->url);
	free(call->accept);
	free(call->content_type);
	if (call->body)
		explicit_bzero(call->body, call->options.body_len);
	free(call->body);
	free(call);
}

static void end_call(struct kube_call *call, const struct http_result *result)
{
	void (*on_done)(void *, const struct http_result *) = call->options.on_done;
	void *arg = call->options.arg;

	call_free(call);
	on_done(arg, result);
}

/* Without an answer. */
static void fail_call(struct kube_call *call, int error, const char *why)
{
	const struct http_result result = {.error = error, .why = why};

	end_call(call, &result);
}

static const char *next_step(int error)
{
	switch (error) {
	case -ETIMEDOUT:
	case -ECONNREFUSED:
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -ECONNRESET:
		return "; is it up, and can it be reached from here?";
	case -EKEYREJECTED:
		return "; does the certificate-authority belong to it, and is the clock right?";
	case -ENOKEY:
		return "; do client-certificate and client-key belong together?";
	case -EPROTO:
		return "; is this the address of a Kubernetes API server?";
	default:
		return "";
	}
}

static void explain(const struct kube_call *call, const struct http_result *result, char *ret,
		    size_t size)
{
	ret[0] = '\0';
	if (result->error)
		snprintf(ret, size, "API server %s: %s%s", call->client->config->server,
			 result->why, next_step(result->error));
}

/* ---- its answers ---- */

static void wait_again(struct kube_call *call)
{
	struct kube_client *client = call->client;

	TAILQ_REMOVE(&client->begun, call, entry);
	TAILQ_INSERT_TAIL(&client->waiting, call, entry);
	call->begun = false;
	call->again = false;
	loop_timer_after(client->kick, 0);
}

static int on_head(void *arg, const struct http_head *head)
{
	struct kube_call *call = arg;

	if (head->status == HTTP_REFUSED && !call->renewed) {
		call->renewed = true;
		call->again = kube_credentials_refused(call->client->credentials, call->generation);
		if (call->again)
			return -ECANCELED;
	}
	return call->options.on_head ? call->options.on_head(call->options.arg, head) : 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	const struct kube_call *call = arg;

	return call->options.on_data ? call->options.on_data(call->options.arg, data, len) : 0;
}

static bool is_worth_rereading(struct kube_call *call, int error)
{
	if (call->reread || (error != -EKEYREJECTED && error != -ENOKEY))
		return false;
	call->reread = true;
	return kube_credentials_reread(call->client->credentials, call->generation);
}

static void on_done(void *arg, const struct http_result *result)
{
	struct kube_call *call = arg;
	char why[WHY_SIZE];
	struct http_result ours = *result;

	call->http = NULL;
	if (call->again || is_worth_rereading(call, result->error)) {
		wait_again(call);
		return;
	}
	explain(call, result, why, sizeof(why));
	ours.why = why;
	end_call(call, &ours);
}

/* ---- its beginning ---- */

static int request(struct kube_call *call, const struct kube_credentials_now *now,
		   struct http_call **ret, struct pc_err *err)
{
	const struct kube_config *config = call->client->config;
	const struct kube_call_options *o = &call->options;
	const char *headers[] = {call->accept, call->body ? call->content_type : now->authorization,
				 call->body ? now->authorization : NULL, NULL};
	const struct http_tls tls = {
		.ca = now->ca,
		.certificate = now->certificate,
		.key = now->key,
		.server_name = config->tls_server_name,
		.insecure = config->insecure,
	};
	const struct http_call_options options = {
		.method = call->method,
		.url = call->url,
		.headers = headers,
		.body = call->body,
		.body_len = o->body_len,
		.tls = &tls,
		.proxy = config->proxy,
		.connect_ns = CONNECT_NS,
		.idle_ns = o->idle_ns,
		.total_ns = o->total_ns,
		.max_body = o->max_body,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = call,
	};

	return http_call_start(call->client->http, &options, ret, err);
}

/* False: it waits for an exec plugin. */
static bool begin(struct kube_call *call)
{
	struct kube_client *client = call->client;
	struct kube_credentials_now now;
	struct http_call *http = NULL;
	struct pc_err err = {};
	int r = kube_credentials_get(client->credentials, &now, &err);

	if (r == -EINPROGRESS)
		return false;
	r = r ?: request(call, &now, &http, &err);
	if (r < 0) {
		fail_call(call, r, err.msg);
		return true;
	}
	TAILQ_REMOVE(&client->waiting, call, entry);
	TAILQ_INSERT_TAIL(&client->begun, call, entry);
	call->begun = true;
	call->generation = now.generation;
	call->http = http;
	return true;
}

/* A function of a call may start others, without end: they come in the loop's next turn. */
static void begin_all(void *arg)
{
	struct kube_client *client = arg;
	struct kube_call *call;
	size_t n = 0;

	TAILQ_FOREACH(call, &client->waiting, entry)
	n++;
	while (n-- && (call = TAILQ_FIRST(&client->waiting)) && begin(call))
		;
}

static void on_credentials(void *arg, int error, const char *why)
{
	struct kube_client *client = arg;
	struct kube_call *call;

	if (!error) {
		begin_all(client);
		return;
	}
	TAILQ_FOREACH(call, &client->waiting, entry)
	call->again = true; /* they have waited for this; who comes later has not */
	while ((call = TAILQ_FIRST(&client->waiting)) && call->again)
		fail_call(call, error, why);
	loop_timer_after(client->kick, 0);
}

/* ---- life ---- */

static bool is_path(const char *path)
{
	return path && path[0] == '/' && !path[strcspn(path, " \t\r\n#")];
}

static int copy_texts(struct kube_call *call, const struct kube_call_options *o)
{
	const char *server = call->client->config->server;

	call->method = strdup(o->method ?: "GET");
	if (asprintf(&call->url, "%s%s", server, o->path) < 0)
		call->url = NULL;
	if (asprintf(&call->accept, "Accept: %s", o->accept ?: "application/json") < 0)
		call->accept = NULL;
	if (asprintf(&call->content_type, "Content-Type: %s",
		     o->content_type ?: "application/json") < 0)
		call->content_type = NULL;
	call->body = o->body ? malloc(o->body_len + 1) : NULL;
	if (call->body)
		memcpy(call->body, o->body, o->body_len);
	return call->method && call->url && call->accept && call->content_type &&
			       (call->body || !o->body)
		       ? 0
		       : -ENOMEM;
}

int kube_call_start(struct kube_client *client, const struct kube_call_options *options,
		    struct kube_call **ret, struct pc_err *err)
{
	struct kube_call *call;

	if (!is_path(options->path))
		return pc_err_set(err, -EINVAL, "not a path of the Kubernetes API");
	call = calloc(1, sizeof(*call));
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->client = client;
	call->options = *options;
	TAILQ_INSERT_TAIL(&client->waiting, call, entry);
	if (copy_texts(call, options) < 0) {
		call_free(call);
		return pc_err_set(err, -ENOMEM, "no memory");
	}
	loop_timer_after(client->kick, 0);
	*ret = call;
	return 0;
}

struct kube_call *kube_call_cancel(struct kube_call *call)
{
	if (call)
		call_free(call);
	return NULL;
}

const char *kube_client_server(const struct kube_client *client)
{
	return client->config->server;
}

const char *kube_client_authority(const struct kube_client *client)
{
	return kube_credentials_authority(client->credentials);
}

int kube_client_new(struct loop *loop, struct http_client *http, struct kube_config *config,
		    struct kube_client **ret)
{
	struct kube_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client) {
		kube_config_free(config);
		return -ENOMEM;
	}
	*client = (struct kube_client){.loop = loop, .http = http, .config = config};
	TAILQ_INIT(&client->waiting);
	TAILQ_INIT(&client->begun);
	r = kube_credentials_new(loop, config, on_credentials, client, &client->credentials);
	r = r ?: loop_timer_new(loop, begin_all, client, &client->kick);
	if (r < 0)
		kube_client_free(client);
	else
		*ret = client;
	return r;
}

struct kube_client *kube_client_free(struct kube_client *client)
{
	struct kube_call *call;

	if (!client)
		return NULL;
	while ((call = TAILQ_FIRST(&client->waiting)))
		call_free(call);
	while ((call = TAILQ_FIRST(&client->begun)))
		call_free(call);
	kube_credentials_free(client->credentials);
	kube_config_free(client->config);
	loop_timer_free(client->kick);
	free(client);
	return NULL;
}
