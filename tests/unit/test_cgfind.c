// SPDX-License-Identifier: Apache-2.0
/* MODULES: identity base */
/* Where cgroup2 is mounted, and where kubepods is below it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "identity/cgsurvey.h"
#include "identity/cgtree.h"
#include "identity/mountinfo.h"

static char top[64]; /* a new directory for each test, and the working directory */
static int start_fd;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/podcred-cgfind-XXXXXX");
	start_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return start_fd < 0 || !mkdtemp(top) || chdir(top) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	if (fchdir(start_fd) < 0)
		return -1;
	close(start_fd);
	return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* mkdir -p below top. */
static void make(const char *path)
{
	char copy[512];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(copy, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	assert_true(mkdir(copy, 0755) == 0 || errno == EEXIST);
}

/* Processes in a cgroup, as the kernel tells it. */
static void populate(const char *path)
{
	char file[600];
	FILE *out;

	make(path);
	snprintf(file, sizeof(file), "%s/cgroup.events", path);
	out = fopen(file, "w");
	assert_non_null(out);
	fputs("populated 1\nfrozen 0\n", out);
	assert_int_equal(fclose(out), 0);
}

static void found(const char *dir, const char *own, const char *want)
{
	_cleanup_free_ char *path = NULL, *absolute = NULL;
	struct pc_err err = {""};

	if (cgtree_find_kubepods(dir, own, &path, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(asprintf(&absolute, "%s/%s", top, want) > 0);
	assert_string_equal(path, absolute);
}

static void asks(const char *a, const char *b)
{
	_cleanup_free_ char *path = NULL;
	struct pc_err err = {""};

	assert_int_equal(cgtree_find_kubepods(".", NULL, &path, &err), -EEXIST);
	assert_non_null(strstr(err.msg, a));
	assert_non_null(strstr(err.msg, b));
	assert_null(strchr(err.msg, '\n'));
}

#define UID_1 "pod2c48913c-b29f-11e7-9350-020968147796"
#define UID_2 "pod2c48913c-b29f-11e7-9350-020968147797"
#define HEX   "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961"

static void test_find_kubepods(void **state)
{
	_cleanup_free_ char *path = NULL, *own = NULL;
	struct pc_err err;

	(void)state;
	make("system.slice/a.service");
	make("user.slice/kubepods/" UID_1);
	make("a/b/c/d/e/f/kubepods"); /* one level too deep */
	assert_int_equal(cgtree_find_kubepods(".", NULL, &path, &err), -ENOENT);
	assert_non_null(strstr(err.msg, top));
	assert_non_null(strstr(err.msg, "--kubepods"));
	make("a/b/c/d/e/kubepods.slice/kubepods");
	found(".", NULL, "a/b/c/d/e/kubepods.slice");
	/* Two without pods, near or far. */
	make("x/kubelet-kubepods.slice/kubepods");
	asks("/x/kubelet-kubepods.slice (0 pods", "/a/b/c/d/e/kubepods.slice (0 pods");
	/* Pods decide, and running ones before others. */
	make("a/b/c/d/e/kubepods.slice/kubepods-pod2c48913c_b29f_11e7_9350_020968147796.slice");
	found(".", NULL, "a/b/c/d/e/kubepods.slice");
	make("y/kubepods/burstable/" UID_1);
	asks("/y/kubepods (1 pod, 0 with", "/a/b/c/d/e/kubepods.slice (1 pod, 0 with");
	populate("y/kubepods/burstable/" UID_1);
	found(top, NULL, "y/kubepods");
	populate("kubepods/" UID_1);
	make("kubepods/" UID_2);
	asks("/kubepods (2 pods, 1 with", "/y/kubepods (1 pod, 1 with");
	/* The pod that asks is a better witness. */
	assert_true(asprintf(&own, "%s/x/kubelet-kubepods.slice/c", top) > 0);
	found(".", own, "x/kubelet-kubepods.slice");
	found("y/kubepods/", NULL, "y/kubepods");
	assert_int_equal(cgtree_find_kubepods("nowhere", NULL, &path, &err), -ENOENT);
}

/* A kind cluster is asked for only where there is nothing else. */
static void test_find_in_container(void **state)
{
	(void)state;
	populate("docker/" HEX "/kubelet/kubepods/" UID_1);
	found(".", NULL, "docker/" HEX "/kubelet/kubepods");
	make("kubepods");
	found(".", NULL, "kubepods");
}

static const struct {
	const char *path;
	int kind; /* of the only thing found; -1: nothing is */
} places[] = {
	{"kubepods/burstable", CGSURVEY_KUBEPODS},
	{"system.slice/containerd.service/"
	 "kubepods-burstable-pod72f7f152_440c_66ac_9084_e0fc1d8a910c.slice:cri-containerd:" HEX,
	 CGSURVEY_POD},
	{"kubepods-besteffort-pod72f7f152_440c_66ac_9084_e0fc1d8a910c.slice:crio:" HEX,
	 CGSURVEY_POD},
	{"k8s.io/" HEX, CGSURVEY_CONTAINER},
	{"system.slice/cri-containerd-" HEX ".scope", CGSURVEY_CONTAINER},
	{"system.slice/crio-" HEX ".scope", CGSURVEY_CONTAINER},
	{"system.slice/crio-conmon-" HEX ".scope", -1},
	{"system.slice/docker-" HEX ".scope/kubelet/kubepods/" UID_1, -1},
	{"machine.slice/libpod-" HEX ".scope", -1},
	{"notk8s.io/" HEX, -1},
	{"something/" UID_1, -1},
	{"user.slice/kubepods", -1},
};

static void test_survey(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_(cgsurvey_done) struct cgsurvey survey = {0};
		char dir[16];

		snprintf(dir, sizeof(dir), "%zu", i);
		make(dir);
		assert_int_equal(chdir(dir), 0);
		populate(places[i].path);
		assert_int_equal(cgsurvey_take(".", 0, &survey), 0);
		assert_int_equal(survey.n, places[i].kind >= 0);
		if (survey.n) {
			assert_int_equal(survey.v[0].kind, places[i].kind);
			assert_int_equal(survey.v[0].kubepods, -1);
			assert_int_equal(survey.v[0].populated,
					 places[i].kind != CGSURVEY_KUBEPODS);
		}
		assert_int_equal(chdir(".."), 0);
	}
}

/* In steps, however small, it finds the same. */
static void test_survey_in_steps(void **state)
{
	_cleanup_(cgsurvey_done) struct cgsurvey whole = {0};
	const struct cgsurvey *found;
	struct cgsurvey_walk *walk;
	size_t steps = 1;
	int r;

	(void)state;
	make("kubepods/" UID_1 "/" HEX);
	make("kubepods/burstable/" UID_2);
	make("k8s.io/" HEX);
	assert_int_equal(cgsurvey_take(".", 0, &whole), 0);
	assert_int_equal(whole.n, 4);
	assert_int_equal(cgsurvey_walk_start(".", 0, &walk), 0);
	while ((r = cgsurvey_walk_on(walk, 1)) == 1)
		steps++;
	assert_int_equal(r, 0);
	assert_true(steps > whole.n);
	found = cgsurvey_walk_found(walk);
	assert_int_equal(found->n, whole.n);
	for (size_t i = 0; i < whole.n; i++) {
		assert_string_equal(found->v[i].path, whole.v[i].path);
		assert_int_equal(found->v[i].kubepods, whole.v[i].kubepods);
	}
	assert_null(cgsurvey_walk_free(walk));
	assert_int_equal(cgsurvey_walk_start("nothing", 0, &walk), -ENOENT);
	assert_null(walk);
}

static void test_realm(void **state)
{
	static const char *const realms[][2] = {
		{"/m/kubepods", "/m"},
		{"/m/kubepods.slice", "/m"},
		{"/m/kubelet.slice/kubelet-kubepods.slice", "/m"},
		{"/m/a.slice/a-b.slice/a-b-kubepods.slice", "/m"},
		{"/m/kubelet/kubepods", "/m/kubelet"},
		{"/m/test/kubepods.slice", "/m/test"},
		{"/m/other.slice/kubelet-kubepods.slice", "/m/other.slice"},
		{"/m/test/kubelet.slice/kubelet-kubepods.slice", "/m/test"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(realms); i++) {
		_cleanup_free_ char *realm = cgsurvey_realm("/m", realms[i][0]);

		assert_string_equal(realm, realms[i][1]);
	}
}

static bool not_covered(const char *path)
{
	return strcmp(path, "/covered") != 0;
}

#define LINE(root, point, type) "31 23 0:28 " root " " point " rw - " type " src rw\n"

static const struct {
	const char *text, *path;
	bool saw_v1;
} mounts[] = {
	{"", NULL, false},
	{LINE("/", "/sys/fs/cgroup", "cgroup2"), "/sys/fs/cgroup", false},
	{LINE("/", "/sys/fs/cgroup/cpu", "cgroup"), NULL, true},
	{LINE("/", "/cpu", "cgroup") LINE("/", "/sys/fs/cgroup/unified", "cgroup2"),
	 "/sys/fs/cgroup/unified", true},
	{LINE("/", "/a\\040b\\011c\\134d\\043e", "cgroup2"), "/a b\tc\\d#e", false},
	{LINE("/", "/bad\\04\\999\\", "cgroup2"), "/bad\\04\\999\\", false},
	{"1 2 0:3 / /x rw shared:1 master:2 propagate_from:3 - cgroup2 a rw\n", "/x", false},
	/* the host's, mounted beside the container's own */
	{LINE("/", "/sys/fs/cgroup", "cgroup2") LINE("/../../..", "/host", "cgroup2"), "/host",
	 false},
	{LINE("/..", "/one", "cgroup2") LINE("/../..", "/two", "cgroup2")
		 LINE("/", "/z", "cgroup2"),
	 "/two", false},
	/* the host's root, mounted as well */
	{LINE("/", "/host/sys/fs/cgroup", "cgroup2") LINE("/", "/sys/fs/cgroup", "cgroup2"),
	 "/sys/fs/cgroup", false},
	{LINE("/", "/sys/fs/cgroup", "cgroup2") LINE("/", "/host/sys/fs/cgroup", "cgroup2"),
	 "/sys/fs/cgroup", false},
	{LINE("/part", "/part", "cgroup2") LINE("/", "/all", "cgroup2"), "/all", false},
	{LINE("/../part", "/part", "cgroup2") LINE("/", "/all", "cgroup2"), "/all", false},
	{LINE("/part", "/part", "cgroup2"), "/part", false},
	{LINE("/", "/covered", "cgroup2"), NULL, false},
	{LINE("/", "/covered", "cgroup2") LINE("/", "/seen", "cgroup2"), "/seen", false},
	/* not mountinfo */
	{"cgroup2\n\n - \n1 2 3 / /x\n1 2 3 / /x rw -\n1 2 3 / /x rw - \n", NULL, false},
	{"1 2 3 x y rw - cgroup2 a rw", NULL, false},
	{LINE("/", "/sys/fs/bpf", "bpf") LINE("/", "/cgroup2", "tmpfs"), NULL, false},
};

static void test_mountinfo(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		_cleanup_free_ char *text = strdup(mounts[i].text);
		struct mountinfo_pick pick = mountinfo_pick_cgroup2(text, not_covered);

		assert_int_equal(pick.saw_v1, mounts[i].saw_v1);
		if (mounts[i].path)
			assert_string_equal(pick.path, mounts[i].path);
		else
			assert_null(pick.path);
	}
}

static void test_this_machine(void **state)
{
	_cleanup_free_ char *path = NULL;
	struct pc_err err = {""};
	int r = cgtree_find_mount(&path, &err);

	(void)state;
	if (r < 0) {
		assert_int_equal(r, -ENOENT);
		assert_non_null(strstr(err.msg, "no cgroup2 mount"));
		return;
	}
	assert_int_equal(path[0], '/');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find_kubepods, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find_in_container, setup, teardown),
		cmocka_unit_test_setup_teardown(test_survey, setup, teardown),
		cmocka_unit_test_setup_teardown(test_survey_in_steps, setup, teardown),
		cmocka_unit_test(test_realm),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
