// SPDX-License-Identifier: Apache-2.0
#include "control/eks_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/parse.h"
#include "credentials/association_id.h"
#include "kube/associations.h"
#include "kube/client.h"

/* What this process has put there, and the watch has not mentioned for so long, was deleted in between. */
#define OWN_NS (30 * CLOCK_S)

#define DROPPED_MAX 64

struct eks_id_node {
	struct keyed by_id;
	struct eks_object *object;
};

struct eks_store {
	struct kube_watch *watch;
	struct eks_store_events events;
	void *arg;
	void *keys; /* of struct eks_object */
	void *ids; /* of struct eks_id_node */
	char dropped[DROPPED_MAX][EKS_UID_SIZE]; /* of the objects that were deleted last */
	size_t next_dropped;
};

static const struct project_shape metadata_members[] = {{.key = "uid"},
							{.key = "namespace"},
							{.key = "name"},
							{.key = "resourceVersion"},
							{.key = "generation"},
							{.key = "creationTimestamp"},
							{.key = "deletionTimestamp"},
							{.key = "annotations", .any = true},
							{}};
static const struct project_shape spec_members[] = {
	{.key = "roleArn"},	    {.key = "targetRoleArn"},	  {.key = "externalId"},
	{.key = "policy"},	    {.key = "tags", .any = true}, {.key = "disableSessionTags"},
	{.key = "durationSeconds"}, {.key = "sessionName"},	  {}};
static const struct project_shape condition_members[] = {{.key = "type"},
							 {.key = "status"},
							 {.key = "reason"},
							 {.key = "message"},
							 {.key = "lastTransitionTime"},
							 {.key = "observedGeneration"},
							 {}};
static const struct project_shape status_members[] = {
	{.key = "associationId"},
	{.key = "associationArn"},
	{.key = "externalId"},
	{.key = "packedPolicySize"},
	{.key = "observedGeneration"},
	{.key = "conditions", .members = condition_members, .list = true},
	{}};
static const struct project_shape members[] = {
	{.key = "metadata", .members = metadata_members},
	{.key = "spec", .members = spec_members, .strict = true},
	{.key = "status", .members = status_members},
	{}};
static const struct project_shape list_members[] = {
	{.key = "items", .members = members, .list = true}, {}};

const struct project_shape eks_shape = {.members = members};
const struct project_shape eks_list_shape = {.members = list_members};

/* ---- the trees ---- */

static void free_object(struct eks_object *o)
{
	json_decref(o->object);
	free(o->by_id);
	free(o);
}

static void remove_object(struct eks_store *s, struct eks_object *o)
{
	keyed_remove(&s->keys, o);
	keyed_remove(&s->ids, o->by_id);
	free_object(o);
}

static struct eks_object *make_object(const struct kube_object_id *id)
{
	struct eks_object *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->by_id = calloc(1, sizeof(*o->by_id));
	if (!o->by_id || cred_association_id(id->uid, o->id) < 0) {
		free_object(o);
		return NULL;
	}
	snprintf(o->name_space, sizeof(o->name_space), "%s", id->name_space);
	snprintf(o->name, sizeof(o->name), "%s", id->name);
	snprintf(o->key, sizeof(o->key), "%s/%s", o->name_space, o->name);
	snprintf(o->uid, sizeof(o->uid), "%s", id->uid);
	o->by_key.key = o->key;
	*o->by_id = (struct eks_id_node){.by_id = {o->id}, .object = o};
	return o;
}

static struct eks_object *add_object(struct eks_store *s, const struct kube_object_id *id)
{
	struct eks_object *o = make_object(id);

	if (!o)
		return NULL;
	if (keyed_add(&s->keys, o) == 0) {
		if (keyed_add(&s->ids, o->by_id) == 0)
			return o;
		keyed_remove(&s->keys, o);
	}
	free_object(o);
	return NULL;
}

static struct eks_object *find(const struct eks_store *s, const char *name_space, const char *name)
{
	char key[EKS_KEY_SIZE];

	if ((size_t)snprintf(key, sizeof(key), "%s/%s", name_space, name) >= sizeof(key))
		return NULL;
	return keyed_find(&s->keys, key);
}

static bool was_dropped(const struct eks_store *s, const char *uid)
{
	for (size_t i = 0; i < DROPPED_MAX; i++)
		if (!strcmp(s->dropped[i], uid))
			return true;
	return false;
}

/* ---- what comes ---- */

static uint64_t version_of(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *text = json_string_value(json_object_get(metadata, "resourceVersion"));
	uint64_t version;

	return text && parse_u64(text, UINT64_MAX, &version) == 0 ? version : 0;
}

static int take(struct eks_store *s, const struct kube_object_id *id, const json_t *object,
		bool own)
{
	struct eks_object *o = find(s, id->name_space, id->name);
	uint64_t version = version_of(object);

	if (was_dropped(s, id->uid))
		return 0;
	if (o && strcmp(o->uid, id->uid) != 0) {
		remove_object(s, o); /* another one of its name has come */
		o = NULL;
	}
	if (o && !own)
		o->own_ns = 0;
	if (o && version && version < o->version)
		return 0;
	if (!o) {
		o = add_object(s, id);
		if (!o)
			return -ENOMEM;
		o->own_ns = own ? clock_mono_ns() : 0;
	}
	json_decref(o->object);
	o->object = json_incref((json_t *)object);
	o->version = version;
	if (s->events.changed)
		s->events.changed(s->arg, o);
	return 0;
}

static int on_put(void *arg, const struct kube_object_id *id, const json_t *object,
		  struct pc_err *err)
{
	if (!k8s_is_label(id->name_space, strlen(id->name_space)) ||
	    !k8s_is_subdomain(id->name, strlen(id->name)) || strlen(id->uid) >= EKS_UID_SIZE)
		return pc_err_set(err, -EINVAL, "its name is no service account's");
	if (take(arg, id, object, false) < 0)
		return pc_err_set(err, -ENOMEM, "no memory");
	return 0;
}

static void lose(struct eks_store *s, struct eks_object *o)
{
	remove_object(s, o);
	if (s->events.gone)
		s->events.gone(s->arg);
}

static void on_gone(void *arg, const struct kube_object_id *id)
{
	struct eks_store *s = arg;
	struct eks_object *o = find(s, id->name_space, id->name);

	if (o && !strcmp(o->uid, id->uid))
		lose(s, o);
}

static void on_listed(void *arg)
{
	struct eks_store *s = arg;

	if (s->events.listed)
		s->events.listed(s->arg);
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	struct eks_store *s = arg;

	if (s->events.state)
		s->events.state(s->arg, state);
}

int eks_store_put(struct eks_store *s, const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const struct kube_object_id id = {
		.uid = json_string_value(json_object_get(metadata, "uid")),
		.name_space = json_string_value(json_object_get(metadata, "namespace")),
		.name = json_string_value(json_object_get(metadata, "name")),
	};

	if (!id.uid || !id.name_space || !id.name || strlen(id.uid) >= EKS_UID_SIZE ||
	    strlen(id.name_space) >= 64 || strlen(id.name) >= EKS_NAME_SIZE)
		return -EINVAL;
	return take(s, &id, object, true);
}

struct by_uid {
	const char *uid;
	struct eks_object *found;
};

static void match_uid(const void *node, VISIT visit, void *closure)
{
	struct eks_object *o = *(struct eks_object *const *)node;
	struct by_uid *wanted = closure;

	if ((visit == leaf || visit == postorder) && !strcmp(o->uid, wanted->uid))
		wanted->found = o;
}

void eks_store_drop(struct eks_store *s, const char *uid)
{
	struct by_uid wanted = {.uid = uid};

	twalk_r(s->keys, match_uid, &wanted);
	snprintf(s->dropped[s->next_dropped++ % DROPPED_MAX], EKS_UID_SIZE, "%s", uid);
	if (wanted.found)
		lose(s, wanted.found);
}

/* ---- what is asked ---- */

static bool is_there(const struct eks_object *o)
{
	return o && (!o->own_ns || clock_mono_ns() - o->own_ns < OWN_NS);
}

const struct eks_object *eks_store_find(const struct eks_store *s, const char *name_space,
					const char *name)
{
	const struct eks_object *o = find(s, name_space, name);

	return is_there(o) ? o : NULL;
}

const struct eks_object *eks_store_find_id(const struct eks_store *s, const char *id)
{
	const struct eks_id_node *node = keyed_find(&s->ids, id);

	return node && is_there(node->object) ? node->object : NULL;
}

struct visitor {
	void (*fn)(void *arg, const struct eks_object *object);
	void *arg;
};

static void visit_object(const void *node, VISIT visit, void *closure)
{
	const struct eks_object *o = *(const struct eks_object *const *)node;
	const struct visitor *visitor = closure;

	if ((visit == leaf || visit == postorder) && is_there(o))
		visitor->fn(visitor->arg, o);
}

void eks_store_each(const struct eks_store *s,
		    void (*fn)(void *arg, const struct eks_object *object), void *arg)
{
	struct visitor visitor = {fn, arg};

	twalk_r(s->keys, visit_object, &visitor);
}

const struct kube_watch_state *eks_store_state(struct eks_store *s)
{
	return kube_watch_state(s->watch);
}

/* ---- lives ---- */

static void free_nothing(void *node)
{
	(void)node;
}

static void free_node(void *node)
{
	free_object(node);
}

struct eks_store *eks_store_free(struct eks_store *s)
{
	if (!s)
		return NULL;
	kube_watch_free(s->watch);
	tdestroy(s->ids, free_nothing);
	tdestroy(s->keys, free_node);
	free(s);
	return NULL;
}

int eks_store_new(struct loop *loop, struct kube_client *client,
		  const struct eks_store_events *events, void *arg, struct eks_store **ret)
{
	static const struct kube_watch_events watch_events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = on_state};
	const struct kube_watch_options options = {
		.path = KUBE_ASSOCIATIONS_PATH,
		.resource = "podidentityassociations.podcred.io",
		.shape = &eks_shape,
	};
	struct eks_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->events = *events;
	s->arg = arg;
	r = kube_watch_new(loop, client, &options, &watch_events, s, &s->watch);
	if (r < 0)
		free(s);
	else
		*ret = s;
	return r;
}
