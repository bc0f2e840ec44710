// SPDX-License-Identifier: Apache-2.0
#include "podlist.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "err.h"
#include "file.h"
#include "pod_json.h"
#include "yaml_json.h"

#define NEXT_STEP "give the output of kubectl get pods -o json"

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

static int parse_json(const char *text, size_t len, json_t **ret, struct pc_err *err)
{
	json_error_t error;

	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (*ret)
		return 0;
	if (json_error_code(&error) == json_error_out_of_memory)
		return pc_err_set(err, -ENOMEM, "no memory");
	/* jansson repeats the bytes that it stumbled over; no control byte of theirs must pass. */
	for (char *c = error.text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return pc_err_set(err, -EINVAL, "line %d: not JSON: %s; correct it", error.line,
			  error.text);
}

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
		return parse_json(text, len, ret, err);
	return yaml_json_load(text, len, ret, err);
}

static const char *get_kind(const json_t *object)
{
	const char *kind = json_string_value(json_object_get(object, "kind"));

	return kind ? kind : "";
}

/* PodList from the API leaves kind out of its items; a List does not. */
static int decode_item(const json_t *item, bool need_kind, struct pod_name *ret, struct pc_err *err)
{
	char quoted[POD_JSON_QUOTE_SIZE];
	const char *kind = get_kind(item);

	if ((need_kind || *kind) && json_is_object(item) && strcmp(kind, "Pod") != 0)
		return pc_err_set(err, -EINVAL, "kind is %s, not \"Pod\"; keep only pods",
				  pod_json_quote(kind, quoted));
	return pod_json_decode(item, ret, err);
}

static int decode_items(const json_t *items, bool need_kind, struct pod_name **ret, size_t *ret_n,
			struct pc_err *err)
{
	_cleanup_free_ struct pod_name *pods = NULL;
	size_t n = json_array_size(items);

	/* Go writes an empty list as null. */
	if (!json_is_array(items) && !json_is_null(items))
		return pc_err_set(err, -EINVAL, "items is missing or no list; " NEXT_STEP);
	if (n) {
		pods = reallocarray(NULL, n, sizeof(*pods));
		if (!pods)
			return pc_err_set(err, -ENOMEM, "no memory for %zu pods", n);
	}
	for (size_t i = 0; i < n; i++) {
		int r = decode_item(json_array_get(items, i), need_kind, &pods[i], err);

		if (r < 0)
			return pc_err_prefix(err, r, "items[%zu]", i);
	}
	*ret = TAKE_PTR(pods);
	*ret_n = n;
	return 0;
}

static int decode_one(const json_t *pod, struct pod_name **ret, size_t *ret_n, struct pc_err *err)
{
	_cleanup_free_ struct pod_name *pods = malloc(sizeof(*pods));
	int r;

	if (!pods)
		return pc_err_set(err, -ENOMEM, "no memory");
	r = pod_json_decode(pod, pods, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(pods);
	*ret_n = 1;
	return 0;
}

static int decode_root(const json_t *root, struct pod_name **ret, size_t *ret_n, struct pc_err *err)
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
		return decode_items(items, false, ret, ret_n, err);
	if (strcmp(kind, "List") == 0)
		return decode_items(items, true, ret, ret_n, err);
	if (strcmp(kind, "Pod") == 0)
		return decode_one(root, ret, ret_n, err);
	return pc_err_set(err, -EINVAL, "kind is %s, not PodList, List or Pod; " NEXT_STEP,
			  pod_json_quote(kind, quoted));
}

int podlist_decode(const char *text, size_t len, const char *source, struct pod_name **ret,
		   size_t *ret_n, struct pc_err *err)
{
	_cleanup_json_ json_t *root = NULL;
	int r;

	r = parse_text(text, len, &root, err);
	if (r == 0)
		r = decode_root(root, ret, ret_n, err);
	return r < 0 ? pc_err_prefix(err, r, "%s", source) : 0;
}

int podlist_load(const char *path, struct pod_name **ret, size_t *ret_n, struct pc_err *err)
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
	return podlist_decode(text, len, path, ret, ret_n, err);
}
