// SPDX-License-Identifier: Apache-2.0
#include "kube/associations.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/keyed.h"
#include "base/loop.h"
#include "kube/client.h"
#include "kube/known.h"

#define KEY_SIZE (K8S_LABEL_SIZE + K8S_SUBDOMAIN_SIZE)

/* One object, also when it cannot be used. */
struct item {
	struct keyed key; /* in name */
	struct cred_table *table; /* NULL: it cannot be used */
	char *spec; /* as text, to see whether it has changed; NULL: it was none */
	char uid[KUBE_UID_SIZE];
	char why[CRED_WHY_SIZE];
	char name[KEY_SIZE]; /* NAMESPACE/NAME */
};

struct kube_associations {
	struct kube_watch *watch;
	struct loop_timer
		*later; /* to tell of invalid ones, once the watch has counted what it is at */
	struct kube_associations_events events;
	void *arg;
	enum cred_source default_source;
	void *tree; /* of struct item */
	size_t n_invalid;
	char invalid_why[KUBE_WATCH_WHY_SIZE]; /* of one of them */
	struct kube_watch_state state; /* the watch's, with the invalid ones */
};

static const struct project_shape metadata_members[] = {
	{.key = "uid"}, {.key = "namespace"}, {.key = "name"}, {.key = "resourceVersion"}, {}};
static const struct project_shape spec_members[] = {
	{.key = "roleArn"},	    {.key = "targetRoleArn"},	  {.key = "externalId"},
	{.key = "policy"},	    {.key = "tags", .any = true}, {.key = "disableSessionTags"},
	{.key = "durationSeconds"}, {.key = "sessionName"},	  {}};
static const struct project_shape members[] = {
	{.key = "metadata", .members = metadata_members},
	{.key = "spec", .members = spec_members, .strict = true},
	{}};
static const struct project_shape shape = {.members = members};

/* ---- one object ---- */

/* As text, for the one parser there is. NULL: err says why it is none. */
static char *spec_text(const json_t *object, struct pc_err *err)
{
	const json_t *spec = json_object_get(object, "spec");
	const char *defect = kube_project_defect(spec);
	const char *tags = kube_project_defect(json_object_get(spec, "tags"));

	if (!json_is_object(spec))
		pc_err_set(err, -EINVAL, "spec is missing; write roleArn into it");
	else if (defect)
		pc_err_set(err, -EINVAL, "%s; remove it, or update podcred", defect);
	else if (tags)
		pc_err_set(err, -EINVAL, "tags: %s; remove some", tags);
	else
		return json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
	return NULL;
}

static int check_source(struct kube_associations *a, const char *name, struct cred_table **table,
			struct pc_err *err)
{
	const char *conflict =
		cred_association_conflict(cred_table_at(*table, 0), a->default_source);

	if (!conflict)
		return 0;
	cred_table_unref(TAKE_PTR(*table));
	return pc_err_set(err, -EINVAL, "%s: %s", name, conflict);
}

/* *ret NULL: the object cannot be used, and err says why. -ENOMEM. */
static int decode(struct kube_associations *a, const struct kube_object_id *id, const char *spec,
		  struct cred_table **ret, struct pc_err *err)
{
	char name[KEY_SIZE];
	int r;

	snprintf(name, sizeof(name), "%s/%s", id->name_space, id->name);
	if (!spec)
		return pc_err_prefix(err, 0, "%s", name);
	r = cred_table_parse_spec(name, CRED_ORIGIN_OBJECT, id->name_space, id->name, spec,
				  strlen(spec), ret, err);
	if (r == 0)
		check_source(a, name, ret, err);
	return r == -ENOMEM ? r : 0;
}

/* ---- all objects ---- */

static struct item *find(const struct kube_associations *a, const char *name_space,
			 const char *name)
{
	char key[KEY_SIZE];

	if ((size_t)snprintf(key, sizeof(key), "%s/%s", name_space, name) >= sizeof(key))
		return NULL;
	return keyed_find(&a->tree, key);
}

static struct item *add(struct kube_associations *a, const struct kube_object_id *id)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	snprintf(item->name, sizeof(item->name), "%s/%s", id->name_space, id->name);
	item->key.key = item->name;
	if (keyed_add(&a->tree, item) == 0)
		return item;
	free(item);
	return NULL;
}

static void free_item(void *node)
{
	struct item *item = node;

	cred_table_unref(item->table);
	free(item->spec);
	free(item);
}

static bool is_invalid(const struct item *item)
{
	return item->uid[0] && !item->table;
}

static void find_invalid(const void *node, VISIT visit, void *closure)
{
	const struct item *item = *(const struct item *const *)node;
	struct kube_associations *a = closure;

	if (is_invalid(item) && (visit == leaf || visit == preorder))
		snprintf(a->invalid_why, sizeof(a->invalid_why), "%s", item->why);
}

/* One that is still there is named. */
static void count_invalid(struct kube_associations *a, bool before, const struct item *item)
{
	bool now = is_invalid(item);

	if (!before && !now)
		return;
	a->n_invalid += (size_t)now - (size_t)before;
	a->invalid_why[0] = '\0';
	if (now)
		snprintf(a->invalid_why, sizeof(a->invalid_why), "%s", item->why);
	else
		twalk_r(a->tree, find_invalid, a);
	loop_timer_after(a->later, 0);
}

static void tell(struct kube_associations *a, const struct kube_object_id *id)
{
	if (a->events.changed)
		a->events.changed(a->arg, id->name_space, id->name);
}

static bool is_same(const struct item *item, const char *spec, const char *why)
{
	if (!item->spec || !spec)
		return !item->spec && !spec && !strcmp(item->why, why);
	return !strcmp(item->spec, spec);
}

/* Takes table and spec. */
static void replace(struct kube_associations *a, struct item *item, const struct kube_object_id *id,
		    struct cred_table *table, char *spec, const char *why)
{
	bool was_invalid = is_invalid(item);
	bool same = item->uid[0] && is_same(item, spec, why);

	strcpy(item->uid, id->uid); /* the watch has seen to its length */
	cred_table_unref(item->table);
	free(item->spec);
	item->table = table;
	item->spec = spec;
	snprintf(item->why, sizeof(item->why), "%.*s", (int)sizeof(item->why) - 1, why);
	if (same)
		return;
	count_invalid(a, was_invalid, item);
	tell(a, id);
}

static int on_put(void *arg, const struct kube_object_id *id, const json_t *object,
		  struct pc_err *err)
{
	struct kube_associations *a = arg;
	_cleanup_free_ char *spec = NULL;
	struct cred_table *table = NULL;
	struct pc_err why = {};
	struct item *item;

	if (!k8s_is_label(id->name_space, strlen(id->name_space)) ||
	    !k8s_is_subdomain(id->name, strlen(id->name)))
		return pc_err_set(err, -EINVAL, "its name is no service account's");
	spec = spec_text(object, &why);
	item = find(a, id->name_space, id->name) ?: add(a, id);
	if (!item || (!spec && !why.msg[0]) || decode(a, id, spec, &table, &why) < 0)
		return pc_err_set(err, -ENOMEM, "no memory");
	replace(a, item, id, table, TAKE_PTR(spec), why.msg);
	return 0;
}

/* A new object of that name may have come before the old one was found to be gone. */
static void on_gone(void *arg, const struct kube_object_id *id)
{
	struct kube_associations *a = arg;
	struct item *item = find(a, id->name_space, id->name);
	bool was_invalid;

	if (!item || strcmp(item->uid, id->uid) != 0)
		return;
	was_invalid = is_invalid(item);
	keyed_remove(&a->tree, item);
	item->uid[0] = '\0';
	count_invalid(a, was_invalid, item);
	free_item(item);
	tell(a, id);
}

static void on_listed(void *arg)
{
	struct kube_associations *a = arg;

	if (a->events.listed)
		a->events.listed(a->arg);
}

static void tell_state(void *arg)
{
	struct kube_associations *a = arg;

	if (a->events.state)
		a->events.state(a->arg, kube_associations_state(a));
}

static void on_state(void *arg, const struct kube_watch_state *state)
{
	(void)state;
	tell_state(arg);
}

/* ---- from outside ---- */

const struct kube_watch_state *kube_associations_state(struct kube_associations *a)
{
	a->state = *kube_watch_state(a->watch);
	a->state.objects -= a->n_invalid;
	a->state.unusable += a->n_invalid;
	if (a->n_invalid)
		memcpy(a->state.unusable_why, a->invalid_why, sizeof(a->state.unusable_why));
	return &a->state;
}

void kube_associations_find(const struct kube_associations *a, const char *name_space,
			    const char *service_account, struct cred_facts *facts,
			    struct cred_table **ret_table)
{
	const struct item *item = find(a, name_space, service_account);

	*ret_table = item && item->table ? cred_table_ref(item->table) : NULL;
	facts->object = *ret_table ? cred_table_at(*ret_table, 0) : NULL;
	facts->object_why = item && !item->table ? item->why : NULL;
	facts->object_known = facts->object_why				   ? CRED_INVALID
			      : item || kube_watch_state(a->watch)->listed ? CRED_KNOWN
									   : CRED_NOT_KNOWN;
}

const char *kube_associations_uid(const struct kube_associations *a, const char *name_space,
				  const char *service_account)
{
	const struct item *item = find(a, name_space, service_account);

	return item ? item->uid : "";
}

struct visitor {
	void (*fn)(void *arg, struct cred_table *table);
	void *arg;
};

static void visit_item(const void *node, VISIT visit, void *closure)
{
	const struct item *item = *(const struct item *const *)node;
	const struct visitor *visitor = closure;

	if (item->table && (visit == leaf || visit == postorder))
		visitor->fn(visitor->arg, item->table);
}

void kube_associations_each(const struct kube_associations *a,
			    void (*fn)(void *arg, struct cred_table *table), void *arg)
{
	struct visitor visitor = {fn, arg};

	twalk_r(a->tree, visit_item, &visitor);
}

struct kube_associations *kube_associations_free(struct kube_associations *a)
{
	if (!a)
		return NULL;
	kube_watch_free(a->watch);
	loop_timer_free(a->later);
	tdestroy(a->tree, free_item);
	free(a);
	return NULL;
}

int kube_associations_new(struct loop *loop, struct kube_client *client,
			  enum cred_source default_source, const struct kube_watch_options *times,
			  const struct kube_associations_events *events, void *arg,
			  struct kube_associations **ret)
{
	static const struct kube_watch_events watch_events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = on_state};
	struct kube_watch_options options = times ? *times : (struct kube_watch_options){};
	struct kube_associations *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->default_source = default_source;
	a->events = *events;
	a->arg = arg;
	options.path = KUBE_ASSOCIATIONS_PATH;
	options.query = NULL;
	options.resource = "podidentityassociations.podcred.io";
	options.shape = &shape;
	r = loop_timer_new(loop, tell_state, a, &a->later);
	if (r == 0)
		r = kube_watch_new(loop, client, &options, &watch_events, a, &a->watch);
	if (r < 0) {
		loop_timer_free(a->later);
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}
