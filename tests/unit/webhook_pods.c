// SPDX-License-Identifier: Apache-2.0
#include "webhook_pods.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/secret.h"

#define LABEL "eks.amazonaws.com/pod-identity"

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

static int found(void *arg, const char *name_space, const char *service_account,
		 struct control_found *ret)
{
	const struct webhook_try *try = arg;

	(void)name_space, (void)service_account;
	*ret = try->found;
	return 0;
}

static char *review_of(const json_t *pod)
{
	json_t *review =
		json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s, s:s}, s:s, s:s, s:O}}", "apiVersion",
			  "admission.k8s.io/v1", "kind", "AdmissionReview", "request", "uid", "u-1",
			  "kind", "group", "", "version", "v1", "kind", "Pod", "namespace", "shop",
			  "operation", "CREATE", "object", pod);
	char *text = review ? json_dumps(review, JSON_COMPACT) : NULL;

	json_decref(review);
	return text;
}

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "the answer: %s\n", what);
	abort();
}

json_t *webhook_try(const struct webhook_try *try, const json_t *pod, json_t **ret_warnings,
		    struct control_outcome *ret_outcome)
{
	_cleanup_free_ char *review = review_of(pod);
	_cleanup_secret_ char *patch = NULL;
	_cleanup_(text_done) struct text t = {};
	_cleanup_json_ json_t *answer = NULL;
	const json_t *response;
	json_t *operations = NULL;
	unsigned status;

	must(review, "no review of this pod");
	status = control_webhook(&try->inject, found, (void *)try, review, strlen(review), &t,
				 ret_outcome);
	if (status != 200)
		return NULL;
	answer = json_loadb(t.data, t.len, JSON_REJECT_DUPLICATES, NULL);
	response = json_object_get(answer, "response");
	must(response && json_is_true(json_object_get(response, "allowed")), "not allowed");
	must(!json_object_get(response, "patch") == !json_object_get(response, "patchType"),
	     "patch and patchType");
	if (json_object_get(response, "patch")) {
		must(base64_decode(json_string_value(json_object_get(response, "patch")), &patch,
				   NULL) == 0,
		     "base64");
		operations = json_loads(patch, JSON_REJECT_DUPLICATES, NULL);
		must(json_array_size(operations) > 0, "operations");
	}
	if (ret_warnings)
		*ret_warnings = json_deep_copy(json_object_get(response, "warnings"));
	return operations;
}

/* ---- another reader of patches ---- */

static char *unescaped(const char *from, size_t len)
{
	char *text = strndup(from, len), *to = text;

	for (const char *at = text; *at; at++)
		if (*at == '~' && (at[1] == '0' || at[1] == '1'))
			*to++ = *++at == '0' ? '~' : '/';
		else
			*to++ = *at;
	*to = 0;
	return text;
}

static bool number(const char *text, size_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9' || (*text == '0' && text[1]))
		return false;
	*ret = strtoul(text, &end, 10);
	return !*end;
}

static bool change(json_t *at, const char *last, const char *op, json_t *value)
{
	size_t n = json_array_size(at), i = n;
	bool adds = !strcmp(op, "add");

	if (json_is_object(at))
		return adds ? json_object_set(at, last, value) == 0
			    : json_object_del(at, last) == 0;
	if (!json_is_array(at) || (strcmp(last, "-") != 0 && !number(last, &i)))
		return false;
	if (adds)
		return value && i <= n && json_array_insert(at, i, value) == 0;
	return i < n && json_array_remove(at, i) == 0;
}

static bool do_one(json_t *at, const json_t *operation)
{
	const char *path = json_string_value(json_object_get(operation, "path")),
		   *op = json_string_value(json_object_get(operation, "op")), *end;
	_cleanup_json_ json_t *value = json_deep_copy(json_object_get(operation, "value"));
	_cleanup_free_ char *last = NULL;
	size_t i;

	if (!path || *path != '/' || !op || (strcmp(op, "add") != 0 && strcmp(op, "remove") != 0))
		return false;
	while ((end = strchr(path + 1, '/'))) {
		_cleanup_free_ char *token = unescaped(path + 1, (size_t)(end - path - 1));

		at = json_is_array(at) && number(token, &i) ? json_array_get(at, i)
							    : json_object_get(at, token);
		path = end;
	}
	last = unescaped(path + 1, strlen(path + 1));
	return at && change(at, last, op, value);
}

json_t *webhook_apply(const json_t *pod, const json_t *operations)
{
	json_t *copy = json_deep_copy(pod);
	const json_t *operation;
	size_t i;

	json_array_foreach (operations, i, operation) {
		if (do_one(copy, operation))
			continue;
		json_decref(copy);
		return NULL;
	}
	return copy;
}

/* ---- what was changed ---- */

static bool is_one_of(const json_t *entry, const char *const *names)
{
	const char *name = json_string_value(json_object_get(entry, "name"));

	for (; name && *names; names++)
		if (!strcmp(name, *names))
			return true;
	return false;
}

/* What was there is there, in its order, but for what may be taken out; what is new has one of these names. */
static bool only_added(const json_t *before, const json_t *after, const char *const *new_names,
		       const char *const *may_go)
{
	size_t j = 0;

	if (json_is_array(before) != json_is_array(after))
		return (!before || json_is_null(before)) && (!after || json_is_array(after))
			       ? true
			       : json_equal((json_t *)before, (json_t *)after);
	if (!json_is_array(before))
		return (!before && !after) || json_equal((json_t *)before, (json_t *)after);
	for (size_t i = 0; i < json_array_size(before); i++) {
		json_t *entry = json_array_get(before, i), *now = json_array_get(after, j);

		if (now && json_equal(entry, now))
			j++;
		else if (!is_one_of(entry, may_go))
			return false;
	}
	for (; j < json_array_size(after); j++)
		if (!is_one_of(json_array_get(after, j), new_names))
			return false;
	return true;
}

static const char *const none[] = {NULL};
static const char *const variables[] = {"AWS_CONTAINER_CREDENTIALS_FULL_URI",
					"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
					"AWS_ROLE_ARN",
					"AWS_WEB_IDENTITY_TOKEN_FILE",
					"AWS_ENDPOINT_URL_STS",
					"AWS_REGION",
					"AWS_DEFAULT_REGION",
					NULL};
static const char *const irsa[] = {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
				   "AWS_ENDPOINT_URL_STS", NULL};
static const char *const volumes[] = {"eks-pod-identity-token", "aws-iam-token", NULL};

static bool containers_hold(const json_t *before, const json_t *after, bool may_remove)
{
	size_t n = json_array_size(before);

	for (size_t i = 0; i < n; i++) {
		const json_t *b = json_array_get(before, i), *a = json_array_get(after, i);

		if (!only_added(json_object_get(b, "env"), json_object_get(a, "env"), variables,
				may_remove ? irsa : none) ||
		    !only_added(json_object_get(b, "volumeMounts"),
				json_object_get(a, "volumeMounts"), volumes, none))
			return false;
	}
	return n == json_array_size(after);
}

static void strip_containers(json_t *spec, const char *list)
{
	json_t *containers = json_object_get(spec, list), *container;
	size_t i;

	json_array_foreach (containers, i, container) {
		json_object_del(container, "env");
		json_object_del(container, "volumeMounts");
	}
}

/* What is left when all is taken away that may be changed. */
static json_t *rest_of(const json_t *pod)
{
	json_t *copy = json_deep_copy(pod), *metadata = json_object_get(copy, "metadata"),
	       *labels = json_object_get(metadata, "labels"), *spec = json_object_get(copy, "spec");

	json_object_del(labels, LABEL);
	if (json_is_null(labels) || (json_is_object(labels) && !json_object_size(labels)))
		json_object_del(metadata, "labels");
	json_object_del(spec, "volumes");
	strip_containers(spec, "containers");
	strip_containers(spec, "initContainers");
	return copy;
}

static const char *compare(const json_t *before, const json_t *after, bool may_remove)
{
	_cleanup_json_ json_t *a = rest_of(before), *b = rest_of(after);
	const json_t *spec = json_object_get(before, "spec"), *now = json_object_get(after, "spec");

	if (!json_equal(a, b))
		return "something else was changed";
	if (!only_added(json_object_get(spec, "volumes"), json_object_get(now, "volumes"), volumes,
			none))
		return "volumes were changed";
	if (!containers_hold(json_object_get(spec, "containers"),
			     json_object_get(now, "containers"), may_remove) ||
	    !containers_hold(json_object_get(spec, "initContainers"),
			     json_object_get(now, "initContainers"), may_remove))
		return "containers were changed";
	return NULL;
}

const char *webhook_broken(const struct webhook_try *try, const json_t *pod)
{
	struct control_outcome outcome;
	_cleanup_json_ json_t *operations = webhook_try(try, pod, NULL, &outcome), *after = NULL,
			      *again = NULL;
	const char *wrong;

	if (outcome.verdict == CONTROL_FAILED)
		return "a patch was made that does not apply";
	if (!operations)
		return NULL;
	after = webhook_apply(pod, operations);
	if (!after)
		return "the patch does not apply";
	wrong = compare(pod, after, try->inject.override_irsa);
	if (wrong)
		return wrong;
	again = webhook_try(try, after, NULL, &outcome);
	return again ? "a second call changes something" : NULL;
}
