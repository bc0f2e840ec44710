// SPDX-License-Identifier: Apache-2.0
/* MODULES: identity */
/* Cgroup paths as kubelets, runtimes and forgers write them. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "identity/cgpath.h"

#define CONTAINER "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961"
#define HASH	  "2732ca68f6358eba7703fb6f82a25c94"
#define UID_A	  "2c48913c-b29f-11e7-9350-020968147796"
#define UID_A_US  "2c48913c_b29f_11e7_9350_020968147796"
#define UID_B	  "1858680e-b044-4fd5-9dd4-f137e30e2180"
#define UID_B_US  "1858680e_b044_4fd5_9dd4_f137e30e2180"
#define UID_0_US  "00000000_1111_2222_3333_444444444444"

struct path_case {
	const char *path;
	const char *uid; /* NULL: refused ... */
	enum cgpath_reason reason; /* ... for this */
	const char *directory; /* of the pod; NULL: not looked at */
};

/* The layouts of the wild, in the order of the project's list. */
static const struct path_case known[] = {
	/* 1-5: both drivers, three classes */
	{"/kubepods/burstable/pod" UID_A "/" CONTAINER, UID_A, 0, "/kubepods/burstable/pod" UID_A},
	{"/kubepods/pod" UID_A "/" CONTAINER, UID_A, 0, "/kubepods/pod" UID_A},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_A
	 ".slice/docker-" CONTAINER ".scope",
	 UID_A, 0,
	 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_A ".slice"},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_B_US
	 ".slice/cri-containerd-" CONTAINER ".scope",
	 UID_B, 0, NULL},
	{"/kubepods.slice/kubepods-pod" UID_B_US ".slice/crio-" CONTAINER ".scope", UID_B, 0,
	 "/kubepods.slice/kubepods-pod" UID_B_US ".slice"},
	/* 6-9: a cluster in a container */
	{"/docker/" CONTAINER "/kubepods/besteffort/pod" UID_A "/" CONTAINER, UID_A, 0, NULL},
	{"/kubelet/kubepods/burstable/pod" UID_B "/" CONTAINER, UID_B, 0, NULL},
	{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
	 "kubelet-kubepods-burstable-pod" UID_B_US ".slice/cri-containerd-" CONTAINER ".scope",
	 UID_B, 0, NULL},
	{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_0_US
	 ".slice/cri-containerd-" CONTAINER ".scope",
	 "00000000-1111-2222-3333-444444444444", 0, NULL},
	/* 10: cgroupfs runtime, systemd kubelet */
	{"/kubepods-besteffort-pod" UID_B_US ".slice:cri-containerd:" CONTAINER, UID_B, 0,
	 "/kubepods-besteffort-pod" UID_B_US ".slice:cri-containerd:" CONTAINER},
	{"/system.slice/containerd.service/kubepods-pod" UID_B_US ".slice:cri-containerd:abc",
	 UID_B, 0, NULL},
	/* 11-13: /proc text, private namespaces */
	{"0::/../crio-" CONTAINER ".scope", NULL, CGPATH_PROC_LINE, NULL},
	{"/../crio-" CONTAINER ".scope", NULL, CGPATH_RELATIVE, NULL},
	{"0::/", NULL, CGPATH_PROC_LINE, NULL},
	{"/", NULL, CGPATH_ROOT, NULL},
	{"/../" CONTAINER, NULL, CGPATH_RELATIVE, NULL},
	/* 14-15: static pods */
	{"/kubepods/pod" HASH, HASH, 0, "/kubepods/pod" HASH},
	{"kubepods-burstable-pod" HASH ".slice", HASH, 0, NULL},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" HASH ".slice", HASH, 0,
	 NULL},
	/* 16-18 */
	{"/kubepods/pod" UID_A, UID_A, 0, "/kubepods/pod" UID_A},
	{"/kubepods/" CONTAINER, NULL, CGPATH_NOT_A_POD, NULL},
	{"/" CONTAINER, NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/something/pod" UID_A "/" CONTAINER, NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/pod" UID_A "/" CONTAINER, NULL, CGPATH_NOT_KUBEPODS, NULL},
	/* 19-21: below the container; the outermost pod wins */
	{"/sys/fs/cgroup//system.slice/foo-352700.scope/container", NULL, CGPATH_NOT_KUBEPODS,
	 NULL},
	{"/kubepods.slice/kubepods-pod" UID_B_US ".slice/crio-" CONTAINER ".scope/container", UID_B,
	 0, NULL},
	{"/kubepods/pod" UID_A "/c/init.scope/system.slice/x.service", UID_A, 0, NULL},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_A_US
	 ".slice/cri-containerd-" CONTAINER ".scope/kubepods/pod" UID_B "/" CONTAINER,
	 UID_A, 0,
	 "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_A_US ".slice"},
	{"/kubepods/" CONTAINER "/kubepods/pod" UID_B, NULL, CGPATH_NOT_A_POD, NULL},
	/* 22-24: the host */
	{"/system.slice/crio-conmon-" CONTAINER ".scope", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"12:pids:/system.slice/crio-conmon-" CONTAINER ".scope", NULL, CGPATH_PROC_LINE, NULL},
	{"/system.slice/kubelet.service", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/user.slice", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/user.slice/user-1000.slice/session-2.scope", NULL, CGPATH_NOT_KUBEPODS, NULL},
	/* 25-28 */
	{"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-123.slice/crio-ABC.scope",
	 NULL, CGPATH_NOT_A_POD, NULL},
	{"1:cpu:/kubepods/pod" UID_A "\n2:pids:/kubepods/pod" UID_B, NULL, CGPATH_BAD_BYTE, NULL},
	{"/kubepods/podpod" UID_A, NULL, CGPATH_UID_POD, NULL},
	{"/kubepods/pod2c48913c-pod2-11e7-9350-020968147796", NULL, CGPATH_UID_POD, NULL},
	{"/my/own/root/kubepods/besteffort/pod" UID_A "/c", UID_A, 0, NULL},
	{"/a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-pod" UID_A_US ".slice", UID_A, 0,
	 NULL},
};

/* Near misses and forgeries. */
static const struct path_case hostile[] = {
	{"", NULL, CGPATH_ROOT, NULL},
	{"////", NULL, CGPATH_ROOT, NULL},
	{"/kubepods", NULL, CGPATH_NO_POD, NULL},
	{"/kubepods/", NULL, CGPATH_NO_POD, NULL},
	{"/kubepods/burstable", NULL, CGPATH_NO_POD, NULL},
	{"/kubepods.slice/kubepods-besteffort.slice/", NULL, CGPATH_NO_POD, NULL},
	{"/kubepods/burstable/besteffort/pod" UID_A, NULL, CGPATH_NOT_A_POD, NULL},
	{"/kubepods/guaranteed/pod" UID_A, NULL, CGPATH_NOT_A_POD, NULL},
	{"/kubepods/x/pod" UID_A, NULL, CGPATH_NOT_A_POD, NULL},
	{"/kubepods/kubepods/pod" UID_A, NULL, CGPATH_NOT_A_POD, NULL},
	/* no kubepods, though it looks like one */
	{"/kubepods2/pod" UID_A, NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/Kubepods/pod" UID_A, NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/x-kubepods/pod" UID_A, NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/xkubepods.slice/xkubepods-pod" UID_A_US ".slice", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/-kubepods.slice/-kubepods-pod" UID_A_US ".slice", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/a--kubepods.slice/a--kubepods-pod" UID_A_US ".slice", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/kubepods.slice.d/kubepods-pod.slice", NULL, CGPATH_UID_FORM, NULL},
	/* slices that do not extend their parent */
	{"/kubepods.slice/kubepods-burstable-pod" UID_A_US ".slice", NULL, CGPATH_WRONG_SLICE,
	 NULL},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-besteffort-pod" UID_A_US ".slice", NULL,
	 CGPATH_WRONG_SLICE, NULL},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-pod" UID_A_US ".slice", NULL,
	 CGPATH_WRONG_SLICE, NULL},
	{"/a-kubepods.slice/kubepods-pod" UID_A_US ".slice", NULL, CGPATH_WRONG_SLICE, NULL},
	{"/kubepods.slice/pod" UID_A_US ".slice", NULL, CGPATH_NOT_A_POD, NULL},
	{"/kubepods.slice/kubepods-pod" UID_A_US, NULL, CGPATH_NOT_A_POD, NULL},
	{"/kubepods.slice/burstable/pod" UID_A, NULL, CGPATH_NOT_A_POD, NULL},
	{"/kubepods/kubepods-burstable.slice/kubepods-burstable-pod" UID_A_US ".slice", NULL,
	 CGPATH_NOT_A_POD, NULL},
	/* uids */
	{"/kubepods/pod", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod-", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod" UID_A "0", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod2c48913c-b29f-11e7-9350-02096814779", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod2c48913c-b29f-11e7-9350-02096814779g", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod2c48913c-b29f_11e7-9350-020968147796", NULL, CGPATH_UID_MIXED, NULL},
	{"/kubepods/pod2c48913c-b29f-11e79-350-020968147796", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod2c48913c.b29f.11e7.9350.020968147796", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod" HASH "0", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod2732ca68f6358eba7703fb6f82a25c9", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod2732ca68-6358eba7703fb6f82a25c94", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod" UID_A " ", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/pod" UID_A ".slice", NULL, CGPATH_UID_FORM, NULL},
	{"/kubepods/POD" UID_A, NULL, CGPATH_NOT_A_POD, NULL},
	{"/kubepods/pod2C48913C-B29F-11E7-9350-020968147796", UID_A, 0, NULL},
	{"/kubepods/pod" UID_A_US "/x", UID_A, 0, NULL},
	/* the colon form */
	{"/kubepods-pod" UID_B_US ".slice:cri-containerd", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/kubepods-pod" UID_B_US ".slice::x", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/kubepods-pod" UID_B_US ".slice:x:", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/kubepods-pod" UID_B_US ".slice:x:y:z", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/kubepods-pod" UID_B_US ":x:y", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/kubepods-podxyz.slice:x:y", NULL, CGPATH_UID_FORM, NULL},
	{"/my-pod-kubepods-pod" UID_B_US ".slice", UID_B, 0, NULL},
	{"/evil-pod" UID_B_US ".slice", NULL, CGPATH_NOT_KUBEPODS, NULL},
	{"/kubepods-evil-pod" UID_B_US ".slice", NULL, CGPATH_NOT_KUBEPODS, NULL},
	/* dots anywhere */
	{"/kubepods/pod" UID_A "/../pod" UID_B, NULL, CGPATH_RELATIVE, NULL},
	{"/kubepods/./pod" UID_A, NULL, CGPATH_RELATIVE, NULL},
	{"/kubepods/pod" UID_A "/..", NULL, CGPATH_RELATIVE, NULL},
	{"/kubepods/pod" UID_A "/...", UID_A, 0, NULL},
	{"//kubepods//pod" UID_A "//x", UID_A, 0, "//kubepods//pod" UID_A},
	{"/kubepods/pod" UID_A "\n", NULL, CGPATH_BAD_BYTE, NULL},
};

static void check(const struct path_case *c)
{
	size_t len = strlen(c->path);
	/* Exactly len bytes on the heap: a read behind the end is caught. */
	_cleanup_free_ char *path = malloc(len ? len : 1);
	struct cgpath_pod pod = {.uid = "untouched"};
	enum cgpath_reason reason;

	assert_non_null(path);
	memcpy(path, c->path, len);
	reason = cgpath_parse(path, len, &pod);
	if (reason != (c->uid ? CGPATH_OK : c->reason))
		fail_msg("%s: %s", c->path, cgpath_reason_text(reason));
	assert_string_equal(pod.uid, c->uid ? c->uid : "untouched");
	if (!c->uid)
		return;
	assert_int_equal(pod.is_static, strlen(c->uid) == 32);
	assert_true(pod.root_len <= pod.pod_start && pod.pod_start < pod.pod_len);
	assert_true(pod.pod_len <= len && (pod.pod_len == len || path[pod.pod_len] == '/'));
	if (c->directory) {
		assert_int_equal(pod.pod_len, strlen(c->directory));
		assert_memory_equal(path, c->directory, pod.pod_len);
	}
}

static void test_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		check(&known[i]);
}

static void test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
		check(&hostile[i]);
}

static void test_bytes(void **state)
{
	static const char nul[] = "/kubepods/pod" UID_A "\0/x";
	char *path = malloc(PATH_MAX);
	struct cgpath_pod pod;

	(void)state;
	assert_non_null(path);
	assert_int_equal(cgpath_parse(nul, sizeof(nul) - 1, &pod), CGPATH_BAD_BYTE);
	memset(path, 'x', PATH_MAX);
	memcpy(path, known[1].path, strlen(known[1].path));
	assert_int_equal(cgpath_parse(path, PATH_MAX, &pod), CGPATH_TOO_LONG);
	assert_int_equal(cgpath_parse(path, SIZE_MAX, &pod), CGPATH_TOO_LONG);
	assert_int_equal(cgpath_parse(path, PATH_MAX - 1, &pod), CGPATH_OK);
	assert_int_equal(cgpath_parse(NULL, 0, &pod), CGPATH_ROOT);
	free(path);
}

static void test_components(void **state)
{
	static const struct {
		const char *root, *name;
		enum cgpath_qos qos;
	} cases[] = {
		{"kubepods", "burstable", CGPATH_QOS_BURSTABLE},
		{"kubepods", "besteffort", CGPATH_QOS_BESTEFFORT},
		{"kubepods", "kubepods-burstable.slice", CGPATH_QOS_NONE},
		{"kubepods.slice", "kubepods-burstable.slice", CGPATH_QOS_BURSTABLE},
		{"a-kubepods.slice", "a-kubepods-besteffort.slice", CGPATH_QOS_BESTEFFORT},
		{"a-kubepods.slice", "kubepods-besteffort.slice", CGPATH_QOS_NONE},
		{"kubepods.slice", "burstable", CGPATH_QOS_NONE},
		{"kubepods.slice", "kubepods-burstablex.slice", CGPATH_QOS_NONE},
		{"kubepods", "", CGPATH_QOS_NONE},
	};
	char name[CGPATH_NAME_SIZE], longest[CGPATH_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum cgpath_qos qos = cgpath_qos(cases[i].root, strlen(cases[i].root),
						 cases[i].name, strlen(cases[i].name));

		assert_int_equal(qos, cases[i].qos);
		if (qos == CGPATH_QOS_NONE)
			continue;
		assert_int_equal(cgpath_qos_name(cases[i].root, qos, name), 0);
		assert_string_equal(name, cases[i].name);
	}
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + sizeof(longest) - sizeof("-kubepods.slice"), "-kubepods.slice");
	assert_true(cgpath_is_kubepods(longest, strlen(longest)));
	assert_int_equal(cgpath_qos_name(longest, CGPATH_QOS_BURSTABLE, name), -ENAMETOOLONG);
	assert_false(cgpath_is_kubepods("", 0));
	assert_false(cgpath_is_kubepods("kubepods", 7));
}

static void test_reasons(void **state)
{
	(void)state;
	for (int r = CGPATH_OK; r <= CGPATH_UID_FORM; r++)
		assert_true(strlen(cgpath_reason_text((enum cgpath_reason)r)) > 10);
	assert_string_equal(cgpath_reason_text((enum cgpath_reason)99), "is unknown");
}

/*
 * Mutants of good paths: whatever the bytes, no crash, and an accepted one is a pod exactly where
 * the answer says, with a kubepods above, in the canonical spelling.
 */
static void test_mutants(void **state)
{
	unsigned seed = 20, accepted = 0;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		const char *from = known[(size_t)rand_r(&seed) % ARRAY_SIZE(known)].path;
		char path[512];
		size_t len = strlen(from);
		struct cgpath_pod pod;
		char uid[POD_UID_SIZE];
		bool is_static;

		memcpy(path, from, len);
		for (int n = rand_r(&seed) % 4; n > 0 && len > 0; n--) {
			static const char alphabet[] = "/-_.:pod0aZ\0\n";
			size_t at = (size_t)rand_r(&seed) % len;

			if (rand_r(&seed) % 3 == 0)
				len = at;
			else
				path[at] = alphabet[(size_t)rand_r(&seed) % sizeof(alphabet)];
		}
		if (cgpath_parse(path, len, &pod) != CGPATH_OK)
			continue;
		accepted++;
		assert_non_null(memmem(path, pod.pod_len, "kubepods", 8));
		assert_non_null(
			memmem(path + pod.pod_start, pod.pod_len - pod.pod_start, "pod", 3));
		assert_int_equal(pod_uid_canonical(pod.uid, strlen(pod.uid), '-', uid, &is_static),
				 0);
		assert_string_equal(uid, pod.uid);
		assert_int_equal(is_static, pod.is_static);
		assert_null(memmem(path, len, "/../", 4));
	}
	assert_in_range(accepted, 20000, 180000); /* or it tests nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),	cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_bytes),	cmocka_unit_test(test_components),
		cmocka_unit_test(test_reasons), cmocka_unit_test(test_mutants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
