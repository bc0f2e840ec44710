// SPDX-License-Identifier: Apache-2.0
#include "kube/annotations.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/keyed.h"
#include "base/loop.h"
#include "base/text.h"
#include "kube/client.h"
#include "kube/known.h"
#include "kube/project.h"

#define KEEP_MS	    10000
#define OBJECTS_MAX 2048
#define CALLS_MAX   2048
#define BODY_MAX    (4U << 20)
#define TOTAL_NS    (10 * CLOCK_S)
#define PATH_SIZE   (K8S_LABEL_SIZE + K8S_SUBDOMAIN_SIZE + 64)
#define WHY_SIZE    512

/* Annotations are all that is wanted; a server that cannot leave out the rest sends it. */
#define ACCEPT "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

enum kind {
	KIND_SERVICE_ACCOUNT,
	KIND_POD,
	KIND_NAMESPACE,
	KINDS,
};

static const char *const kind_texts[] = {
	[KIND_SERVICE_ACCOUNT] = "serviceaccounts",
	[KIND_POD] = "pods",
	[KIND_NAMESPACE] = "namespaces",
};

/* What one GET has said. */
struct object {
	struct keyed key; /* its path */
	struct object *next, **prev;
	struct kube_annotations *owner;
	enum kind kind;
	struct kube_call *call; /* until it has been said */
	unsigned status;
	struct text body;
	size_t users; /* calls that have it */
	bool replaced; /* it is not in the tree any more; users still read it */
	uint64_t until_ns; /* CLOCK_MONOTONIC: it is kept */
	int error; /* as in struct kube_annotations_result; -ENOENT: there is no such object */
	char why[WHY_SIZE];
	char uid[KUBE_UID_SIZE];
	json_t *annotations; /* NULL: none */
	char path[PATH_SIZE];
};

struct kube_annotations_call {
	struct kube_annotations_call *next, **prev;
	struct kube_annotations *owner;
	struct object *objects[KINDS]; /* NULL: not needed */
	size_t pending;
	struct loop_timer *timer; /* to answer from the loop */
	kube_annotations_fn *done;
	void *arg;
	char uid[KUBE_UID_SIZE];
};

struct kube_annotations {
	struct loop *loop;
	struct kube_client *client;
	bool irsa, iam;
	uint64_t keep_ns;
	void *tree; /* of struct object */
	struct object *objects;
	size_t n_objects;
	struct kube_annotations_call *calls;
	size_t n_calls;
	struct loop_timer *sweeper;
};

static const struct project_shape annotation_members[] = {
	{.key = CRED_IRSA_ROLE},     {.key = CRED_IRSA_AUDIENCE},
	{.key = CRED_IAM_ROLE},	     {.key = CRED_IAM_EXTERNAL},
	{.key = CRED_IAM_SESSION},   {.key = CRED_IAM_ALLOWED},
	{.key = CRED_IAM_PERMITTED}, {}};
static const struct project_shape metadata_members[] = {
	{.key = "uid"}, {.key = "annotations", .members = annotation_members}, {}};
static const struct project_shape members[] = {{.key = "metadata", .members = metadata_members},
					       {}};
static const struct project_shape shape = {.members = members};

/* ---- objects ---- */

static void free_object(struct object *object)
{
	struct kube_annotations *a = object->owner;

	kube_call_cancel(object->call);
	if (!object->replaced)
		keyed_remove(&a->tree, object);
	*object->prev = object->next;
	if (object->next)
		object->next->prev = object->prev;
	a->n_objects--;
	text_done(&object->body);
	json_decref(object->annotations);
	free(object);
}

static bool is_fresh(const struct object *object)
{
	return !object->replaced &&
	       (object->call || (!object->error && clock_mono_ns() < object->until_ns));
}

/* What is not kept any more, and used by nobody. */
static void sweep(void *arg)
{
	struct kube_annotations *a = arg;
	struct object *next;

	for (struct object *object = a->objects; object; object = next) {
		next = object->next;
		if (!object->users && !is_fresh(object))
			free_object(object);
	}
}

static void wake(struct object *object)
{
	struct kube_annotations *a = object->owner;

	for (struct kube_annotations_call *call = a->calls; call; call = call->next)
		if (call->objects[object->kind] == object && --call->pending == 0)
			loop_timer_after(call->timer, 0);
}

__attribute__((format(printf, 3, 4))) static void fail(struct object *object, int error,
						       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(object->why, sizeof(object->why), fmt, ap);
	va_end(ap);
	object->error = error;
}

static void read_body(struct object *object)
{
	_cleanup_json_ json_t *json = NULL;
	struct pc_err err = {};
	const json_t *metadata;
	const char *uid;

	if (kube_project_json(object->body.data, object->body.len, &shape, &json, &err) < 0) {
		fail(object, -EPROTO, "GET %s: what comes is no object: %.300s", object->path,
		     err.msg);
		return;
	}
	metadata = json_object_get(json, "metadata");
	uid = json_string_value(json_object_get(metadata, "uid"));
	if (!uid || !*uid || strlen(uid) >= sizeof(object->uid)) {
		fail(object, -EPROTO,
		     "GET %s: what comes has no uid; is there a proxy in front of "
		     "the API server?",
		     object->path);
		return;
	}
	strcpy(object->uid, uid);
	object->annotations = json_incref(json_object_get(metadata, "annotations"));
}

static void read_status(struct object *object)
{
	switch (object->status) {
	case 200:
		read_body(object);
		break;
	case 401:
	case 403:
		fail(object, -EACCES,
		     "GET %s: the API server refuses (HTTP %u); podcred needs the right to get %s",
		     object->path, object->status, kind_texts[object->kind]);
		break;
	case 404:
		fail(object, -ENOENT, "GET %s: there is none", object->path);
		break;
	case 429:
	case 500 ... 599:
		fail(object, -EAGAIN, "GET %s: the API server is busy (HTTP %u)", object->path,
		     object->status);
		break;
	default:
		fail(object, -EPROTO, "GET %s: HTTP %u", object->path, object->status);
	}
}

static void on_done(void *arg, const struct http_result *result)
{
	struct object *object = arg;
	int error = result->error;

	object->call = NULL;
	if (error)
		fail(object,
		     error == -EACCES || error == -EPROTO || error == -ENOMEM ? error : -EAGAIN,
		     "GET %s: %s", object->path, result->why);
	else
		read_status(object);
	text_done(&object->body);
	object->until_ns = clock_mono_ns() + object->owner->keep_ns;
	wake(object);
}

static int on_head(void *arg, const struct http_head *head)
{
	((struct object *)arg)->status = head->status;
	return 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct object *object = arg;

	if (object->status == 200)
		text_add_bytes(&object->body, data, len);
	return text_error(&object->body) ? -ENOMEM : 0;
}

static int start(struct object *object, struct pc_err *err)
{
	const struct kube_call_options options = {
		.path = object->path,
		.accept = ACCEPT,
		.total_ns = TOTAL_NS,
		.max_body = BODY_MAX,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = object,
	};

	object->body.max = BODY_MAX;
	return kube_call_start(object->owner->client, &options, &object->call, err);
}

static struct object *new_object(struct kube_annotations *a, enum kind kind, const char *path)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->owner = a;
	object->kind = kind;
	strcpy(object->path, path);
	object->key.key = object->path;
	if (keyed_add(&a->tree, object) < 0) {
		free(object);
		return NULL;
	}
	object->next = a->objects;
	object->prev = &a->objects;
	if (object->next)
		object->next->prev = &object->next;
	a->objects = object;
	a->n_objects++;
	return object;
}

static int too_many(struct pc_err *err)
{
	return pc_err_set(err, -EBUSY, "too many pods ask for annotations at once; try again");
}

/* Whoever still reads it keeps it. */
static void replace(struct object *object)
{
	if (!object->users) {
		free_object(object);
		return;
	}
	keyed_remove(&object->owner->tree, object);
	object->replaced = true;
}

/* Asked for anew. */
static int ask(struct kube_annotations *a, enum kind kind, const char *path, struct object **ret,
	       struct pc_err *err)
{
	struct object *object;
	int r;

	if (a->n_objects >= OBJECTS_MAX)
		sweep(a);
	if (a->n_objects >= OBJECTS_MAX)
		return too_many(err);
	object = new_object(a, kind, path);
	if (!object)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = start(object, err);
	if (r < 0)
		free_object(object);
	else
		*ret = object;
	return r;
}

/* uid (NULL: any): what is kept of a predecessor with that name does not count. */
static int need(struct kube_annotations *a, enum kind kind, const char *path, const char *uid,
		struct object **ret, struct pc_err *err)
{
	struct object *object = keyed_find(&a->tree, path);

	if (object && is_fresh(object) && (object->call || !uid || strcmp(object->uid, uid) == 0)) {
		*ret = object;
		return 0;
	}
	if (object)
		replace(object);
	return ask(a, kind, path, ret, err);
}

/* ---- calls ---- */

static void free_call(struct kube_annotations_call *call)
{
	for (size_t i = 0; i < KINDS; i++)
		if (call->objects[i])
			call->objects[i]->users--;
	*call->prev = call->next;
	if (call->next)
		call->next->prev = call->prev;
	call->owner->n_calls--;
	loop_timer_free(call->timer);
	free(call);
}

static const char *value(const struct object *object, const char *name)
{
	return object ? json_string_value(json_object_get(object->annotations, name)) : NULL;
}

static void read_annotations(const struct kube_annotations_call *call, struct cred_annotations *ret)
{
	const struct object *account = call->objects[KIND_SERVICE_ACCOUNT];
	const struct object *pod = call->objects[KIND_POD];
	const struct object *name_space = call->objects[KIND_NAMESPACE];

	*ret = (struct cred_annotations){
		.irsa_role = value(account, CRED_IRSA_ROLE),
		.irsa_audience = value(account, CRED_IRSA_AUDIENCE),
		.role = value(pod, CRED_IAM_ROLE),
		.external_id = value(pod, CRED_IAM_EXTERNAL),
		.session_name = value(pod, CRED_IAM_SESSION),
		.allowed_roles = value(name_space, CRED_IAM_ALLOWED),
		.permitted = value(name_space, CRED_IAM_PERMITTED),
	};
}

/* A service account or a namespace that does not exist has no annotations; of a pod, nothing is known then. */
static void read_errors(const struct kube_annotations_call *call,
			struct kube_annotations_result *ret)
{
	const struct object *pod = call->objects[KIND_POD];

	for (size_t i = 0; i < KINDS && !ret->error; i++) {
		const struct object *object = call->objects[i];

		if (!object || !object->error || (object->error == -ENOENT && i != KIND_POD))
			continue;
		ret->error = object->error == -ENOENT ? -ESTALE : object->error;
		ret->why = object->why;
	}
	if (!ret->error && pod && strcmp(pod->uid, call->uid) != 0) {
		ret->error = -ESTALE;
		ret->why = "the API server has another pod of that name by now";
	}
}

static void answer(void *arg)
{
	struct kube_annotations_call *call = arg;
	struct kube_annotations_result result = {.why = ""};

	read_errors(call, &result);
	if (!result.error)
		read_annotations(call, &result.annotations);
	call->done(call->arg, &result);
	free_call(call);
}

static int need_all(struct kube_annotations *a, const struct cred_pod *pod,
		    struct kube_annotations_call *call, struct pc_err *err)
{
	char paths[KINDS][PATH_SIZE];
	const bool wanted[KINDS] = {a->irsa, a->iam, a->iam};

	snprintf(paths[KIND_SERVICE_ACCOUNT], PATH_SIZE, "/api/v1/namespaces/%s/serviceaccounts/%s",
		 pod->namespace, pod->service_account);
	snprintf(paths[KIND_POD], PATH_SIZE, "/api/v1/namespaces/%s/pods/%s", pod->namespace,
		 pod->name);
	snprintf(paths[KIND_NAMESPACE], PATH_SIZE, "/api/v1/namespaces/%s", pod->namespace);
	for (size_t i = 0; i < KINDS; i++) {
		int r = !wanted[i] ? 0
				   : need(a, (enum kind)i, paths[i],
					  i == KIND_POD ? pod->uid : NULL, &call->objects[i], err);

		if (r < 0)
			return r;
		if (!call->objects[i])
			continue;
		call->objects[i]->users++;
		call->pending += call->objects[i]->call != NULL;
	}
	return 0;
}

static struct kube_annotations_call *new_call(struct kube_annotations *a)
{
	struct kube_annotations_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	if (loop_timer_new(a->loop, answer, call, &call->timer) < 0) {
		free(call);
		return NULL;
	}
	call->owner = a;
	call->next = a->calls;
	call->prev = &a->calls;
	if (call->next)
		call->next->prev = &call->next;
	a->calls = call;
	a->n_calls++;
	return call;
}

/* They become part of a path. */
static bool is_pod(const struct cred_pod *pod)
{
	return k8s_is_label(pod->namespace, strlen(pod->namespace)) &&
	       k8s_is_subdomain(pod->name, strlen(pod->name)) &&
	       k8s_is_subdomain(pod->service_account, strlen(pod->service_account)) &&
	       strlen(pod->uid) < KUBE_UID_SIZE;
}

int kube_annotations_get(struct kube_annotations *a, const struct cred_pod *pod,
			 kube_annotations_fn *done, void *arg, struct kube_annotations_call **ret,
			 struct pc_err *err)
{
	struct kube_annotations_call *call;
	int r;

	if (!is_pod(pod))
		return pc_err_set(err, -EINVAL, "not the name of a pod");
	if (a->n_calls >= CALLS_MAX)
		return too_many(err);
	call = new_call(a);
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->done = done;
	call->arg = arg;
	strcpy(call->uid, pod->uid);
	r = need_all(a, pod, call, err);
	if (r < 0) {
		free_call(call);
		return r;
	}
	if (!call->pending)
		loop_timer_after(call->timer, 0);
	*ret = call;
	return 0;
}

struct kube_annotations_call *kube_annotations_cancel(struct kube_annotations_call *call)
{
	if (call)
		free_call(call);
	return NULL;
}

/* ---- from outside ---- */

void kube_annotations_gone(struct kube_annotations *a, const char *uid)
{
	for (struct object *object = a->objects; object; object = object->next)
		if (object->kind == KIND_POD && !strcmp(object->uid, uid))
			object->until_ns = 0; /* the next sweep frees it, and nobody is given it */
}

int kube_annotations_new(struct loop *loop, struct kube_client *client, bool irsa, bool iam,
			 unsigned keep_ms, struct kube_annotations **ret)
{
	struct kube_annotations *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	*a = (struct kube_annotations){
		.loop = loop,
		.client = client,
		.irsa = irsa,
		.iam = iam,
		.keep_ns = (keep_ms ?: KEEP_MS) * CLOCK_MS,
	};
	r = loop_every(loop, a->keep_ns, a->keep_ns, sweep, a, &a->sweeper);
	if (r < 0) {
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct kube_annotations *kube_annotations_free(struct kube_annotations *a)
{
	if (!a)
		return NULL;
	while (a->calls)
		free_call(a->calls);
	while (a->objects)
		free_object(a->objects);
	loop_timer_free(a->sweeper);
	free(a);
	return NULL;
}
