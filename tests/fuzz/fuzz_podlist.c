// SPDX-License-Identifier: Apache-2.0
/* MODULES: kube yaml identity base */
/* LIBS: -ljansson -lyaml */
/* Pod lists, JSON and YAML, up to the table of names that is made of them. */
#include "fuzz.h"

#include <jansson.h>

#include "base/err.h"
#include "base/k8s_name.h"
#include "identity/names.h"
#include "identity/pod.h"
#include "kube/podlist.h"
#include "kube/project.h"

static void check_labels(const struct pod_name *pod)
{
	const char *text = pod_labels_text(pod->labels);
	size_t size = 0;

	MUST(pod->labels_known || !pod->labels);
	while (text[size])
		for (int i = 0; i < 2; i++)
			size += strlen(text + size) + 1;
	MUST(size <= POD_LABELS_MAX);
	MUST((pod->asks & (POD_ASKS_DENY | POD_ASKS_REDIRECT)) !=
	     (POD_ASKS_DENY | POD_ASKS_REDIRECT));
}

static void check_pod(const struct pod_name *pod)
{
	char uid[POD_UID_SIZE];
	bool is_static;

	check_labels(pod);
	MUST(k8s_is_label(pod->name_space, strlen(pod->name_space)));
	MUST(k8s_is_subdomain(pod->name, strlen(pod->name)));
	MUST(!*pod->service_account ||
	     k8s_is_subdomain(pod->service_account, strlen(pod->service_account)));
	MUST(pod_uid_canonical(pod->uid, strlen(pod->uid), '-', uid, &is_static) == 0);
	MUST(strcmp(uid, pod->uid) == 0);
	if (!*pod->config_hash)
		return;
	MUST(pod_uid_canonical(pod->config_hash, strlen(pod->config_hash), '-', uid, &is_static) ==
	     0);
	MUST(strcmp(uid, pod->config_hash) == 0 && !*pod->service_account);
}

static void check_message(const char *msg)
{
	for (const char *c = msg; *c; c++)
		MUST((unsigned char)*c >= ' ' && *c != 127);
}

static bool is_same(const struct pod_name *a, const struct pod_name *b)
{
	return a->host_network == b->host_network && a->labels_known == b->labels_known &&
	       a->asks == b->asks && pod_labels_same(a->labels, b->labels) &&
	       !strcmp(a->uid, b->uid) && !strcmp(a->name_space, b->name_space) &&
	       !strcmp(a->name, b->name) && !strcmp(a->service_account, b->service_account) &&
	       !strcmp(a->config_hash, b->config_hash);
}

static bool is_same_list(const struct podlist *a, const struct podlist *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++)
		if (!is_same(&a->pods[i], &b->pods[i]))
			return false;
	return a->n == b->n;
}

static json_t *labels_json(const struct pod_name *pod)
{
	const char *text = pod_labels_text(pod->labels);
	json_t *json = json_object();

	if (!pod->labels_known)
		json_object_set_new(json, "a", json_integer(1));
	for (; *text; text += strlen(text) + 1) {
		const char *key = text;

		text += strlen(text) + 1;
		MUST(json_object_set_new(json, key, json_string(text)) == 0);
	}
	return json;
}

static void put_wishes(const struct pod_name *pod, json_t *annotations)
{
	if (pod->asks & (POD_ASKS_DENY | POD_ASKS_REDIRECT))
		json_object_set_new(annotations, "podcred.io/action",
				    json_string(pod->asks & POD_ASKS_DENY ? "deny" : "redirect"));
	if (pod->asks & POD_ASKS_IMDSV2)
		json_object_set_new(annotations, "podcred.io/imdsv2", json_string("required"));
}

static json_t *pod_json(const struct pod_name *pod)
{
	json_t *annotations = json_object();
	json_t *json =
		json_pack("{s{ssssss}s{sb}}", "metadata", "namespace", pod->name_space, "name",
			  pod->name, "uid", pod->uid, "spec", "hostNetwork", pod->host_network);

	if (*pod->service_account)
		json_object_set_new(json_object_get(json, "spec"), "serviceAccountName",
				    json_string(pod->service_account));
	else /* a mirror annotation that is no hash says "static pod" too */
		json_object_set_new(annotations, "kubernetes.io/config.mirror",
				    json_string(pod->config_hash));
	put_wishes(pod, annotations);
	json_object_set_new(json_object_get(json, "metadata"), "annotations", annotations);
	json_object_set_new(json_object_get(json, "metadata"), "labels", labels_json(pod));
	return json;
}

/* Written out as the API would, it is read as the same. */
static void check_round_trip(const struct podlist *list)
{
	json_t *json = json_pack("{sss[]}", "kind", "PodList", "items");
	struct podlist again = {};
	char *text;

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(json_object_get(json, "items"), pod_json(&list->pods[i]));
	text = json_dumps(json, JSON_COMPACT);
	MUST(text && kube_podlist_decode(text, strlen(text), "f", &again, NULL) == 0);
	MUST(!again.skipped && is_same_list(list, &again));
	kube_podlist_done(&again);
	free(text);
	json_decref(json);
}

/* A hash names a pod only when all that claim it are one pod. */
static bool hash_is_clear(const struct pod_name *pods, size_t n, const struct pod_name *pod)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(pods[i].config_hash, pod->config_hash) &&
		    (strcmp(pods[i].name, pod->name) != 0 ||
		     strcmp(pods[i].name_space, pod->name_space) != 0 ||
		     strcmp(pods[i].service_account, pod->service_account) != 0 ||
		     pods[i].host_network != pod->host_network ||
		     pods[i].labels_known != pod->labels_known || pods[i].asks != pod->asks ||
		     !pod_labels_same(pods[i].labels, pod->labels)))
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
	struct pod_name found;
	struct pc_err err = {};

	MUST(name_table_new(&table) == 0);
	for (size_t i = 0; i < n; i++)
		MUST(name_table_put(table, &pods[i], &err) == 0);
	for (size_t i = 0; i < n; i++) {
		const struct pod_name *pod = &pods[i];
		bool clear;

		MUST(name_table_find(table, pod->uid, &found) && is_same(&found, pod));
		if (!*pod->config_hash || uid_is_listed(pods, n, pod->config_hash))
			continue;
		clear = name_table_find(table, pod->config_hash, &found);
		MUST(clear == hash_is_clear(pods, n, pod));
		MUST(!clear || !strcmp(found.name, pod->name));
	}
	MUST(!name_table_find(table, "no such uid", &found));
	for (size_t i = 0; i < n; i++)
		name_table_remove(table, pods[i].uid);
	for (size_t i = 0; i < n; i++)
		MUST(!name_table_find(table, pods[i].uid, &found) &&
		     !name_table_find(table, pods[i].config_hash, &found));
	name_table_free(table);
}

/* Not where the two differ: numbers, escapes and line breaks that only YAML knows, and what of those is in a
 * text. */
static bool is_comparable(const char *text, size_t size)
{
	bool quoted = false;

	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)text[i] >= 0x80 || (quoted && text[i] < ' ') ||
		    (!quoted && text[i] >= '0' && text[i] <= '9'))
			return false;
		if (text[i] == '"')
			quoted = !quoted;
		else if (quoted && text[i] == '\\' &&
			 (++i == size || !text[i] || !strchr("\"\\/bfnrtu", text[i])))
			return false;
	}
	return true;
}

/* list was read from text as JSON. JSON is YAML, nearly: where that reader takes it, it must agree.
 * So must jansson, to which no member is one too many. */
static void check_readers(const struct podlist *list, const char *text, size_t size)
{
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	char *yaml = malloc(size + 4), *dumped = json ? json_dumps(json, 0) : NULL;
	struct podlist other = {};

	MUST(yaml);
	memcpy(yaml, "--- ", 4);
	memcpy(yaml + 4, text, size);
	if (is_comparable(text, size) &&
	    kube_podlist_decode(yaml, size + 4, "f", &other, NULL) == 0)
		MUST(is_same_list(list, &other) && list->skipped == other.skipped);
	kube_podlist_done(&other);
	if (dumped) {
		MUST(kube_podlist_decode(dumped, strlen(dumped), "f", &other, NULL) == 0);
		MUST(is_same_list(list, &other) && list->skipped == other.skipped);
	}
	kube_podlist_done(&other);
	free(dumped);
	free(yaml);
	json_decref(json);
}

static const struct pod_name *find(const struct podlist *list, const char *uid)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->pods[i].uid, uid))
			return &list->pods[i];
	return NULL;
}

#define ONE "fedcba98-0000-0000-0000-000000000001"
#define TWO "fedcba98-0000-0000-0000-000000000002"
#define BEFORE                                                                                     \
	"{\"items\":[{\"metadata\":{\"namespace\":\"n\",\"name\":\"one\",\"uid\":\"" ONE "\"}},"
#define AFTER                                                                                      \
	",{\"metadata\":{\"namespace\":\"n\",\"name\":\"two\",\"uid\":\"" TWO                      \
	"\"}}],\"kind\":\"PodList\"}"

/* Whatever is one JSON value is one item, and costs no other one: they are who they were. It may
 * claim to be them, but not to be nobody's business. */
static void check_others(const char *text, size_t size)
{
	static const struct project_shape anything = {};
	const size_t before = strlen(BEFORE), after = strlen(AFTER);
	struct podlist list = {};
	json_t *json = NULL;
	char *whole;

	if (kube_project_json(text, size, &anything, &json, NULL) < 0) {
		/* jansson takes less, not more, but for a NUL, which ends the text for it */
		if (!memchr(text, '\0', size))
			json = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		MUST(!json);
		return;
	}
	json_decref(json);
	whole = malloc(before + size + after);
	MUST(whole);
	memcpy(whole, BEFORE, before);
	memcpy(whole + before, text, size);
	memcpy(whole + before + size, AFTER, after);
	MUST(kube_podlist_decode(whole, before + size + after, "f", &list, NULL) == 0);
	MUST(list.n + list.skipped == 3 || list.n == 2); /* one of them, word for word */
	if (list.skipped < 2) { /* else it has the uid of one of them */
		MUST(find(&list, ONE) && !strcmp(find(&list, ONE)->name, "one"));
		MUST(find(&list, TWO) && !strcmp(find(&list, TWO)->name, "two"));
	}
	kube_podlist_done(&list);
	free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);
	struct podlist list = {};
	struct pc_err err = {};

	if (kube_podlist_decode(text, size, "f", &list, &err) < 0) {
		MUST(!list.pods && !list.n && !list.skipped);
		MUST(strncmp(err.msg, "f", 1) == 0);
		check_message(err.msg);
	} else {
		MUST(!list.skipped == !*list.why);
		check_message(list.why);
		for (size_t i = 0; i < list.n; i++)
			check_pod(&list.pods[i]);
		check_round_trip(&list);
		check_names(list.pods, list.n);
		if (text[strspn(text, " \t\r\n")] == '{')
			check_readers(&list, text, size);
	}
	check_others(text, size);
	kube_podlist_done(&list);
	free(text);
	return 0;
}
