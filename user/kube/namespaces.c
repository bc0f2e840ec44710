// SPDX-License-Identifier: Apache-2.0
#include "kube/namespaces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/keyed.h"
#include "kube/client.h"
#include "kube/known.h"

struct item {
	struct keyed key; /* in name */
	json_t *json; /* has the texts of labels; NULL: there are none */
	struct cred_pair *labels;
	size_t n_labels;
	char uid[KUBE_UID_SIZE];
	char name[K8S_LABEL_SIZE];
};

struct kube_namespaces {
	struct kube_watch *watch;
	struct kube_namespaces_events events;
	void *arg;
	void *tree; /* of struct item */
	bool listed; /* once */
};

static const struct project_shape metadata_members[] = {{.key = "uid"},
							{.key = "namespace"},
							{.key = "name"},
							{.key = "resourceVersion"},
							{.key = "labels", .any = true},
							{}};
static const struct project_shape members[] = {{.key = "metadata", .members = metadata_members},
					       {}};
static const struct project_shape shape = {.members = members};

static void free_item(void *node)
{
	struct item *item = node;

	json_decref(item->json);
	free(item->labels);
	free(item);
}

static struct item *add(struct kube_namespaces *n, const char *name)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	strcpy(item->name, name);
	item->key.key = item->name;
	if (keyed_add(&n->tree, item) == 0)
		return item;
	free(item);
	return NULL;
}

/* Values that are no text are none that a label has; the API server would not store them. */
static int set_labels(struct item *item, json_t *labels)
{
	struct cred_pair *pairs = calloc(json_object_size(labels) + 1, sizeof(*pairs));
	const char *key;
	json_t *value;

	if (!pairs)
		return -ENOMEM;
	free(item->labels);
	json_decref(item->json);
	item->labels = pairs;
	item->json = json_incref(labels);
	item->n_labels = 0;
	json_object_foreach (labels, key, value)
		if (json_is_string(value))
			pairs[item->n_labels++] = (struct cred_pair){key, json_string_value(value)};
	return 0;
}

static void changed(struct kube_namespaces *n)
{
	if (n->events.changed)
		n->events.changed(n->arg);
}

/* One whose labels cannot be read counts as none, so that no selector matches it: "NotIn" would. */
static int on_put(void *arg, const struct kube_object_id *id, const json_t *object,
		  struct pc_err *err)
{
	json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels");
	const char *defect = kube_project_defect(labels);
	struct kube_namespaces *n = arg;
	struct item *item;
	bool same;

	if (!k8s_is_label(id->name, strlen(id->name)))
		return pc_err_set(err, -EINVAL, "its name is no namespace's");
	if (defect)
		return pc_err_set(err, -EINVAL, "its labels: %s", defect);
	item = keyed_find(&n->tree, id->name);
	same = item && !strcmp(item->uid, id->uid) &&
	       (labels && item->json ? json_equal(labels, item->json) : labels == item->json);
	item = item ?: add(n, id->name);
	if (!item || set_labels(item, labels) < 0)
		return pc_err_set(err, -ENOMEM, "no memory");
	strcpy(item->uid, id->uid); /* the watch has seen to its length */
	if (!same)
		changed(n);
	return 0;
}

static void on_gone(void *arg, const struct kube_object_id *id)
{
	struct kube_namespaces *n = arg;
	struct item *item = keyed_find(&n->tree, id->name);

	if (!item || strcmp(item->uid, id->uid) != 0)
		return;
	keyed_remove(&n->tree, item);
	free_item(item);
	changed(n);
}

/* What was unknown is none from now on. */
static void on_listed(void *arg)
{
	struct kube_namespaces *n = arg;

	if (!n->listed)
		changed(n);
	n->listed = true;
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	const struct kube_namespaces *n = arg;

	if (n->events.state)
		n->events.state(n->arg, state);
}

const struct kube_watch_state *kube_namespaces_state(const struct kube_namespaces *n)
{
	return kube_watch_state(n->watch);
}

void kube_namespaces_find(const struct kube_namespaces *n, struct cred_rights_question *question)
{
	const struct item *item = keyed_find(&n->tree, question->name_space);

	question->labels_known = item				      ? CRED_LABELS_KNOWN
				 : kube_watch_state(n->watch)->listed ? CRED_LABELS_NONE
								      : CRED_LABELS_UNKNOWN;
	question->labels = item ? item->labels : NULL;
	question->n_labels = item ? item->n_labels : 0;
}

struct kube_namespaces *kube_namespaces_free(struct kube_namespaces *n)
{
	if (!n)
		return NULL;
	kube_watch_free(n->watch);
	tdestroy(n->tree, free_item);
	free(n);
	return NULL;
}

int kube_namespaces_new(struct loop *loop, struct kube_client *client,
			const struct kube_watch_options *times,
			const struct kube_namespaces_events *events, void *arg,
			struct kube_namespaces **ret)
{
	static const struct kube_watch_events watch_events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = on_state};
	struct kube_watch_options options = times ? *times : (struct kube_watch_options){};
	struct kube_namespaces *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->events = *events;
	n->arg = arg;
	options.path = "/api/v1/namespaces";
	options.query = NULL;
	options.resource = "namespaces";
	options.shape = &shape;
	r = kube_watch_new(loop, client, &options, &watch_events, n, &n->watch);
	if (r < 0)
		free(n);
	else
		*ret = n;
	return r;
}
