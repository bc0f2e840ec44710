// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/identity/cgfind.c user/identity/mountinfo.c user/identity/cgpath.c user/identity/pod.c user/base/err.c user/base/file.c */
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

#include "cgtree.h"
#include "cleanup.h"
#include "err.h"
#include "mountinfo.h"

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

static void test_find_kubepods(void **state)
{
	_cleanup_free_ char *path = NULL;
	struct pc_err err;
	char want[512];

	(void)state;
	make("system.slice/a.service");
	make("user.slice/kubepods");
	make("a/b/c/d/e/f/kubepods"); /* one level too deep */
	assert_int_equal(cgtree_find_kubepods(".", &path, &err), -ENOENT);
	assert_non_null(strstr(err.msg, top));
	assert_non_null(strstr(err.msg, "--kubepods"));
	make("a/b/c/d/e/kubepods.slice/kubepods");
	assert_int_equal(cgtree_find_kubepods(".", &path, &err), 0);
	snprintf(want, sizeof(want), "%s/a/b/c/d/e/kubepods.slice", top);
	assert_string_equal(path, want);
	cleanup_free(&path);
	/* The nearest wins, and what is below it does not count. */
	make("docker/x/kubelet-kubepods.slice/kubepods");
	assert_int_equal(cgtree_find_kubepods(top, &path, &err), 0);
	snprintf(want, sizeof(want), "%s/docker/x/kubelet-kubepods.slice", top);
	assert_string_equal(path, want);
	cleanup_free(&path);
	path = NULL;
	make("docker/y/kubepods");
	assert_int_equal(cgtree_find_kubepods(top, &path, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "/docker/x/kubelet-kubepods.slice"));
	assert_non_null(strstr(err.msg, "/docker/y/kubepods"));
	assert_null(strchr(err.msg, '\n'));
	assert_int_equal(cgtree_find_kubepods("docker/y/kubepods/", &path, &err), 0);
	snprintf(want, sizeof(want), "%s/docker/y/kubepods", top);
	assert_string_equal(path, want);
	assert_int_equal(cgtree_find_kubepods("nowhere", &path, &err), -ENOENT);
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
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
