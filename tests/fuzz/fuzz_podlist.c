// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/kube/podlist.c user/kube/pod_json.c user/kube/yaml_json.c user/identity/names.c user/identity/pod.c user/base/err.c user/base/file.c user/base/parse.c */
/* LIBS: -ljansson -lyaml */
/* Pod lists, JSON and YAML, up to the table of names that is made of them. */
#include "fuzz.h"

#include <jansson.h>

#include "err.h"
#include "names.h"
#include "pod.h"
#include "podlist.h"
#include "yaml_json.h"

static void check_text(const char *text, size_t size, bool dots)
{
	size_t len = strnlen(text, size);

	MUST(len < size);
	for (size_t i = 0; i < len; i++)
		MUST((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
		     (i && i + 1 < len && (text[i] == '-' || (dots && text[i] == '.'))));
}

static void check_pod(const struct pod_name *pod)
{
	char uid[POD_UID_SIZE];
	bool is_static;

	check_text(pod->name_space, sizeof(pod->name_space), false);
	check_text(pod->name, sizeof(pod->name), true);
	check_text(pod->service_account, sizeof(pod->service_account), true);
	MUST(*pod->name_space && *pod->name);
	MUST(pod_uid_canonical(pod->uid, strlen(pod->uid), '-', uid, &is_static) == 0);
	MUST(strcmp(uid, pod->uid) == 0);
	if (!*pod->config_hash)
		return;
	MUST(pod_uid_canonical(pod->config_hash, strlen(pod->config_hash), '-', uid, &is_static) ==
	     0);
	MUST(is_static && strcmp(uid, pod->config_hash) == 0);
}

static void check_message(const struct pc_err *err)
{
	MUST(strncmp(err->msg, "f: ", 3) == 0 || strncmp(err->msg, "f", 1) == 0);
	for (const char *c = err->msg; *c; c++)
		MUST((unsigned char)*c >= ' ' && *c != 127);
}

static bool is_same(const struct pod_name *a, const struct pod_name *b)
{
	return a->host_network == b->host_network && !strcmp(a->uid, b->uid) &&
	       !strcmp(a->name_space, b->name_space) && !strcmp(a->name, b->name) &&
	       !strcmp(a->service_account, b->service_account) &&
	       !strcmp(a->config_hash, b->config_hash);
}

static json_t *pod_json(const struct pod_name *pod)
{
	const char *note =
		*pod->service_account ? "kubernetes.io/config.hash" : "kubernetes.io/config.mirror";
	json_t *json =
		json_pack("{s{ssssss}s{sb}}", "metadata", "namespace", pod->name_space, "name",
			  pod->name, "uid", pod->uid, "spec", "hostNetwork", pod->host_network);

	if (*pod->service_account)
		json_object_set_new(json_object_get(json, "spec"), "serviceAccountName",
				    json_string(pod->service_account));
	/* a mirror annotation that is no hash says "static pod" too */
	json_object_set_new(json_object_get(json, "metadata"), "annotations",
			    json_pack("{ss}", note, pod->config_hash));
	return json;
}

/* Written out as the API would, it is read as the same. */
static void check_round_trip(const struct pod_name *pods, size_t n)
{
	json_t *list = json_pack("{sss[]}", "kind", "PodList", "items");
	struct pod_name *again = NULL;
	size_t n_again = 0;
	char *text;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(json_object_get(list, "items"), pod_json(&pods[i]));
	text = json_dumps(list, JSON_COMPACT);
	MUST(text && podlist_decode(text, strlen(text), "f", &again, &n_again, NULL) == 0);
	MUST(n_again == n);
	for (size_t i = 0; i < n; i++)
		MUST(is_same(&pods[i], &again[i]));
	free(again);
	free(text);
	json_decref(list);
}

/* A hash names a pod only when all that claim it are one pod. */
static bool hash_is_clear(const struct pod_name *pods, size_t n, const struct pod_name *pod)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(pods[i].config_hash, pod->config_hash) &&
		    (strcmp(pods[i].name, pod->name) != 0 ||
		     strcmp(pods[i].name_space, pod->name_space) != 0 ||
		     strcmp(pods[i].service_account, pod->service_account) != 0 ||
		     pods[i].host_network != pod->host_network))
			return false;
	return true;
}

static bool uid_is_listed(const struct pod_name *pods, size_t n, const char *uid)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(pods[i].uid, uid))
			return true;
	return false;
}

static void check_names(const struct pod_name *pods, size_t n)
{
	struct name_table *table = NULL;
	struct pc_err err = {};

	if (name_table_new(pods, n, &table, &err) < 0) {
		MUST(*err.msg && !table);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct pod_name *pod = &pods[i], *found;

		MUST((found = name_table_find(table, pod->uid, false)) && is_same(found, pod));
		if (!*pod->config_hash || uid_is_listed(pods, n, pod->config_hash))
			continue;
		MUST(!name_table_find(table, pod->config_hash, false));
		found = name_table_find(table, pod->config_hash, true);
		MUST(!found == !hash_is_clear(pods, n, pod));
		MUST(!found || !strcmp(found->name, pod->name));
	}
	MUST(!name_table_find(table, "no such uid", true));
	name_table_free(table);
}

/* Not where the two differ: fractions, exponents, and line breaks that only YAML knows. */
static bool is_comparable(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] == '.' || text[i] == 'e' || text[i] == 'E' ||
		    (unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

/* JSON is YAML, nearly: where both readers take a text, they must agree. */
static void check_yaml(const char *text, size_t size)
{
	json_t *yaml = NULL, *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	struct pc_err err = {};

	if (yaml_json_load(text, size, &yaml, &err) < 0)
		MUST(*err.msg && !yaml);
	else if (json && is_comparable(text, size))
		MUST(json_equal(json, yaml));
	json_decref(yaml);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	struct pod_name *pods = NULL;
	struct pc_err err = {};
	size_t n = 0;

	if (podlist_decode(text, size, "f", &pods, &n, &err) < 0) {
		MUST(!pods && !n);
		check_message(&err);
	} else {
		MUST(!pods == !n);
		for (size_t i = 0; i < n; i++)
			check_pod(&pods[i]);
		check_round_trip(pods, n);
		check_names(pods, n);
	}
	check_yaml(text, size);
	free(pods);
	free(text);
	return 0;
}
