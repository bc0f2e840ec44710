// SPDX-License-Identifier: Apache-2.0
#include "kube/pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/loop.h"
#include "kube/client.h"
#include "kube/pod_json.h"

/* Until there is a node or a pod. */
#define ASK_AGAIN_NS (30 * CLOCK_S)

struct kube_pods {
	struct kube_client *client;
	struct kube_watch *watch;
	struct kube_pods_events events;
	void *arg;
	struct loop_timer *timer;
	struct kube_call *call; /* is there such a node? */
	unsigned status; /* of the answer */
	bool no_node; /* it said so, and there was no pod since */
	struct kube_watch_state state; /* the watch's, with what is wrong here */
	char node[];
};

static const struct project_shape members[] = {
	{.key = "metadata", .members = kube_pod_json_metadata},
	{.key = "spec", .members = kube_pod_json_spec},
	{.key = "status", .members = kube_pod_json_status},
	{}};
static const struct project_shape shape = {.members = members};

const struct kube_watch_state *kube_pods_state(struct kube_pods *pods)
{
	pods->state = *kube_watch_state(pods->watch);
	if (pods->no_node && !pods->state.why[0])
		snprintf(pods->state.why, sizeof(pods->state.why),
			 "the API server knows no node \"%s\", and no pods of it; give the name "
			 "that "
			 "kubectl get nodes has",
			 pods->node);
	return &pods->state;
}

static void tell(struct kube_pods *pods)
{
	if (pods->events.state)
		pods->events.state(pods->arg, kube_pods_state(pods));
}

static void set_no_node(struct kube_pods *pods, bool no_node)
{
	if (pods->no_node == no_node)
		return;
	pods->no_node = no_node;
	tell(pods);
}

/* ---- is there such a node? ---- */

static int on_head(void *arg, const struct http_head *head)
{
	struct kube_pods *pods = arg;

	pods->status = head->status;
	return 0;
}

/* Nothing else is learned from it: asking for a node may be forbidden. */
static void on_done(void *arg, const struct http_result *result)
{
	struct kube_pods *pods = arg;
	bool empty = kube_watch_state(pods->watch)->objects == 0;

	pods->call = NULL;
	set_no_node(pods, empty && !result->error && pods->status == 404);
	if (pods->no_node)
		loop_timer_after(pods->timer, ASK_AGAIN_NS);
}

static void ask_node(void *arg)
{
	struct kube_pods *pods = arg;
	char path[POD_NAME_SIZE + 32];
	struct kube_call_options options = {.path = path,
					    .total_ns = ASK_AGAIN_NS,
					    .on_head = on_head,
					    .on_done = on_done,
					    .arg = pods};

	if (pods->call || kube_watch_state(pods->watch)->objects)
		return;
	snprintf(path, sizeof(path), "/api/v1/nodes/%s", pods->node);
	pods->status = 0;
	if (kube_call_start(pods->client, &options, &pods->call, NULL) < 0)
		pods->call = NULL; /* the next list tries again */
}

/* ---- pods ---- */

static int check_node(const struct kube_pods *pods, const json_t *object, struct pc_err *err)
{
	const char *node =
		json_string_value(json_object_get(json_object_get(object, "spec"), "nodeName"));
	char quoted[POD_JSON_QUOTE_SIZE];

	if (node && strcmp(node, pods->node) == 0)
		return 0;
	return pc_err_set(err, -EINVAL,
			  "spec.nodeName is %s, not %s, which was asked for; is there a "
			  "proxy in front of the API server?",
			  node ? kube_pod_json_quote(node, quoted) : "missing", pods->node);
}

static int on_put(void *arg, const struct kube_object_id *id, const json_t *object,
		  struct pc_err *err)
{
	struct kube_pods *pods = arg;
	struct pod_name pod;
	int r = check_node(pods, object, err);

	(void)id; /* the decoder reads the same members, and checks them */
	if (r == 0)
		r = kube_pod_json_decode(object, &pod, err);
	if (r < 0)
		return r;
	r = pods->events.put(pods->arg, &pod);
	if (r < 0)
		pc_err_set(err, r, "cannot take %s/%s: %s", pod.name_space, pod.name, strerror(-r));
	else
		set_no_node(pods, false);
	pod_name_done(&pod);
	return r == -EINVAL ? -EIO : r; /* it is not the object's fault */
}

/* The same pod as in put(), so its uid is one. */
static void on_gone(void *arg, const struct kube_object_id *id)
{
	struct kube_pods *pods = arg;
	char uid[POD_UID_SIZE];
	bool is_static;

	if (pod_uid_canonical(id->uid, strlen(id->uid), '-', uid, &is_static) == 0)
		pods->events.gone(pods->arg, uid);
}

static void on_listed(void *arg)
{
	struct kube_pods *pods = arg;

	pods->events.listed(pods->arg);
	ask_node(pods);
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	(void)state;
	tell(arg);
}

/* ---- from outside ---- */

struct kube_pods *kube_pods_free(struct kube_pods *pods)
{
	if (!pods)
		return NULL;
	kube_watch_free(pods->watch);
	kube_call_cancel(pods->call);
	loop_timer_free(pods->timer);
	free(pods);
	return NULL;
}

static int start(struct kube_pods *pods, struct loop *loop, const struct kube_watch_options *times)
{
	static const struct kube_watch_events events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = on_state};
	struct kube_watch_options options = times ? *times : (struct kube_watch_options){};
	char query[POD_NAME_SIZE + 64];
	int r = loop_timer_new(loop, ask_node, pods, &pods->timer);

	if (r < 0)
		return r;
	snprintf(query, sizeof(query), "fieldSelector=spec.nodeName%%3D%s", pods->node);
	options.path = "/api/v1/pods";
	options.query = query;
	options.resource = "pods";
	options.shape = &shape;
	return kube_watch_new(loop, pods->client, &options, &events, pods, &pods->watch);
}

int kube_pods_new(struct loop *loop, struct kube_client *client, const char *node,
		  const struct kube_watch_options *times, const struct kube_pods_events *events,
		  void *arg, struct kube_pods **ret, struct pc_err *err)
{
	size_t len = strlen(node);
	struct kube_pods *pods;
	char quoted[POD_JSON_QUOTE_SIZE];
	int r;

	if (!k8s_is_subdomain(node, len))
		return pc_err_set(
			err, -EINVAL,
			"%s is no name of a node (1 to 253 of a-z 0-9 - .); give the one that "
			"kubectl get nodes has",
			kube_pod_json_quote(node, quoted));
	pods = calloc(1, sizeof(*pods) + len + 1);
	if (!pods)
		return pc_err_set(err, -ENOMEM, "no memory");
	memcpy(pods->node, node, len + 1);
	pods->client = client;
	pods->events = *events;
	pods->arg = arg;
	r = start(pods, loop, times);
	if (r < 0) {
		kube_pods_free(pods);
		return pc_err_set(err, r, "no memory");
	}
	*ret = pods;
	return 0;
}
