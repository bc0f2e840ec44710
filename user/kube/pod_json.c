// SPDX-License-Identifier: Apache-2.0
#include "kube/pod_json.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/k8s_name.h"
#include "kube/project.h"

#define ANNOTATION_HASH	  "kubernetes.io/config.hash"
#define ANNOTATION_MIRROR "kubernetes.io/config.mirror"
#define ANNOTATION_ACTION "podcred.io/action"
#define ANNOTATION_IMDSV2 "podcred.io/imdsv2"

#define FROM_API "take the list from the API (kubectl get pods -o json), which fills it"

static const struct project_shape annotations_shape[] = {{.key = ANNOTATION_HASH},
							 {.key = ANNOTATION_MIRROR},
							 {.key = ANNOTATION_ACTION},
							 {.key = ANNOTATION_IMDSV2},
							 {}};
const struct project_shape kube_pod_json_metadata[] = {
	{.key = "namespace"},
	{.key = "name"},
	{.key = "uid"},
	{.key = "resourceVersion"},
	{.key = "labels", .any = true},
	{.key = "annotations", .members = annotations_shape},
	{}};
const struct project_shape kube_pod_json_spec[] = {
	{.key = "serviceAccountName"}, {.key = "hostNetwork"}, {.key = "nodeName"}, {}};
static const struct project_shape state_shape[] = {{.key = "running"}, {}};
static const struct project_shape container_shape[] = {{.key = "state", .members = state_shape},
						       {}};
const struct project_shape kube_pod_json_status[] = {
	{.key = "containerStatuses", .members = container_shape, .list = true}, {}};

const char *kube_pod_json_quote(const char *text, char buf[POD_JSON_QUOTE_SIZE])
{
	size_t n = 0;

	buf[n++] = '"';
	for (; *text && n < POD_JSON_QUOTE_SIZE - 5; text++)
		buf[n++] = *text < ' ' || *text > '~' || *text == '"' ? '?' : *text;
	if (*text) {
		memcpy(buf + n, "...", 3);
		n += 3;
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return buf;
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return kube_project_defect(value) ?: "a mapping";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_NULL:
		return "null";
	default:
		return "a boolean";
	}
}

struct text_field {
	const char *path; /* for messages */
	const char *key;
	bool (*valid)(const char *s, size_t len);
	const char *want;
};

/* Missing and null are the same; a mark is neither. */
static bool is_absent(const json_t *value)
{
	return !value || json_is_null(value);
}

static bool is_mapping(const json_t *value)
{
	return json_is_object(value) && !kube_project_defect(value);
}

/* *ret_text NULL: missing or null. */
static int get_text(const json_t *object, const char *path, const char *key, const char **ret_text,
		    size_t *ret_len, struct pc_err *err)
{
	const json_t *value = json_object_get(object, key);

	*ret_text = NULL;
	*ret_len = 0;
	if (is_absent(value))
		return 0;
	if (!json_is_string(value))
		return pc_err_set(err, -EINVAL, "%s is %s; write it as a string, in quotes", path,
				  type_name(value));
	*ret_text = json_string_value(value);
	*ret_len = json_string_length(value);
	return 0;
}

/* 1: copied; 0: missing; -EINVAL. size has room for the longest that valid() lets through. */
static int copy_text(const json_t *object, const struct text_field *field, char *to, size_t size,
		     struct pc_err *err)
{
	char quoted[POD_JSON_QUOTE_SIZE];
	const char *text;
	size_t len;
	int r;

	r = get_text(object, field->path, field->key, &text, &len, err);
	if (r < 0 || !text)
		return r;
	if (len >= size || !field->valid(text, len))
		return pc_err_set(err, -EINVAL, "%s is %s, not %s; correct it", field->path,
				  kube_pod_json_quote(text, quoted), field->want);
	memcpy(to, text, len);
	to[len] = '\0';
	return 1;
}

static int decode_uid(const json_t *metadata, struct pod_name *pod, bool *ret_is_static,
		      struct pc_err *err)
{
	char quoted[POD_JSON_QUOTE_SIZE];
	const char *text;
	size_t len;
	int r;

	r = get_text(metadata, "metadata.uid", "uid", &text, &len, err);
	if (r < 0)
		return r;
	if (!text)
		return pc_err_set(err, -EINVAL, "metadata.uid is missing; " FROM_API);
	if (pod_uid_canonical(text, len, '-', pod->uid, ret_is_static) < 0)
		return pc_err_set(
			err, -EINVAL,
			"metadata.uid is %s, not a pod uid (8-4-4-4-12 or 32 hex digits); "
			"correct it",
			kube_pod_json_quote(text, quoted));
	return 0;
}

static int decode_metadata(const json_t *metadata, struct pod_name *pod, bool *ret_is_static,
			   struct pc_err *err)
{
	static const struct text_field name_space = {"metadata.namespace", "namespace",
						     k8s_is_label,
						     "a namespace (1 to 63 of a-z 0-9 -)"};
	static const struct text_field name = {"metadata.name", "name", k8s_is_subdomain,
					       "a pod name (1 to 253 of a-z 0-9 - .)"};
	int r;

	if (is_absent(metadata))
		return pc_err_set(err, -EINVAL, "metadata is missing; " FROM_API);
	if (!is_mapping(metadata))
		return pc_err_set(err, -EINVAL, "metadata is %s; write a mapping",
				  type_name(metadata));
	r = copy_text(metadata, &name, pod->name, sizeof(pod->name), err);
	if (r == 0)
		r = pc_err_set(err, -EINVAL, "metadata.name is missing; " FROM_API);
	if (r < 0)
		return r;
	r = copy_text(metadata, &name_space, pod->name_space, sizeof(pod->name_space), err);
	if (r == 0)
		r = pc_err_set(err, -EINVAL, "metadata.namespace is missing; " FROM_API);
	if (r < 0)
		return r;
	return decode_uid(metadata, pod, ret_is_static, err);
}

/* The hash of a mirror pod, empty when none of the two is one: a config hash, or the uid that the
 * manifest of a static pod has itself. */
static void take_hash(const json_t *annotations, const char *key, char hash[POD_UID_SIZE])
{
	const json_t *value = json_object_get(annotations, key);
	bool is_static;

	if (!hash[0] && json_is_string(value))
		pod_uid_canonical(json_string_value(value), json_string_length(value), '-', hash,
				  &is_static);
}

/* Anybody may write config.hash; only of a mirror pod does it say which cgroup is its own. */
static int decode_annotations(const json_t *annotations, struct pod_name *pod, bool *is_static,
			      struct pc_err *err)
{
	if (!is_absent(annotations) && !is_mapping(annotations))
		return pc_err_set(err, -EINVAL, "metadata.annotations is %s; write a mapping",
				  type_name(annotations));
	if (is_absent(json_object_get(annotations, ANNOTATION_MIRROR)))
		return 0;
	*is_static = true;
	take_hash(annotations, ANNOTATION_MIRROR, pod->config_hash);
	take_hash(annotations, ANNOTATION_HASH, pod->config_hash);
	return 0;
}

/* An annotation may only tighten what the policy says. So one that cannot be understood, or asks for more,
 * counts as the strictest: what was meant to protect the pod is never without effect. */
static void take_wishes(const json_t *annotations, struct pod_name *pod)
{
	static const char redirect[] = "redirect";
	const json_t *action = json_object_get(annotations, ANNOTATION_ACTION);
	bool is_redirect = json_string_length(action) == sizeof(redirect) - 1 &&
			   strcmp(json_string_value(action), redirect) == 0;

	if (!is_absent(action))
		pod->asks |= is_redirect ? POD_ASKS_REDIRECT : POD_ASKS_DENY;
	if (!is_absent(json_object_get(annotations, ANNOTATION_IMDSV2)))
		pod->asks |= POD_ASKS_IMDSV2;
}

/* What is odd costs the pod its exemptions, not its name. */
static void take_labels(const json_t *labels, struct pod_name *pod)
{
	char text[POD_LABELS_MAX];
	const json_t *value;
	const char *key;
	size_t size = 0;

	_Static_assert(POD_LABELS_MAX >= KUBE_PROJECT_ANY_MAX, "room for all that is kept");
	if (!is_absent(labels) && !is_mapping(labels))
		return;
	json_object_foreach ((json_t *)labels, key, value) {
		size_t key_size = strlen(key) + 1, value_size = json_string_length(value) + 1;

		if (!json_is_string(value) || strlen(json_string_value(value)) + 1 != value_size ||
		    size + key_size + value_size > sizeof(text))
			return;
		memcpy(text + size, key, key_size);
		memcpy(text + size + key_size, json_string_value(value), value_size);
		size += key_size + value_size;
	}
	pod->labels = size ? pod_labels_new(text, size) : NULL;
	pod->labels_known = !size || pod->labels;
}

static int decode_spec(const json_t *spec, bool is_static, struct pod_name *pod, struct pc_err *err)
{
	static const struct text_field service_account = {
		"spec.serviceAccountName", "serviceAccountName", k8s_is_subdomain,
		"a service account name (1 to 253 of a-z 0-9 - .)"};
	const json_t *host_network = json_object_get(spec, "hostNetwork");
	const json_t *account = json_object_get(spec, "serviceAccountName");
	int r = 0;

	if (!is_absent(spec) && !is_mapping(spec))
		return pc_err_set(err, -EINVAL, "spec is %s; write a mapping", type_name(spec));
	if (!is_absent(host_network) && !json_is_boolean(host_network))
		return pc_err_set(err, -EINVAL, "spec.hostNetwork is %s; write true or false",
				  type_name(host_network));
	pod->host_network = json_is_true(host_network);
	/* Go leaves empty strings out, or not. */
	if (!json_is_string(account) || json_string_length(account))
		r = copy_text(spec, &service_account, pod->service_account,
			      sizeof(pod->service_account), err);
	if (r == 0 && !is_static)
		memcpy(pod->service_account, "default", sizeof("default"));
	return r < 0 ? r : 0;
}

/* Written by the kubelet, and only believed for a warning: what is odd counts as no. */
static bool has_running_container(const json_t *status)
{
	const json_t *list = json_object_get(status, "containerStatuses");
	const json_t *container;
	size_t i;

	json_array_foreach (list, i, container)
		if (json_is_object(json_object_get(json_object_get(container, "state"), "running")))
			return true;
	return false;
}

int kube_pod_json_decode(const json_t *json, struct pod_name *ret, struct pc_err *err)
{
	const json_t *metadata = json_object_get(json, "metadata");
	struct pod_name pod = {0};
	bool is_static = false;
	int r;

	if (!is_mapping(json))
		return pc_err_set(err, -EINVAL, "is %s; write a Pod", type_name(json));
	r = decode_metadata(metadata, &pod, &is_static, err);
	if (r == 0)
		r = decode_annotations(json_object_get(metadata, "annotations"), &pod, &is_static,
				       err);
	if (r == 0)
		r = decode_spec(json_object_get(json, "spec"), is_static, &pod, err);
	if (r < 0)
		return r;
	take_wishes(json_object_get(metadata, "annotations"), &pod);
	take_labels(json_object_get(metadata, "labels"), &pod);
	pod.running = has_running_container(json_object_get(json, "status"));
	/* The API server lets no mirror pod have one: this claims to be a pod that it is not. */
	if (pod.service_account[0])
		pod.config_hash[0] = '\0';
	*ret = pod;
	return 0;
}
