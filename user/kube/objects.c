// SPDX-License-Identifier: Apache-2.0
#include "kube/objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/k8s_name.h"
#include "base/text.h"
#include "kube/client.h"
#include "kube/project.h"

#define TOTAL_NS   (10 * CLOCK_S)
#define MAX_ANSWER ((size_t)4 << 20)
#define MAX_BODY   ((size_t)3 << 20)
#define WHO_SIZE   400
#define WHY_SIZE   1200

const struct kube_kind kube_kind_association = {"podcred.io/v1alpha1", "podidentityassociations",
						"PodIdentityAssociation", true};
const struct kube_kind kube_kind_role_policy = {"podcred.io/v1alpha1", "podidentityrolepolicies",
						"PodIdentityRolePolicy", false};
const struct kube_kind kube_kind_pod = {"v1", "pods", "Pod", true};
const struct kube_kind kube_kind_service_account = {"v1", "serviceaccounts", "ServiceAccount",
						    true};
const struct kube_kind kube_kind_namespace = {"v1", "namespaces", "Namespace", false};

struct kube_object_call {
	struct kube_call *call;
	enum kube_verb verb;
	const struct project_shape *shape;
	void (*done)(void *arg, const struct kube_object_result *result);
	void *arg;
	unsigned status;
	uint64_t retry_after_ns;
	struct text answer;
	char who[WHO_SIZE]; /* for messages */
};

const char *kube_outcome_name(enum kube_outcome outcome)
{
	static const char *const names[] = {
		[KUBE_DONE] = "done",
		[KUBE_NOT_FOUND] = "not_found",
		[KUBE_EXISTS] = "exists",
		[KUBE_CONFLICT] = "conflict",
		[KUBE_INVALID] = "invalid",
		[KUBE_FORBIDDEN] = "forbidden",
		[KUBE_UNAVAILABLE] = "unavailable",
		[KUBE_BROKEN] = "broken",
	};

	return names[outcome];
}

struct kube_object_call *kube_object_cancel(struct kube_object_call *call)
{
	if (!call)
		return NULL;
	kube_call_cancel(call->call);
	text_done(&call->answer);
	free(call);
	return NULL;
}

static void cleanup_call(struct kube_object_call **call)
{
	kube_object_cancel(*call);
}

/* ---- what verbs are ---- */

static const struct verb {
	const char *method, *content_type;
	const char *does; /* "cannot VERB" */
	bool named; /* its path has the object's name */
	bool writes; /* it has a body */
} verbs[] = {
	[KUBE_GET] = {"GET", NULL, "get", true, false},
	[KUBE_LIST] = {"GET", NULL, "list", false, false},
	[KUBE_CREATE] = {"POST", "application/json", "create", false, true},
	[KUBE_REPLACE] = {"PUT", "application/json", "update", true, true},
	[KUBE_MERGE] = {"PATCH", "application/merge-patch+json", "patch", true, true},
	[KUBE_JSON_PATCH] = {"PATCH", "application/json-patch+json", "patch", true, true},
	[KUBE_APPLY] = {"PATCH", "application/apply-patch+yaml", "patch", true, true},
	[KUBE_DELETE] = {"DELETE", "application/json", "delete", true, false},
};

/* ---- the answer ---- */

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static enum kube_outcome outcome_of(unsigned status, const char *reason)
{
	switch (status) {
	case 200 ... 299:
		return KUBE_DONE;
	case 400:
	case 413:
	case 415:
	case 422:
		return KUBE_INVALID;
	case 401:
	case 403:
		return KUBE_FORBIDDEN;
	case 404:
		return KUBE_NOT_FOUND;
	case 409:
		return strcmp(reason, "AlreadyExists") ? KUBE_CONFLICT : KUBE_EXISTS;
	case 429:
	case 500 ... 599:
		return KUBE_UNAVAILABLE;
	default:
		return KUBE_BROKEN;
	}
}

static void read_causes(const json_t *status, struct kube_object_result *result)
{
	const json_t *causes = json_object_get(json_object_get(status, "details"), "causes");
	const json_t *cause;
	size_t i;

	json_array_foreach (causes, i, cause)
		if (result->n_causes < KUBE_CAUSES_MAX)
			result->causes[result->n_causes++] = (struct kube_cause){
				text_of(cause, "field"), text_of(cause, "message")};
}

/* Its words may repeat what somebody has written. */
static void clean(char *line)
{
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

static const char *next_step(enum kube_outcome outcome)
{
	switch (outcome) {
	case KUBE_EXISTS:
		return "; it is there already";
	case KUBE_CONFLICT:
		return "; look at it again, and repeat what is still to be done";
	case KUBE_FORBIDDEN:
		return "; ask for the right to do so";
	case KUBE_UNAVAILABLE:
		return "; try again later";
	default:
		return "";
	}
}

static void explain(const struct kube_object_call *call, struct kube_object_result *result,
		    const char *words, char why[WHY_SIZE])
{
	snprintf(why, WHY_SIZE, "cannot %s %s: %.600s%s", verbs[call->verb].does, call->who, words,
		 next_step(result->outcome));
	clean(why);
	result->why = why;
}

/* An error, whose body is a Status if it is the API server's own. */
static void read_status(const struct kube_object_call *call, json_t *status,
			struct kube_object_result *result, char why[WHY_SIZE])
{
	char words[64];

	result->outcome = outcome_of(call->status, text_of(status, "reason"));
	result->message = text_of(status, "message");
	result->retry_after_ns = call->retry_after_ns;
	read_causes(status, result);
	snprintf(words, sizeof(words), "the API server answers with status %u", call->status);
	explain(call, result, *result->message ? result->message : words, why);
}

static int parse(const struct kube_object_call *call, json_t **ret, struct pc_err *err)
{
	json_error_t error;

	if (call->shape && call->status < 300)
		return kube_project_json(call->answer.data ?: "", call->answer.len, call->shape,
					 ret, err);
	*ret = json_loadb(call->answer.data ?: "", call->answer.len, JSON_ALLOW_NUL, &error);
	return *ret ? 0 : pc_err_set(err, -EPROTO, "the answer is no JSON (%.100s)", error.text);
}

static void read_answer(const struct kube_object_call *call, json_t **json,
			struct kube_object_result *result, char why[WHY_SIZE])
{
	struct pc_err err = {};
	int r = parse(call, json, &err);

	if (call->status >= 300) {
		read_status(call, *json, result, why);
		return;
	}
	if (r == 0 && json_is_object(*json)) {
		result->outcome = KUBE_DONE;
		result->object = *json;
		return;
	}
	result->outcome = KUBE_BROKEN;
	explain(call, result, r < 0 ? err.msg : "the answer is no object", why);
}

static enum kube_outcome outcome_of_error(int error)
{
	return error == -ENOMEM || error == -EMSGSIZE || error == -E2BIG ? KUBE_BROKEN
	       : error == -EACCES					 ? KUBE_FORBIDDEN
									 : KUBE_UNAVAILABLE;
}

static void on_done(void *arg, const struct http_result *http)
{
	_cleanup_(cleanup_call) struct kube_object_call *call = arg;
	_cleanup_json_ json_t *json = NULL;
	struct kube_object_result result = {.status = call->status, .why = "", .message = ""};
	char why[WHY_SIZE];

	call->call = NULL;
	if (http->error) {
		result.outcome = outcome_of_error(http->error);
		explain(call, &result, http->why, why);
	} else {
		read_answer(call, &json, &result, why);
	}
	call->done(call->arg, &result);
}

static int on_head(void *arg, const struct http_head *head)
{
	struct kube_object_call *call = arg;

	call->status = head->status;
	call->retry_after_ns = head->retry_after_ns;
	return 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct kube_object_call *call = arg;

	text_add_bytes(&call->answer, data, len);
	return text_error(&call->answer);
}

/* ---- the question ---- */

static bool is_name(const char *name)
{
	return name && k8s_is_subdomain(name, strlen(name));
}

static bool is_addressable(const struct kube_object_request *request)
{
	const struct verb *verb = &verbs[request->verb];
	const char *space = request->name_space;

	if (space && !k8s_is_label(space, strlen(space)))
		return false;
	if (request->kind->namespaced && !space && request->verb != KUBE_LIST)
		return false;
	return verb->named ? is_name(request->name) : true;
}

static void add_query(struct text *t, const struct kube_object_request *request)
{
	const struct verb *verb = &verbs[request->verb];
	char sign = '?';

	if (request->query) {
		text_addf(t, "%c", sign);
		text_add(t, request->query);
		sign = '&';
	}
	if (verb->writes) {
		text_addf(t, "%cfieldManager=%s&fieldValidation=%s", sign,
			  request->manager ?: "podcred", request->strict ? "Strict" : "Ignore");
		if (request->verb == KUBE_APPLY && request->force)
			text_add(t, "&force=true");
	}
}

/* With its NUL. */
static void write_path(struct text *t, const struct kube_object_request *request)
{
	const struct kube_kind *kind = request->kind;

	text_addf(t, "/%s/%s", strchr(kind->version, '/') ? "apis" : "api", kind->version);
	if (kind->namespaced && request->name_space)
		text_addf(t, "/namespaces/%s", request->name_space);
	text_addf(t, "/%s", kind->plural);
	if (verbs[request->verb].named) {
		text_add(t, "/");
		text_add(t, request->name);
	}
	if (request->subresource)
		text_addf(t, "/%s", request->subresource);
	add_query(t, request);
	text_add_bytes(t, "", 1);
}

static void add_preconditions(struct text *t, const struct kube_object_request *request)
{
	text_add(t, "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"");
	if (request->uid || request->resource_version)
		text_add(t, ",\"preconditions\":{");
	if (request->uid)
		text_add_member(t, "uid", request->uid);
	if (request->resource_version)
		text_add_member(t, "resourceVersion", request->resource_version);
	text_add(t, request->uid || request->resource_version ? "}}" : "}");
}

static int add_json(const char *buffer, size_t size, void *data)
{
	text_add_bytes(data, buffer, size);
	return text_error(data);
}

static void write_body(struct text *t, const struct kube_object_request *request)
{
	t->max = MAX_BODY;
	if (request->verb == KUBE_DELETE)
		add_preconditions(t, request);
	else if (verbs[request->verb].writes &&
		 json_dump_callback(request->body, add_json, t, JSON_COMPACT) < 0 && !t->error)
		t->error = -EINVAL;
}

static void name(struct kube_object_call *call, const struct kube_object_request *request)
{
	const char *object =
		request->name
			?: json_string_value(json_object_get(
				   json_object_get(request->body, "metadata"), "name"));
	const char *space = request->kind->namespaced ? request->name_space : NULL;

	snprintf(call->who, sizeof(call->who), "%s%s%.64s%s%.255s", request->kind->kind,
		 space || object ? " " : " objects", space ?: "", space && object ? "/" : "",
		 object ?: "");
}

static int start(struct kube_client *client, struct kube_object_call *call,
		 const struct kube_object_request *request, struct pc_err *err)
{
	_cleanup_(text_done) struct text path = {}, body = {};
	struct kube_call_options options = {
		.method = verbs[request->verb].method,
		.content_type = verbs[request->verb].content_type,
		.total_ns = request->total_ns ?: TOTAL_NS,
		.max_body = call->answer.max,
		.on_head = on_head,
		.on_data = on_data,
		.on_done = on_done,
		.arg = call,
	};
	int r;

	write_path(&path, request);
	write_body(&body, request);
	r = text_error(&path) ?: text_error(&body);
	if (r < 0)
		return pc_err_set(err, r, "cannot write %s: %s", call->who, strerror(-r));
	options.path = path.data;
	options.body = body.data;
	options.body_len = body.len;
	return kube_call_start(client, &options, &call->call, err);
}

int kube_object_start(struct kube_client *client, const struct kube_object_request *request,
		      struct kube_object_call **ret, struct pc_err *err)
{
	_cleanup_(cleanup_call) struct kube_object_call *call = NULL;
	int r;

	if (!is_addressable(request))
		return pc_err_set(err, -EINVAL, "not the name of a %s", request->kind->kind);
	call = calloc(1, sizeof(*call));
	if (!call)
		return pc_err_set(err, -ENOMEM, "no memory");
	call->verb = request->verb;
	call->shape = request->shape;
	call->done = request->done;
	call->arg = request->arg;
	call->answer.max = request->max_body ?: MAX_ANSWER;
	name(call, request);
	r = start(client, call, request, err);
	if (r == 0)
		*ret = TAKE_PTR(call);
	return r;
}
