// SPDX-License-Identifier: Apache-2.0
/* MODULES: identity */
/* Cgroup paths: whatever the bytes, an accepted path names a pod where the answer says. */
#include "fuzz.h"

#include "identity/cgpath.h"

static bool has_dots(const char *path, size_t len)
{
	size_t start = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		if ((i - start == 1 && path[start] == '.') ||
		    (i - start == 2 && path[start] == '.' && path[start + 1] == '.'))
			return true;
		start = i + 1;
	}
	return false;
}

/* The uid is spelled in the component, in whatever case and with whatever separator. */
static void check_spelling(const char *component, size_t len, const char *uid)
{
	size_t n = strlen(uid);

	for (size_t at = 3; at + n <= len; at++) {
		size_t i = 0;

		for (; i < n; i++) {
			char c = component[at + i];

			c = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
			if ((c == '_' ? '-' : c) != uid[i])
				break;
		}
		if (i == n && memcmp(component + at - 3, "pod", 3) == 0)
			return;
	}
	MUST(!"the uid stands in the pod's component");
}

static bool is_root(const char *path, size_t len)
{
	size_t start = len;

	while (start > 0 && path[start - 1] != '/')
		start--;
	return cgpath_is_kubepods(path + start, len - start);
}

static void check_pod(const char *path, size_t len, const struct cgpath_pod *pod)
{
	const char *component = path + pod->pod_start;
	size_t n = pod->pod_len - pod->pod_start;
	char uid[POD_UID_SIZE];
	bool is_static;

	MUST(pod->root_len <= pod->pod_start && pod->pod_start < pod->pod_len &&
	     pod->pod_len <= len);
	MUST(pod->pod_len == len || path[pod->pod_len] == '/');
	MUST(pod->pod_start == 0 || component[-1] == '/');
	MUST(!memchr(component, '/', n));
	MUST(!has_dots(path, len) && !memchr(path, '\n', len) && !memchr(path, '\0', len));
	MUST(pod_uid_canonical(pod->uid, strlen(pod->uid), '-', uid, &is_static) == 0);
	MUST(strcmp(uid, pod->uid) == 0 && is_static == pod->is_static);
	check_spelling(component, n, pod->uid);
	if (pod->root_len)
		MUST(is_root(path, pod->root_len));
	else
		MUST(memmem(component, n, "kubepods", 8));
}

/* What follows the pod, and what stands before kubepods, has no say. */
static void check_context(const char *path, const struct cgpath_pod *pod)
{
	static const char below[] = "/kubepods/pod00000000-0000-0000-0000-000000000000";
	char *longer = malloc(pod->pod_len + sizeof(below));
	struct cgpath_pod again;

	if (!longer)
		abort();
	memcpy(longer, path, pod->pod_len);
	memcpy(longer + pod->pod_len, below, sizeof(below));
	MUST(cgpath_parse(path, pod->pod_len, &again) == CGPATH_OK);
	MUST(memcmp(&again, pod, sizeof(again)) == 0);
	if (cgpath_parse(longer, pod->pod_len + sizeof(below) - 1, &again) != CGPATH_TOO_LONG)
		MUST(memcmp(&again, pod, sizeof(again)) == 0);
	free(longer);
}

static void check_component(const char *path, size_t len)
{
	const char *slash = len ? memchr(path, '/', len) : NULL;
	size_t root_len = slash ? (size_t)(slash - path) : len, name_len;
	const char *name = slash ? slash + 1 : path + len;
	char qos_name[CGPATH_NAME_SIZE], uid[POD_UID_SIZE] = "untouched", *root;
	enum cgpath_qos qos;
	bool is_static;

	name_len = len - (size_t)(name - path);
	qos = cgpath_qos(path, root_len, name, name_len);
	root = fuzz_string((const uint8_t *)path, root_len);
	if (qos != CGPATH_QOS_NONE && strlen(root) == root_len &&
	    cgpath_qos_name(root, qos, qos_name) == 0)
		MUST(strlen(qos_name) == name_len && !memcmp(qos_name, name, name_len));
	free(root);
	if (cgpath_pod_component(path, root_len, name, name_len, uid, &is_static) != CGPATH_OK)
		MUST(strcmp(uid, "untouched") == 0);
	else
		check_spelling(name, name_len, uid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = fuzz_copy(data, size);
	struct cgpath_pod pod = {.uid = "untouched"};
	enum cgpath_reason reason = cgpath_parse(path, size, &pod);

	MUST(reason <= CGPATH_UID_FORM && *cgpath_reason_text(reason));
	if (reason == CGPATH_OK) {
		check_pod(path, size, &pod);
		check_context(path, &pod);
	} else {
		MUST(strcmp(pod.uid, "untouched") == 0);
	}
	check_component(path, size);
	free(path);
	return 0;
}
