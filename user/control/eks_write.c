// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/timestamp.h"
#include "control/eks_call.h"
#include "credentials/associations.h"
#include "crypto/hash.h"

#define DIGEST_SIZE (2 * CRYPTO_SHA256_SIZE + 1)

/* ---- what is to be in an object ---- */

/* By the one parser of associations, so that nothing is stored that would not be used. */
static int check_spec(struct eks_call *call, const json_t *spec)
{
	_cleanup_free_ char *text = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
	struct cred_table *table = NULL;
	struct pc_err err = {};
	int r = text ? cred_table_parse_spec("the association", CRED_ORIGIN_OBJECT,
					     call->name_space, call->name, text, strlen(text),
					     &table, &err)
		     : -ENOMEM;

	cred_table_unref(table);
	if (r < 0)
		eks_call_invalid(call, r == -ENOMEM ? "out of memory" : err.msg);
	return r;
}

/* Default deny. It is asked again whenever credentials are made. */
static int check_role(struct eks_call *call, const json_t *spec)
{
	struct cred_rights_answer answer = {};

	kube_role_policies_ask(call->api->policies, call->name_space,
			       json_string_value(json_object_get(spec, "roleArn")),
			       json_string_value(json_object_get(spec, "targetRoleArn")), &answer);
	if (answer.right == CRED_RIGHT_ALLOWED)
		return 0;
	if (answer.right == CRED_RIGHT_UNKNOWN)
		eks_call_refuse(call, 500, "ServerException",
				"which roles the namespace may have is not known yet: %s",
				answer.why);
	else
		eks_call_invalid(call, answer.why);
	return -EPERM;
}

/* An empty text takes the member away. */
static void set_member(json_t *spec, const json_t *body, const char *key)
{
	json_t *value = json_object_get(body, key);

	if (!value)
		return;
	if (json_is_string(value) && !json_string_length(value))
		json_object_del(spec, key);
	else
		json_object_set(spec, key, value);
}

static void set_members(json_t *spec, const json_t *body)
{
	static const char *const keys[] = {"roleArn", "targetRoleArn", "policy",
					   "disableSessionTags"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		set_member(spec, body, keys[i]);
}

/* ---- create ---- */

/* Of all that the request says but its token: the same token with another digest is another request. */
static int digest_of(const json_t *body, char ret[DIGEST_SIZE])
{
	json_t *copy = json_copy((json_t *)body);
	_cleanup_free_ char *text = NULL;
	uint8_t hash[CRYPTO_SHA256_SIZE];

	json_object_del(copy, "clientRequestToken");
	text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	if (!text || crypto_sha256(text, strlen(text), hash) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
	return 0;
}

static json_t *make_object(const struct eks_call *call, json_t *spec)
{
	const char *token = eks_request_text(&call->request, "clientRequestToken");
	json_t *annotations = json_object();
	char digest[DIGEST_SIZE];

	if (token && token[0] && digest_of(call->request.body, digest) == 0) {
		json_object_set_new(annotations, EKS_TOKEN_ANNOTATION, json_string(token));
		json_object_set_new(annotations, EKS_DIGEST_ANNOTATION, json_string(digest));
	}
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:o}, s:O}", "apiVersion", "podcred.io/v1alpha1",
			 "kind", "PodIdentityAssociation", "metadata", "name", call->name,
			 "namespace", call->name_space, "annotations", annotations, "spec", spec);
}

static const char *annotation(const json_t *object, const char *key)
{
	const json_t *metadata = json_object_get(object, "metadata");

	return json_string_value(json_object_get(json_object_get(metadata, "annotations"), key));
}

/* Whether it is what this very request has made before, when its answer was lost. */
static void answer_existing(struct eks_call *call, const json_t *object)
{
	const char *token = eks_request_text(&call->request, "clientRequestToken");
	const char *before = annotation(object, EKS_TOKEN_ANNOTATION);
	const struct eks_object *o;
	char digest[DIGEST_SIZE] = "";

	eks_store_put(call->api->store, object);
	o = eks_store_find(call->api->store, call->name_space, call->name);
	if (!o) {
		eks_call_refuse(call, 500, "ServerException",
				"the association cannot be read; try again");
		return;
	}
	if (!token || !token[0] || !before || strcmp(token, before) != 0) {
		eks_call_refuse(call, 409, "ResourceInUseException",
				"Association already exists: %s", o->id);
		return;
	}
	before = annotation(object, EKS_DIGEST_ANNOTATION);
	if (digest_of(call->request.body, digest) < 0 || !before || strcmp(before, digest) != 0)
		eks_call_refuse(call, 400, "InvalidRequestException",
				"this clientRequestToken has made an association with other "
				"parameters: %s; use another token",
				o->id);
	else
		eks_call_answer(call, json_pack("{s:o}", "association",
						eks_association(&call->api->cluster, o)));
}

static void on_existing(void *arg, const struct kube_object_result *result)
{
	struct eks_call *call = arg;

	call->write = NULL;
	if (result->outcome == KUBE_DONE)
		answer_existing(call, result->object);
	else if (result->outcome == KUBE_NOT_FOUND && call->tries++ < EKS_TRIES)
		eks_create(call); /* it has gone in between */
	else
		eks_call_failed(call, result);
}

static void ask_existing(struct eks_call *call)
{
	const struct kube_object_request request = {.verb = KUBE_GET,
						    .kind = &kube_kind_association,
						    .name_space = call->name_space,
						    .name = call->name,
						    .shape = &eks_shape,
						    .done = on_existing,
						    .arg = call};
	struct pc_err err = {};

	if (kube_object_start(call->api->options.kube, &request, &call->write, &err) < 0)
		eks_call_refuse(call, 500, "ServerException", "%s", err.msg);
}

static void answer_written(struct eks_call *call, const json_t *object)
{
	const struct eks_object *o = NULL;

	if (eks_store_put(call->api->store, object) == 0)
		o = eks_store_find(call->api->store, call->name_space, call->name);
	if (o)
		strcpy(call->id, o->id); /* for the log */
	if (!o)
		eks_call_refuse(call, 500, "ServerException",
				"it was written, but cannot be read; describe it");
	else if (call->request.op == EKS_TAG || call->request.op == EKS_UNTAG)
		eks_call_answer(call, json_object());
	else
		eks_call_answer(call, json_pack("{s:o}", "association",
						eks_association(&call->api->cluster, o)));
}

static void on_created(void *arg, const struct kube_object_result *result)
{
	struct eks_call *call = arg;

	call->write = NULL;
	if (result->outcome == KUBE_DONE)
		answer_written(call, result->object);
	else if (result->outcome == KUBE_EXISTS)
		ask_existing(call);
	else if (result->outcome == KUBE_NOT_FOUND)
		eks_call_refuse(call, 400, "InvalidParameterException",
				"there is no namespace %s in the cluster; make it first, or "
				"install podcred's kinds",
				call->name_space);
	else
		eks_call_failed(call, result);
}

static void create(struct eks_call *call)
{
	_cleanup_json_ json_t *spec = json_object();
	_cleanup_json_ json_t *object = NULL;
	struct kube_object_request request = {.verb = KUBE_CREATE,
					      .kind = &kube_kind_association,
					      .name_space = call->name_space,
					      .strict = true,
					      .shape = &eks_shape,
					      .done = on_created,
					      .arg = call};
	struct pc_err err = {};

	set_members(spec, call->request.body);
	set_member(spec, call->request.body, "tags");
	if (check_spec(call, spec) < 0 || check_role(call, spec) < 0)
		return;
	object = make_object(call, spec);
	request.body = object;
	if (kube_object_start(call->api->options.kube, &request, &call->write, &err) < 0)
		eks_call_invalid(call, err.msg);
}

void eks_create(struct eks_call *call)
{
	const char *name_space = eks_request_text(&call->request, "namespace");
	const char *name = eks_request_text(&call->request, "serviceAccount");

	if (!k8s_is_label(name_space, strlen(name_space))) {
		eks_call_invalid(call, "namespace is not the name of a namespace: up to 63 of "
				       "a-z, 0-9 and '-'");
		return;
	}
	if (!k8s_is_subdomain(name, strlen(name))) {
		eks_call_invalid(call, "serviceAccount is not the name of a service account: up to "
				       "253 of a-z, 0-9, '-' and '.'");
		return;
	}
	strcpy(call->name_space, name_space);
	strcpy(call->name, name);
	eks_call_authorize(call, "create", create);
}

/* ---- update, of the association or of its tags ---- */

static int set_tags(struct eks_call *call, json_t *spec)
{
	const struct eks_request *r = &call->request;
	json_t *tags = json_deep_copy(json_object_get(spec, "tags")) ?: json_object();

	if (r->op == EKS_TAG)
		json_object_update(tags, json_object_get(r->body, "tags"));
	for (size_t i = 0; i < r->n_tag_keys; i++)
		json_object_del(tags, r->tag_keys[i]);
	if (json_object_size(tags) > EKS_TAGS_MAX) {
		json_decref(tags);
		eks_call_invalid(call, "there would be more than 50 tags; remove some first");
		return -EINVAL;
	}
	if (json_object_size(tags))
		json_object_set(spec, "tags", tags);
	else
		json_object_del(spec, "tags");
	json_decref(tags);
	return 0;
}

/* Of members that are gone a merge patch says null; so it does of tags, one by one. */
static json_t *difference(const json_t *before, const json_t *after)
{
	json_t *patch = json_object(), *value;
	const char *key;

	json_object_foreach ((json_t *)after, key, value) {
		const json_t *old = json_object_get(before, key);

		if (json_is_object(value) && json_is_object(old))
			json_object_set_new(patch, key, difference(old, value));
		else if (!json_equal(old, value))
			json_object_set(patch, key, value);
	}
	json_object_foreach ((json_t *)before, key, value)
		if (!json_object_get(after, key))
			json_object_set_new(patch, key, json_null());
	return patch;
}

static json_t *make_patch(const struct eks_object *o, const json_t *spec)
{
	const json_t *metadata = json_object_get(o->object, "metadata");
	const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
	char now[TIMESTAMP_SIZE];

	if (!version || timestamp_format(time(NULL), now) < 0)
		return NULL;
	return json_pack("{s:{s:s, s:{s:s}}, s:o}", "metadata", "resourceVersion", version,
			 "annotations", EKS_MODIFIED_ANNOTATION, now, "spec",
			 difference(json_object_get(o->object, "spec"), spec));
}

/* Somebody else has written it meanwhile: once more, with what it is now. */
static void on_updated(void *arg, const struct kube_object_result *result)
{
	struct eks_call *call = arg;

	call->write = NULL;
	if (result->outcome == KUBE_DONE) {
		answer_written(call, result->object);
	} else if (result->outcome == KUBE_NOT_FOUND) {
		eks_store_drop(call->api->store, call->uid);
		eks_call_missing(call);
	} else if (result->outcome == KUBE_CONFLICT && call->tries++ < EKS_TRIES) {
		call->listed = false;
		eks_call_wait(call, eks_update);
	} else {
		eks_call_failed(call, result);
	}
}

static void write_update(struct eks_call *call, const struct eks_object *o, const json_t *spec)
{
	_cleanup_json_ json_t *patch = make_patch(o, spec);
	const struct kube_object_request request = {.verb = KUBE_MERGE,
						    .kind = &kube_kind_association,
						    .name_space = call->name_space,
						    .name = call->name,
						    .body = patch,
						    .strict = true,
						    .shape = &eks_shape,
						    .done = on_updated,
						    .arg = call};
	struct pc_err err = {};

	if (!patch || kube_object_start(call->api->options.kube, &request, &call->write, &err) < 0)
		eks_call_refuse(call, 500, "ServerException", "%s",
				err.msg[0] ? err.msg : "the association has no version");
}

static void update(struct eks_call *call)
{
	const struct eks_object *o = eks_store_find_id(call->api->store, call->id);
	_cleanup_json_ json_t *spec = NULL;

	if (!o) {
		eks_call_missing(call);
		return;
	}
	spec = json_deep_copy(json_object_get(o->object, "spec")) ?: json_object();
	if (call->request.op == EKS_UPDATE)
		set_members(spec, call->request.body);
	else if (set_tags(call, spec) < 0)
		return;
	if (check_spec(call, spec) < 0)
		return;
	if (call->request.op == EKS_UPDATE && check_role(call, spec) < 0)
		return;
	write_update(call, o, spec);
}

void eks_update(struct eks_call *call)
{
	if (eks_call_find(call, eks_update))
		eks_call_authorize(call, "update", update);
}

/* ---- delete ---- */

static void on_deleted(void *arg, const struct kube_object_result *result)
{
	struct eks_call *call = arg;

	call->write = NULL;
	if (result->outcome != KUBE_DONE && result->outcome != KUBE_NOT_FOUND &&
	    result->outcome != KUBE_CONFLICT) {
		eks_call_failed(call, result);
		return;
	}
	eks_store_drop(call->api->store, call->uid);
	if (result->outcome == KUBE_DONE)
		eks_call_answer(call, json_pack("{s:O}", "association", call->answered));
	else
		eks_call_missing(call);
}

static void delete (struct eks_call *call)
{
	const struct eks_object *o = eks_store_find_id(call->api->store, call->id);
	const struct kube_object_request request = {.verb = KUBE_DELETE,
						    .kind = &kube_kind_association,
						    .name_space = call->name_space,
						    .name = call->name,
						    .uid = call->uid,
						    .done = on_deleted,
						    .arg = call};
	struct pc_err err = {};

	if (!o) {
		eks_call_missing(call);
		return;
	}
	call->answered = eks_association(&call->api->cluster, o);
	if (kube_object_start(call->api->options.kube, &request, &call->write, &err) < 0)
		eks_call_refuse(call, 500, "ServerException", "%s", err.msg);
}

void eks_delete(struct eks_call *call)
{
	if (eks_call_find(call, eks_delete))
		eks_call_authorize(call, "delete", delete);
}
