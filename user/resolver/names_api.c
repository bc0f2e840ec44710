// SPDX-License-Identifier: Apache-2.0
/*
 * Names from the Kubernetes API, which says what changes. A pod that it does not know any more may
 * still end: its cgroups keep their name. When the API is away, what was known stays.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/plural.h"
#include "http/client.h"
#include "identity/registry.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "resolver/resolver.h"

/* ---- which API, and whose pods ---- */

static int find_config(const struct resolver_source *source, struct kube_config **ret,
		       struct pc_err *err)
{
	return source->kubeconfig ? kube_config_file(source->kubeconfig, source->context, ret, err)
				  : kube_config_in_cluster(NULL, ret, err);
}

int resolver_api_check(const struct resolver_source *source, struct pc_err *err)
{
	_cleanup_(kube_config_freep) struct kube_config *config = NULL;

	return find_config(source, &config, err);
}

/* As the kubelet names its node when nobody tells it otherwise. */
static void host_name(char *buf, size_t size)
{
	struct utsname name;

	snprintf(buf, size, "%s", uname(&name) == 0 ? name.nodename : "");
	for (char *c = buf; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

static void find_node(const struct resolver_source *source, char *buf, size_t size)
{
	const char *node = source->node ?: getenv("NODE_NAME");

	if (node && *node)
		snprintf(buf, size, "%s", node);
	else
		host_name(buf, size);
}

/* ---- what others may know ---- */

static void tell(struct resolver *res, const struct kube_watch_state *state)
{
	struct podcred_source *source = &res->source;

	source->in_touch = state->in_touch;
	source->since_ns = state->since_ns;
	source->lists = state->lists;
	source->watches = state->watches;
	source->events = state->events;
	source->bookmarks = state->bookmarks;
	snprintf(source->why, sizeof(source->why), "%s", state->why);
	for (size_t i = 0; i < KUBE_WATCH_ERRORS && i < PODCRED_SOURCE_ERRORS; i++) {
		snprintf(source->errors[i].name, sizeof(source->errors[i].name), "%s",
			 kube_watch_error_name((enum kube_watch_error)i));
		source->errors[i].n = state->errors[i];
	}
	resolver_source_tell(res, state->objects, state->unusable, state->heard_ns);
}

/* Times and counters change without a word. */
static void tell_now(void *arg)
{
	struct resolver *res = arg;

	tell(res, kube_pods_state(res->api.pods));
}

/* ---- what is said ---- */

/* What has gone wrong since the last time, a bit for each class. */
static unsigned new_classes(struct resolve_api *api, const struct kube_watch_state *state)
{
	unsigned classes = 0;

	for (size_t i = 0; i < KUBE_WATCH_ERRORS; i++) {
		if (state->errors[i] != api->errors[i])
			classes |= 1U << i;
		api->errors[i] = state->errors[i];
	}
	return classes;
}

/* While it is out of touch each kind of trouble is said once, however often it comes. */
static bool is_news(struct resolve_api *api, const struct kube_watch_state *state)
{
	unsigned classes = new_classes(api, state);
	bool another = strcmp(state->why, api->said) != 0;

	if (!*state->why)
		*api->said = '\0';
	if (state->in_touch)
		api->classes = 0;
	if (!*state->why || !another)
		return false;
	if (!state->in_touch && api->lost && !(classes & ~api->classes))
		return false;
	api->classes |= classes;
	snprintf(api->said, sizeof(api->said), "%s", state->why);
	return true;
}

static void say_trouble(struct resolver *res, const struct kube_watch_state *state)
{
	if (!is_news(&res->api, state))
		return;
	res->api.lost |= !state->in_touch;
	log_warn("%s%s", state->why,
		 state->in_touch ? ""
				 : "; the names known before stay, new pods get none until it "
				   "answers");
}

static void say_back(struct resolver *res, const struct kube_watch_state *state)
{
	struct resolve_api *api = &res->api;

	if (!state->in_touch || (api->listed && !api->lost))
		return;
	log_info("%s %zu pod%s of node %s by %s", api->listed ? "in touch again:" : "names of",
		 state->objects, plural(state->objects), res->source.node, res->source.from);
	api->listed = true;
	api->lost = false;
}

static void say_unusable(struct resolver *res, const struct kube_watch_state *state)
{
	struct resolve_api *api = &res->api;

	if (strcmp(api->unusable, state->unusable_why) == 0)
		return;
	snprintf(api->unusable, sizeof(api->unusable), "%s", state->unusable_why);
	if (state->unusable)
		log_warn("%s: skipped, and without credentials: %zu of %zu pods: %s",
			 res->source.from, state->unusable, state->objects + state->unusable,
			 state->unusable_why);
	else
		log_info("%s: every pod can be used again", res->source.from);
}

/* ---- what the API says ---- */

/* A uid that would become another pod is none of the API's doing: the pod stays what it was. */
static int on_put(void *arg, const struct pod_name *pod)
{
	struct resolver *res = arg;
	struct pc_err err = {};
	int r = registry_put_name(res->registry, pod, &err);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		res->source.refused++;
		log_warn("%s: %s", res->source.from, err.msg);
	}
	return 0;
}

static void on_gone(void *arg, const char *uid)
{
	const struct resolver *res = arg;

	registry_remove_name(res->registry, uid);
}

static void on_listed(void *arg)
{
	const struct resolver *res = arg;

	registry_names_complete(res->registry); /* what fails is offered again */
	tell_now(arg);
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	struct resolver *res = arg;

	say_back(res, state);
	say_trouble(res, state);
	say_unusable(res, state);
	tell(res, state);
}

/* ---- life ---- */

static int connect_api(struct resolver *res, struct pc_err *err)
{
	struct kube_config *config;
	const char *warning;
	int r = find_config(&res->options->source, &config, err);

	if (r < 0)
		return r;
	warning = kube_config_warning(config);
	if (warning)
		log_warn("%s", warning);
	r = http_client_new(res->loop, &res->api.http);
	if (r < 0) {
		kube_config_free(config);
		return pc_err_set(err, r, "cannot make an HTTP client: %s", strerror(-r));
	}
	return kube_client_new(res->loop, res->api.http, config, &res->api.client);
}

int resolver_api_start(struct resolver *res, struct pc_err *err)
{
	static const struct kube_pods_events events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = on_state};
	int r = connect_api(res, err);

	if (r < 0)
		return r;
	res->source.kind = PODCRED_SOURCE_API;
	snprintf(res->source.from, sizeof(res->source.from), "%s",
		 kube_client_server(res->api.client));
	find_node(&res->options->source, res->source.node, sizeof(res->source.node));
	r = kube_pods_new(res->loop, res->api.client, res->source.node, NULL, &events, res,
			  &res->api.pods, err);
	if (r < 0)
		return r;
	tell_now(res);
	return loop_every(res->loop, 0, RESOLVE_SOON_NS, tell_now, res, NULL);
}

void resolver_api_stop(struct resolver *res)
{
	res->api.pods = kube_pods_free(res->api.pods);
	res->api.client = kube_client_free(res->api.client);
	res->api.http = http_client_free(res->api.http);
}
