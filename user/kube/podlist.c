// SPDX-License-Identifier: Apache-2.0
#include "kube/podlist.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "kube/pod_json.h"
#include "kube/project.h"

#define NEXT_STEP "give the output of kubectl get pods -o json"

/* Of a list: kind, version, items. A file may also be one Pod. */
static const struct project_shape pod[] = {{.key = "kind"},
					   {.key = "metadata", .members = kube_pod_json_metadata},
					   {.key = "spec", .members = kube_pod_json_spec},
					   {.key = "status", .members = kube_pod_json_status},
					   {}};
static const struct project_shape members[] = {
	{.key = "kind"},
	{.key = "apiVersion"},
	{.key = "items", .members = pod, .list = true},
	{.key = "metadata", .members = kube_pod_json_metadata},
	{.key = "spec", .members = kube_pod_json_spec},
	{.key = "status", .members = kube_pod_json_status},
	{}};
static const struct project_shape root_shape = {.members = members};

static int parse_text(const char *text, size_t len, json_t **ret, struct pc_err *err)
{
	size_t start = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		start = 3;
	text += start;
	len -= start;
	for (start = 0; start < len && strchr(" \t\r\n", text[start]) && text[start];)
		start++;
	if (start == len)
		return pc_err_set(err, -EINVAL, "is empty; " NEXT_STEP);
	if (text[start] == '{')
		return kube_project_json(text, len, &root_shape, ret, err);
	return kube_project_yaml(text, len, &root_shape, ret, err);
}

static const char *get_kind(const json_t *object)
{
	const json_t *kind = json_object_get(object, "kind");
	const char *text = json_string_value(kind);

	return text && strlen(text) == json_string_length(kind) ? text : "";
}

/* PodList from the API leaves kind out of its items; a List does not. */
static int decode_item(const json_t *item, bool need_kind, struct pod_name *ret, struct pc_err *err)
{
	char quoted[POD_JSON_QUOTE_SIZE];
	const char *kind = get_kind(item);

	if ((need_kind || *kind) && json_is_object(item) && strcmp(kind, "Pod") != 0)
		return pc_err_set(err, -EINVAL, "kind is %s, not \"Pod\"; keep only pods",
				  kube_pod_json_quote(kind, quoted));
	return kube_pod_json_decode(item, ret, err);
}

static void label_pod(const char *name_space, const char *name, char buf[POD_JSON_QUOTE_SIZE])
{
	char both[POD_JSON_QUOTE_SIZE];

	snprintf(both, sizeof(both), "%.*s/%s", (int)sizeof(both) / 2, name_space, name);
	kube_pod_json_quote(both, buf);
}

/* For a message: by name, which stays the same when others come and go, else by place. */
static void label_item(const json_t *item, size_t i, char buf[POD_JSON_QUOTE_SIZE])
{
	const json_t *meta = json_object_get(item, "metadata");
	const char *name_space = json_string_value(json_object_get(meta, "namespace"));
	const char *name = json_string_value(json_object_get(meta, "name"));

	if (name_space && name)
		label_pod(name_space, name, buf);
	else
		snprintf(buf, POD_JSON_QUOTE_SIZE, "items[%zu]", i);
}

/* One more is left out; why names as many as there is room for. */
static void note_skipped(struct podlist *list, const char *label, const char *cause)
{
	size_t len = strlen(list->why);

	if (list->skipped++ && len + 3 < sizeof(list->why))
		len += (size_t)snprintf(list->why + len, sizeof(list->why) - len, "; ");
	snprintf(list->why + len, sizeof(list->why) - len, "%s: %s", label, cause);
}

static int by_uid(const void *a, const void *b)
{
	const struct pod_name *one = a, *other = b;
	int r = strcmp(one->uid, other->uid);

	r = r ? r : strcmp(one->name_space, other->name_space);
	return r ? r : strcmp(one->name, other->name);
}

/* How many from pods[0] on have its uid; whether they are all the same. */
static size_t same_uid(const struct pod_name *pods, size_t n, bool *ret_same)
{
	size_t i;

	*ret_same = true;
	for (i = 1; i < n && strcmp(pods[i].uid, pods[0].uid) == 0; i++)
		if (!pod_name_same(&pods[i], &pods[0]))
			*ret_same = false;
	return i;
}

static void drop(struct podlist *list, struct pod_name *pods, size_t n)
{
	char label[POD_JSON_QUOTE_SIZE];

	for (size_t i = 0; i < n; i++) {
		label_pod(pods[i].name_space, pods[i].name, label);
		note_skipped(list, label, "another pod in the list has the same uid; remove one");
		pod_name_done(&pods[i]);
	}
}

/* Nothing tells which of two pods with one uid is the right one, so neither is. */
static void drop_clashes(struct podlist *list)
{
	size_t kept = 0, n;

	qsort(list->pods, list->n, sizeof(*list->pods), by_uid);
	for (size_t i = 0; i < list->n; i += n) {
		struct pod_name *first = &list->pods[i];
		bool same;

		n = same_uid(first, list->n - i, &same);
		if (!same) {
			drop(list, first, n);
			continue;
		}
		for (size_t k = 1; k < n; k++)
			pod_name_done(&first[k]);
		list->pods[kept++] = *first;
	}
	list->n = kept;
}

static int decode_items(const json_t *items, bool need_kind, struct podlist *list,
			struct pc_err *err)
{
	size_t n = json_array_size(items);

	/* Go writes an empty list as null. */
	if (!json_is_array(items) && !json_is_null(items))
		return pc_err_set(err, -EINVAL, "items is missing or no list; " NEXT_STEP);
	list->pods = n ? reallocarray(NULL, n, sizeof(*list->pods)) : NULL;
	if (n && !list->pods)
		return pc_err_set(err, -ENOMEM, "no memory for %zu pods", n);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(items, i);
		char label[POD_JSON_QUOTE_SIZE];
		struct pc_err cause = {};

		if (decode_item(item, need_kind, &list->pods[list->n], &cause) == 0) {
			list->n++;
			continue;
		}
		label_item(item, i, label);
		note_skipped(list, label, cause.msg);
	}
	if (list->n)
		drop_clashes(list);
	/* Nobody else is left to be served: more likely it is a list of something else. */
	if (n && !list->n)
		return pc_err_set(err, -EINVAL, "none of its %zu items can be used: %s", n,
				  list->why);
	return 0;
}

static int decode_one(const json_t *json, struct podlist *list, struct pc_err *err)
{
	int r;

	list->pods = malloc(sizeof(*list->pods));
	if (!list->pods)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = kube_pod_json_decode(json, list->pods, err);
	list->n = r == 0;
	return r;
}

static int decode_root(const json_t *root, struct podlist *list, struct pc_err *err)
{
	const json_t *version = json_object_get(root, "apiVersion");
	const json_t *items = json_object_get(root, "items");
	char quoted[POD_JSON_QUOTE_SIZE];
	const char *kind = get_kind(root);

	if (!json_is_object(root))
		return pc_err_set(err, -EINVAL, "is no mapping; " NEXT_STEP);
	if (version && (!json_is_string(version) || strcmp(json_string_value(version), "v1") != 0))
		return pc_err_set(err, -EINVAL, "apiVersion is not v1; " NEXT_STEP);
	if (strcmp(kind, "PodList") == 0)
		return decode_items(items, false, list, err);
	if (strcmp(kind, "List") == 0)
		return decode_items(items, true, list, err);
	if (strcmp(kind, "Pod") == 0)
		return decode_one(root, list, err);
	return pc_err_set(err, -EINVAL, "kind is %s, not PodList, List or Pod; " NEXT_STEP,
			  kube_pod_json_quote(kind, quoted));
}

void kube_podlist_done(struct podlist *list)
{
	for (size_t i = 0; i < list->n; i++)
		pod_name_done(&list->pods[i]);
	free(list->pods);
	*list = (struct podlist){};
}

int kube_podlist_decode(const char *text, size_t len, const char *source, struct podlist *ret,
			struct pc_err *err)
{
	_cleanup_(kube_podlist_done) struct podlist list = {};
	_cleanup_json_ json_t *root = NULL;
	int r;

	r = parse_text(text, len, &root, err);
	if (r == 0)
		r = decode_root(root, &list, err);
	if (r < 0)
		return pc_err_prefix(err, r, "%s", source);
	*ret = list;
	list = (struct podlist){};
	return 0;
}

int kube_podlist_load(const char *path, struct podlist *ret, struct pc_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read(path, PODLIST_MAX, &text, &len);
	if (r == -EFBIG)
		return pc_err_set(err, r, "%s: larger than %u MiB; give the pods of this node only",
				  path, PODLIST_MAX >> 20);
	if (r < 0)
		return pc_err_set(err, r, "%s: cannot read: %s; check the path of the pod list",
				  path, strerror(-r));
	r = kube_podlist_decode(text, len, path, ret, err);
	malloc_trim(0);
	return r;
}
