// SPDX-License-Identifier: Apache-2.0
#include "kube/role_policies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "kube/client.h"
#include "kube/namespaces.h"

struct kube_role_policies {
	struct loop *loop;
	struct kube_client *client;
	struct kube_watch *watch;
	struct kube_watch_options times;
	struct kube_namespaces *namespaces; /* NULL: nobody has needed them */
	struct cred_rights *rights;
	struct kube_role_policies_events events;
	void *arg;
	bool listed; /* once */
};

static const struct project_shape metadata_members[] = {
	{.key = "uid"}, {.key = "namespace"}, {.key = "name"}, {.key = "resourceVersion"}, {}};
/* A list of texts has items without members. */
static const struct project_shape expression_members[] = {
	{.key = "key"}, {.key = "operator"}, {.key = "values", .list = true}, {}};
static const struct project_shape selector_members[] = {
	{.key = "matchLabels", .any = true},
	{.key = "matchExpressions", .members = expression_members, .list = true},
	{}};
static const struct project_shape spec_members[] = {
	{.key = "namespaces", .list = true},
	{.key = "namespaceSelector", .members = selector_members, .strict = true},
	{.key = "roleArns", .list = true},
	{.key = "targetRoleArns", .list = true},
	{}};
static const struct project_shape members[] = {
	{.key = "metadata", .members = metadata_members},
	{.key = "spec", .members = spec_members, .strict = true},
	{}};
static const struct project_shape shape = {.members = members};

/* ---- one policy ---- */

/* What a newer podcred knows may narrow what is allowed. */
static const char *defect_of(const json_t *spec)
{
	const json_t *selector = json_object_get(spec, "namespaceSelector");

	return kube_project_defect(spec)
		       ?: kube_project_defect(selector)
				  ?: kube_project_defect(json_object_get(selector, "matchLabels"));
}

/* As text, for the one parser there is. */
static int text_of(const json_t *object, char **ret, struct pc_err *err)
{
	const json_t *spec = json_object_get(object, "spec");
	const char *defect = defect_of(spec);

	if (!json_is_object(spec))
		return pc_err_set(err, -EINVAL, "spec is missing; write roleArns into it");
	if (defect)
		return pc_err_set(err, -EINVAL, "%s; remove it, or update podcred", defect);
	*ret = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
	return *ret ? 0 : pc_err_set(err, -ENOMEM, "no memory");
}

/* ---- all policies ---- */

static void changed(struct kube_role_policies *p)
{
	if (p->events.changed)
		p->events.changed(p->arg);
}

static void on_namespaces(void *arg)
{
	changed(arg);
}

static void tell_state(void *arg, const struct kube_watch_state *state)
{
	const struct kube_role_policies *p = arg;

	if (p->events.state)
		p->events.state(p->arg, state);
}

static void tell_namespaces_state(void *arg, const struct kube_watch_state *state)
{
	const struct kube_role_policies *p = arg;

	if (p->events.namespaces_state)
		p->events.namespaces_state(p->arg, state);
}

static int follow_namespaces(struct kube_role_policies *p)
{
	static const struct kube_namespaces_events events = {.changed = on_namespaces,
							     .state = tell_namespaces_state};

	return p->namespaces ? 0
			     : kube_namespaces_new(p->loop, p->client, &p->times, &events, p,
						   &p->namespaces);
}

/* Takes policy. */
static int use(struct kube_role_policies *p, struct cred_role_policy *policy, const char *uid)
{
	int r = cred_role_policy_selects(policy) ? follow_namespaces(p) : 0;

	if (r == 0)
		return cred_rights_put(p->rights, policy, uid);
	cred_role_policy_free(policy);
	return r;
}

/* One that has become unusable allows nothing any more: the watch says that it is gone. */
static int on_put(void *arg, const struct kube_object_id *id, const json_t *object,
		  struct pc_err *err)
{
	struct kube_role_policies *p = arg;
	_cleanup_free_ char *text = NULL;
	struct cred_role_policy *policy;
	int r = text_of(object, &text, err);

	if (!text)
		return r;
	if (cred_rights_has(p->rights, id->name, id->uid, text))
		return 0;
	r = cred_role_policy_parse(id->name, text, strlen(text), &policy, err);
	if (r < 0)
		return r;
	r = use(p, policy, id->uid);
	if (r < 0)
		return pc_err_set(err, r, "no memory");
	changed(p);
	return 0;
}

static void on_gone(void *arg, const struct kube_object_id *id)
{
	struct kube_role_policies *p = arg;

	cred_rights_remove(p->rights, id->name, id->uid);
	changed(p);
}

/* What was unknown is refused from now on. */
static void on_listed(void *arg)
{
	struct kube_role_policies *p = arg;

	if (!p->listed)
		changed(p);
	p->listed = true;
}

/* ---- from outside ---- */

const struct kube_watch_state *kube_role_policies_state(const struct kube_role_policies *p)
{
	return kube_watch_state(p->watch);
}

const struct kube_watch_state *kube_role_policies_namespaces(const struct kube_role_policies *p)
{
	return p->namespaces ? kube_namespaces_state(p->namespaces) : NULL;
}

static void say_unknown(struct cred_rights_answer *ret, const char *what,
			const struct kube_watch_state *state)
{
	*ret = (struct cred_rights_answer){.right = CRED_RIGHT_UNKNOWN};
	snprintf(ret->why, sizeof(ret->why), "%s: %.300s", what,
		 *state->why ? state->why : "still being listed");
}

void kube_role_policies_ask(const struct kube_role_policies *p, const char *name_space,
			    const char *role_arn, const char *target_role_arn,
			    struct cred_rights_answer *ret)
{
	struct cred_rights_question question = {
		.name_space = name_space, .role_arn = role_arn, .target_role_arn = target_role_arn};

	if (p->namespaces)
		kube_namespaces_find(p->namespaces, &question);
	cred_rights_ask(p->rights, &question, ret);
	if (ret->right == CRED_RIGHT_UNKNOWN && p->namespaces)
		say_unknown(ret, "labels of namespaces", kube_namespaces_state(p->namespaces));
	else if (ret->right == CRED_RIGHT_REFUSED && !kube_watch_state(p->watch)->listed)
		say_unknown(ret, "PodIdentityRolePolicy objects", kube_watch_state(p->watch));
}

struct kube_role_policies *kube_role_policies_free(struct kube_role_policies *p)
{
	if (!p)
		return NULL;
	kube_watch_free(p->watch);
	kube_namespaces_free(p->namespaces);
	cred_rights_free(p->rights);
	free(p);
	return NULL;
}

static int make(struct kube_role_policies *p)
{
	static const struct kube_watch_events watch_events = {
		.put = on_put, .gone = on_gone, .listed = on_listed, .state = tell_state};
	struct kube_watch_options options = p->times;
	int r = cred_rights_new(&p->rights);

	if (r < 0)
		return r;
	options.path = KUBE_ROLE_POLICIES_PATH;
	options.query = NULL;
	options.resource = "podidentityrolepolicies.podcred.io";
	options.shape = &shape;
	return kube_watch_new(p->loop, p->client, &options, &watch_events, p, &p->watch);
}

int kube_role_policies_new(struct loop *loop, struct kube_client *client,
			   const struct kube_watch_options *times,
			   const struct kube_role_policies_events *events, void *arg,
			   struct kube_role_policies **ret)
{
	struct kube_role_policies *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	*p = (struct kube_role_policies){
		.loop = loop, .client = client, .events = *events, .arg = arg};
	if (times)
		p->times = *times;
	r = make(p);
	if (r < 0)
		kube_role_policies_free(p);
	else
		*ret = p;
	return r;
}
