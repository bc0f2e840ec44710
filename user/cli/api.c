// SPDX-License-Identifier: Apache-2.0
#include "cli/api.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "http/client.h"
#include "kube/associations.h"
#include "kube/client.h"
#include "kube/kubeconfig.h"

#define PATIENCE_NS (15 * CLOCK_S)

void cli_api_done(struct cli_api *api, const char *why)
{
	snprintf(api->trouble, sizeof(api->trouble), "%s", why ?: "");
	loop_stop(api->loop, 0);
}

static void on_timeout(void *arg)
{
	cli_api_done(arg, "the API server has not answered in time");
}

int cli_api_wait(struct cli_api *api)
{
	int r;

	loop_timer_after(api->timer, PATIENCE_NS);
	r = loop_run(api->loop);
	loop_timer_cancel(api->timer);
	return r < 0 ? r : 0;
}

/* Takes config. */
static int make(struct cli_api *api, struct kube_config *config)
{
	int r = loop_new(&api->loop);

	if (r == 0)
		r = loop_timer_new(api->loop, on_timeout, api, &api->timer);
	if (r == 0)
		r = http_client_new(api->loop, &api->http);
	if (r < 0) {
		kube_config_free(config);
		return r;
	}
	return kube_client_new(api->loop, api->http, config, &api->client);
}

int cli_api_open(const char *kubeconfig, const char *context, struct cli_api *ret,
		 struct pc_err *err)
{
	struct kube_config *config = NULL;
	int r;

	*ret = (struct cli_api){};
	r = kubeconfig ? kube_config_file(kubeconfig, context, &config, err)
		       : kube_config_in_cluster(NULL, &config, err);
	if (r < 0)
		return r;
	r = make(ret, config);
	return r < 0 ? pc_err_set(err, r, "no memory") : 0;
}

void cli_api_close(struct cli_api *api)
{
	kube_client_free(api->client);
	http_client_free(api->http);
	loop_free(api->loop);
}

/* As kubectl does, but for a list of files, which it would merge. */
static int find_kubeconfig(const char *given, char ret[PATH_MAX], struct pc_err *err)
{
	const char *env = getenv("KUBECONFIG"), *home = getenv("HOME");

	ret[0] = '\0';
	if (given || (env && *env && !strchr(env, ':'))) {
		snprintf(ret, PATH_MAX, "%s", given ?: env);
		return 0;
	}
	if (env && *env)
		return pc_err_set(err, -EINVAL,
				  "KUBECONFIG names several files; give --kubeconfig with one");
	if (home && (size_t)snprintf(ret, PATH_MAX, "%s/.kube/config", home) < PATH_MAX &&
	    access(ret, F_OK) == 0)
		return 0;
	ret[0] = '\0';
	return 0;
}

int cli_api_open_any(const char *given, const char *context, struct cli_api *ret,
		     struct pc_err *err)
{
	char path[PATH_MAX];
	int r = find_kubeconfig(given, path, err);

	*ret = (struct cli_api){};
	if (r < 0)
		return r;
	r = cli_api_open(path[0] ? path : NULL, context, ret, err);
	return r == -ENOENT && !path[0]
		       ? pc_err_set(err, r, "there is no kubeconfig; give --kubeconfig")
		       : r;
}

static void on_answer(void *arg, const struct kube_object_result *result)
{
	struct cli_answer *answer = arg;

	answer->outcome = result->outcome;
	answer->object = json_incref((json_t *)result->object);
	snprintf(answer->why, sizeof(answer->why), "%s", result->why);
	cli_api_done(answer->api, NULL);
}

void cli_answer_done(struct cli_answer *answer)
{
	json_decref(answer->object);
	answer->object = NULL;
}

int cli_api_ask(struct cli_api *api, struct kube_object_request request, struct cli_answer *ret,
		struct pc_err *err)
{
	struct kube_object_call *call;
	int r;

	cli_answer_done(ret);
	ret->api = api;
	request.done = on_answer;
	request.arg = ret;
	r = kube_object_start(api->client, &request, &call, err);
	if (r < 0)
		return r;
	r = cli_api_wait(api);
	if (r == 0 && !api->trouble[0])
		return 0;
	kube_object_cancel(call);
	return pc_err_set(err, -EIO, "%s", api->trouble[0] ? api->trouble : strerror(-r));
}

static void on_listed(void *arg)
{
	cli_api_done(arg, NULL);
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	if (*state->why)
		cli_api_done(arg, state->why);
}

int cli_api_objects(struct cli_api *api, enum cred_source default_source,
		    struct kube_associations **ret)
{
	static const struct kube_associations_events events = {.listed = on_listed,
							       .state = on_state};
	int r = kube_associations_new(api->loop, api->client, default_source, NULL, &events, api,
				      ret);

	return r < 0 ? r : cli_api_wait(api);
}
