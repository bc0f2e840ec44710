// SPDX-License-Identifier: Apache-2.0
#include "kube/cluster_pods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/keyed.h"
#include "base/pack.h"
#include "identity/pod.h"
#include "kube/known.h"

struct pod_item {
	struct keyed key; /* uid */
	struct kube_cluster_pod pod;
	char texts[];
};

struct node_item {
	struct keyed key; /* name */
	const char *uid;
	char texts[];
};

struct kube_cluster_pods {
	struct kube_watch *pod_watch, *node_watch;
	struct kube_cluster_pods_events events;
	void *arg;
	void *pods, *nodes; /* trees */
};

static const struct project_shape metadata_members[] = {
	{.key = "uid"}, {.key = "namespace"}, {.key = "name"}, {.key = "resourceVersion"}, {}};
static const struct project_shape spec_members[] = {
	{.key = "nodeName"}, {.key = "serviceAccountName"}, {}};
static const struct project_shape status_members[] = {{.key = "phase"}, {}};
static const struct project_shape pod_members[] = {{.key = "metadata", .members = metadata_members},
						   {.key = "spec", .members = spec_members},
						   {.key = "status", .members = status_members},
						   {}};
static const struct project_shape pod_shape = {.members = pod_members};
static const struct project_shape node_members[] = {
	{.key = "metadata", .members = metadata_members}, {}};
static const struct project_shape node_shape = {.members = node_members};

/* ---- pods ---- */

/* "": there is none. NULL: what is there is no such name. */
static const char *name_at(const json_t *object, const char *in, const char *key)
{
	const json_t *value = json_object_get(json_object_get(object, in), key);
	const char *text = json_string_value(value);

	if (!value || json_is_null(value))
		return "";
	return text && (!*text || k8s_is_subdomain(text, strlen(text))) ? text : NULL;
}

static bool has_ended(const json_t *object)
{
	const char *phase =
		json_string_value(json_object_get(json_object_get(object, "status"), "phase"));

	return phase && (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"));
}

static struct pod_item *pod_item_new(const struct kube_cluster_pod *pod)
{
	struct pod_item *item = malloc(sizeof(*item) + pack_size(pod->uid) +
				       pack_size(pod->name_space) + pack_size(pod->name) +
				       pack_size(pod->service_account) + pack_size(pod->node));
	char *at;

	if (!item)
		return NULL;
	at = item->texts;
	item->pod = (struct kube_cluster_pod){
		.uid = pack_put(&at, pod->uid),
		.name_space = pack_put(&at, pod->name_space),
		.name = pack_put(&at, pod->name),
		.service_account = pack_put(&at, pod->service_account),
		.node = pack_put(&at, pod->node),
		.ended = pod->ended,
	};
	item->key.key = item->pod.uid;
	return item;
}

static int decode_pod(const struct kube_object_id *id, const json_t *object, char uid[POD_UID_SIZE],
		      struct kube_cluster_pod *ret, struct pc_err *err)
{
	bool is_static;

	*ret = (struct kube_cluster_pod){
		.uid = uid,
		.name_space = id->name_space,
		.name = id->name,
		.service_account = name_at(object, "spec", "serviceAccountName"),
		.node = name_at(object, "spec", "nodeName"),
		.ended = has_ended(object),
	};
	if (pod_uid_canonical(id->uid, strlen(id->uid), '-', uid, &is_static) < 0)
		return pc_err_set(err, -EINVAL, "its uid is none");
	if (!ret->service_account || !ret->node)
		return pc_err_set(err, -EINVAL, "its %s is no name",
				  ret->node ? "spec.serviceAccountName" : "spec.nodeName");
	return 0;
}

static void forget_pod(struct kube_cluster_pods *pods, struct pod_item *item)
{
	keyed_remove(&pods->pods, item);
	free(item);
}

static int on_pod(void *arg, const struct kube_object_id *id, const json_t *object,
		  struct pc_err *err)
{
	struct kube_cluster_pods *pods = arg;
	struct pod_item *item, *old;
	struct kube_cluster_pod pod;
	char uid[POD_UID_SIZE];
	bool was_ended;
	int r = decode_pod(id, object, uid, &pod, err);

	if (r < 0)
		return r;
	old = keyed_find(&pods->pods, uid);
	was_ended = old && old->pod.ended;
	item = pod_item_new(&pod);
	if (!item)
		return pc_err_set(err, -ENOMEM, "no memory");
	if (old)
		forget_pod(pods, old);
	if (keyed_add(&pods->pods, item) < 0) {
		free(item);
		return pc_err_set(err, -ENOMEM, "no memory");
	}
	if (pod.ended && !was_ended)
		pods->events.ended(pods->arg, uid);
	return 0;
}

static void on_pod_gone(void *arg, const struct kube_object_id *id)
{
	struct kube_cluster_pods *pods = arg;
	struct pod_item *item;
	char uid[POD_UID_SIZE];
	bool is_static;

	if (pod_uid_canonical(id->uid, strlen(id->uid), '-', uid, &is_static) < 0)
		return;
	item = keyed_find(&pods->pods, uid);
	if (!item)
		return;
	forget_pod(pods, item);
	pods->events.ended(pods->arg, uid);
}

static void on_listed(void *arg)
{
	(void)arg;
}

static void on_pod_state(void *arg, const struct kube_watch_state *state)
{
	struct kube_cluster_pods *pods = arg;

	pods->events.state(pods->arg, "pods", state);
}

/* ---- nodes ---- */

static struct node_item *node_item_new(const struct kube_object_id *id)
{
	struct node_item *item = malloc(sizeof(*item) + pack_size(id->name) + pack_size(id->uid));
	char *at;

	if (!item)
		return NULL;
	at = item->texts;
	item->key.key = pack_put(&at, id->name);
	item->uid = pack_put(&at, id->uid);
	return item;
}

static void forget_node(struct kube_cluster_pods *pods, struct node_item *item)
{
	keyed_remove(&pods->nodes, item);
	free(item);
}

/* Nodes say a lot all the time, of which nothing counts here. */
static int on_node(void *arg, const struct kube_object_id *id, const json_t *object,
		   struct pc_err *err)
{
	struct kube_cluster_pods *pods = arg;
	struct node_item *old = keyed_find(&pods->nodes, id->name), *item;

	(void)object;
	if (old && !strcmp(old->uid, id->uid))
		return 0;
	item = node_item_new(id);
	if (!item)
		return pc_err_set(err, -ENOMEM, "no memory");
	if (old)
		forget_node(pods, old);
	if (keyed_add(&pods->nodes, item) == 0)
		return 0;
	free(item);
	return pc_err_set(err, -ENOMEM, "no memory");
}

/* Another node of that name may have come before this one was found to be gone. */
static void on_node_gone(void *arg, const struct kube_object_id *id)
{
	struct kube_cluster_pods *pods = arg;
	struct node_item *item = keyed_find(&pods->nodes, id->name);

	if (item && !strcmp(item->uid, id->uid))
		forget_node(pods, item);
}

static void on_node_state(void *arg, const struct kube_watch_state *state)
{
	struct kube_cluster_pods *pods = arg;

	pods->events.state(pods->arg, "nodes", state);
}

/* ---- from outside ---- */

const struct kube_cluster_pod *kube_cluster_pods_find(const struct kube_cluster_pods *pods,
						      const char *uid)
{
	const struct pod_item *item = keyed_find(&pods->pods, uid);

	return item ? &item->pod : NULL;
}

const char *kube_cluster_pods_node(const struct kube_cluster_pods *pods, const char *name)
{
	const struct node_item *item = keyed_find(&pods->nodes, name);

	return item ? item->uid : NULL;
}

const struct kube_watch_state *kube_cluster_pods_state(const struct kube_cluster_pods *pods)
{
	return kube_watch_state(pods->pod_watch);
}

const struct kube_watch_state *kube_cluster_pods_node_state(const struct kube_cluster_pods *pods)
{
	return kube_watch_state(pods->node_watch);
}

bool kube_cluster_pods_listed(const struct kube_cluster_pods *pods)
{
	return kube_watch_state(pods->pod_watch)->listed &&
	       kube_watch_state(pods->node_watch)->listed;
}

struct kube_cluster_pods *kube_cluster_pods_free(struct kube_cluster_pods *pods)
{
	if (!pods)
		return NULL;
	kube_watch_free(pods->pod_watch);
	kube_watch_free(pods->node_watch);
	tdestroy(pods->pods, free);
	tdestroy(pods->nodes, free);
	free(pods);
	return NULL;
}

static int follow_pods(struct kube_cluster_pods *pods, struct loop *loop,
		       struct kube_client *client, struct kube_watch_options options)
{
	static const struct kube_watch_events events = {
		.put = on_pod, .gone = on_pod_gone, .listed = on_listed, .state = on_pod_state};

	options.path = "/api/v1/pods";
	options.resource = "pods";
	options.shape = &pod_shape;
	return kube_watch_new(loop, client, &options, &events, pods, &pods->pod_watch);
}

static int follow_nodes(struct kube_cluster_pods *pods, struct loop *loop,
			struct kube_client *client, struct kube_watch_options options)
{
	static const struct kube_watch_events events = {
		.put = on_node, .gone = on_node_gone, .listed = on_listed, .state = on_node_state};

	options.path = "/api/v1/nodes";
	options.resource = "nodes";
	options.shape = &node_shape;
	return kube_watch_new(loop, client, &options, &events, pods, &pods->node_watch);
}

int kube_cluster_pods_new(struct loop *loop, struct kube_client *client,
			  const struct kube_watch_options *times,
			  const struct kube_cluster_pods_events *events, void *arg,
			  struct kube_cluster_pods **ret)
{
	const struct kube_watch_options options = times ? *times : (struct kube_watch_options){};
	struct kube_cluster_pods *pods = calloc(1, sizeof(*pods));
	int r;

	if (!pods)
		return -ENOMEM;
	pods->events = *events;
	pods->arg = arg;
	r = follow_pods(pods, loop, client, options);
	r = r ?: follow_nodes(pods, loop, client, options);
	if (r < 0)
		kube_cluster_pods_free(pods);
	else
		*ret = pods;
	return r;
}
