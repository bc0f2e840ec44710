// SPDX-License-Identifier: Apache-2.0
/* MODULES: identity base */
/* The tree reader on plain directories: it needs inode numbers, not cgroups. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
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
#include "identity/cgtree.h"
#include "identity/registry.h"

#define UID_1	 "00000000-0000-0000-0000-000000000001"
#define UID_2	 "00000000-0000-0000-0000-000000000002"
#define UID_3	 "00000000-0000-0000-0000-000000000003"
#define UID_1_US "00000000_0000_0000_0000_000000000001"
#define UID_2_US "00000000_0000_0000_0000_000000000002"
#define HASH	 "2732ca68f6358eba7703fb6f82a25c94"

static char top[64]; /* a new directory for each test, and the working directory */
static int start_fd;
static uint64_t qos[2];
static int sink_fails;
static struct registry *reg;
static struct cgtree *tree;

static int sink_upsert(void *arg, const struct pod_ident *pod)
{
	(void)arg;
	/* The classes are known before any pod is. */
	assert_true(qos[0] != UINT64_MAX);
	assert_true(pod->cgroup_id != 0);
	return sink_fails;
}

static int sink_remove(void *arg, uint64_t id)
{
	(void)arg;
	(void)id;
	return sink_fails;
}

static int sink_qos(void *arg, uint64_t burstable, uint64_t besteffort)
{
	(void)arg;
	qos[0] = burstable;
	qos[1] = besteffort;
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	struct identity_sink sink = {sink_upsert, sink_remove, sink_qos, NULL};

	(void)state;
	strcpy(top, "/tmp/podcred-cgtree-XXXXXX");
	qos[0] = qos[1] = UINT64_MAX;
	sink_fails = 0;
	tree = NULL;
	start_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (start_fd < 0 || !mkdtemp(top) || chdir(top) < 0)
		return -1;
	return registry_new(&sink, 0, &reg);
}

static int teardown(void **state)
{
	(void)state;
	tree = cgtree_close(tree);
	reg = registry_free(reg);
	if (fchdir(start_fd) < 0)
		return -1;
	close(start_fd);
	return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* mkdir -p below top; the id of the last. */
static uint64_t make(const char *path)
{
	char copy[512];
	struct stat st;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(copy, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	assert_true(mkdir(copy, 0755) == 0 || errno == EEXIST);
	assert_int_equal(stat(copy, &st), 0);
	return st.st_ino;
}

static void open_tree(const char *path)
{
	struct pc_err err = {""};

	if (cgtree_open(path, CGTREE_ANY_FS, reg, &tree, &err) < 0)
		fail_msg("%s", err.msg);
}

static void assert_pod(uint64_t id, const char *uid)
{
	const struct pod_ident *pod = registry_find(reg, id);

	if (!uid) {
		assert_null(pod);
		return;
	}
	assert_non_null(pod);
	assert_string_equal(pod->uid, uid);
	assert_int_equal(pod->is_static, strlen(uid) == 32);
}

static void test_scan_cgroupfs(void **state)
{
	uint64_t root = make("kubepods"), one, two, three, four, burstable;
	const char *name, *reason;

	(void)state;
	one = make("kubepods/pod" UID_1 "/container/kubepods/pod" UID_3);
	one = make("kubepods/pod" UID_1);
	burstable = make("kubepods/burstable");
	two = make("kubepods/burstable/pod" UID_2);
	three = make("kubepods/besteffort/pod" HASH);
	make("kubepods/burstable/podnonsense");
	assert_int_equal(symlink("burstable/pod" UID_2, "kubepods/pod" UID_2), 0);
	open_tree("kubepods");
	assert_int_equal(cgtree_root_id(tree), root);
	assert_int_equal(cgtree_scan(tree), 0);
	assert_int_equal(registry_count(reg), 3);
	assert_pod(one, UID_1);
	assert_pod(two, UID_2);
	assert_pod(three, HASH);
	assert_int_equal(qos[0], burstable);
	assert_int_equal(qos[1], make("kubepods/besteffort"));
	assert_int_equal(cgtree_skipped(tree, &name, &reason), 1);
	assert_string_equal(name, "podnonsense");
	assert_non_null(strstr(reason, "neither"));
	/* One goes, one comes. */
	assert_int_equal(rmdir("kubepods/burstable/pod" UID_2), 0);
	four = make("kubepods/besteffort/pod" UID_3);
	assert_int_equal(rmdir("kubepods/besteffort/pod" HASH), 0);
	assert_int_equal(cgtree_scan(tree), four == two ? -EEXIST : 0);
	assert_int_equal(cgtree_scan(tree), 0);
	assert_int_equal(registry_count(reg), 2);
	assert_pod(four, UID_3);
}

static void test_scan_systemd(void **state)
{
	const char *base = "kubelet.slice/kubelet-kubepods.slice";
	uint64_t one, two;
	char path[400];

	(void)state;
	snprintf(path, sizeof(path), "%s/kubelet-kubepods-pod%s.slice/x.scope", base, UID_1_US);
	make(path);
	*strrchr(path, '/') = '\0';
	one = make(path);
	snprintf(path, sizeof(path),
		 "%s/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod%s.slice", base,
		 UID_2_US);
	two = make(path);
	snprintf(path, sizeof(path), "%s/kubepods-pod%s.slice", base, UID_2_US);
	make(path);
	open_tree(base);
	assert_int_equal(cgtree_scan(tree), 0);
	assert_int_equal(registry_count(reg), 2);
	assert_pod(one, UID_1);
	assert_pod(two, UID_2);
	assert_true(qos[0] != 0 && qos[1] == 0);
}

static void test_events(void **state)
{
	uint64_t one, two, class;

	(void)state;
	make("kubepods");
	open_tree("kubepods");
	assert_int_equal(cgtree_scan(tree), 0);
	assert_true(qos[0] == 0 && qos[1] == 0);
	one = make("kubepods/pod" UID_1);
	assert_int_equal(cgtree_added(tree, one, "/kubepods/pod" UID_1), 1);
	assert_pod(one, UID_1);
	/* The path may say what it likes, the inode decides. */
	assert_int_equal(cgtree_added(tree, one + 1000, "/kubepods/pod" UID_1), 0);
	assert_int_equal(cgtree_added(tree, one, "/kubepods/pod" UID_2), 0);
	assert_int_equal(cgtree_added(tree, one, "/kubepods/burstable/pod" UID_1), 0);
	assert_int_equal(cgtree_added(tree, one, "/kubepods/pod" UID_1 "/x"), 0);
	assert_int_equal(cgtree_added(tree, one, "/system.slice"), 0);
	assert_int_equal(cgtree_added(tree, one, "/kubepods-pod" UID_1_US ".slice:a:b"), 0);
	assert_int_equal(cgtree_added(tree, one, ""), 0);
	assert_int_equal(registry_count(reg), 1);
	/* A class comes, then its pod; the prefix of the hierarchy is not ours to know. */
	class = make("kubepods/burstable");
	assert_int_equal(cgtree_added(tree, class, "/a/b/kubepods/burstable"), 1);
	assert_int_equal(qos[0], class);
	two = make("kubepods/burstable/pod" UID_2);
	assert_int_equal(cgtree_added(tree, two, "/a/b/kubepods/burstable/pod" UID_2), 1);
	assert_pod(two, UID_2);
	assert_int_equal(cgtree_removed(tree, two), 0);
	assert_pod(two, NULL);
	assert_int_equal(cgtree_removed(tree, 12345678), 0);
	assert_int_equal(rmdir("kubepods/burstable/pod" UID_2), 0);
	assert_int_equal(rmdir("kubepods/burstable"), 0);
	assert_int_equal(cgtree_removed(tree, class), 0);
	assert_int_equal(qos[0], 0);
	assert_pod(one, UID_1);
	assert_int_equal(cgtree_removed(tree, cgtree_root_id(tree)), -ESTALE);
}

static void test_cut_hint(void **state)
{
	char hint[512];
	uint64_t one;

	(void)state;
	make("kubepods");
	open_tree("kubepods");
	one = make("kubepods/pod" UID_1);
	memset(hint, 'x', sizeof(hint) - 1);
	hint[0] = '/';
	hint[sizeof(hint) - 1] = '\0';
	assert_int_equal(cgtree_added(tree, one, hint), 1);
	assert_pod(one, UID_1);
}

static void test_stale_root(void **state)
{
	uint64_t one;

	(void)state;
	one = make("kubepods/pod" UID_1);
	open_tree("kubepods");
	assert_int_equal(cgtree_scan(tree), 0);
	assert_int_equal(rename("kubepods", "old"), 0);
	assert_int_equal(cgtree_scan(tree), -ESTALE);
	make("kubepods");
	assert_int_equal(cgtree_scan(tree), -ESTALE);
	assert_pod(one, UID_1);
	/* Opened again, the new tree has the say. */
	tree = cgtree_close(tree);
	open_tree("kubepods");
	assert_int_equal(cgtree_scan(tree), 0);
	assert_pod(one, NULL);
}

static void test_sink_error(void **state)
{
	uint64_t one, two;

	(void)state;
	one = make("kubepods/pod" UID_1);
	two = make("kubepods/burstable/pod" UID_2);
	open_tree("kubepods");
	sink_fails = -E2BIG;
	assert_int_equal(cgtree_scan(tree), -E2BIG);
	assert_pod(one, UID_1);
	assert_pod(two, UID_2);
	sink_fails = 0;
	assert_int_equal(cgtree_scan(tree), 0);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void test_watch(void **state)
{
	uint64_t one, two, three;
	int fd;

	(void)state;
	one = make("kubepods/pod" UID_1);
	open_tree("kubepods");
	fd = cgtree_watch_fd(tree);
	assert_true(fd >= 0);
	assert_int_equal(cgtree_watch_fd(tree), fd);
	assert_int_equal(cgtree_scan(tree), 0);
	assert_int_equal(cgtree_watch_dispatch(tree), 0);
	/* A class that comes later is watched too. */
	two = make("kubepods/burstable/pod" UID_2);
	assert_true(readable(fd));
	assert_int_equal(cgtree_watch_dispatch(tree), 1);
	assert_pod(two, UID_2);
	assert_false(readable(fd));
	three = make("kubepods/burstable/pod" UID_3);
	assert_true(readable(fd));
	assert_int_equal(cgtree_watch_dispatch(tree), 1);
	assert_pod(three, UID_3);
	assert_int_equal(rmdir("kubepods/burstable/pod" UID_3), 0);
	assert_int_equal(cgtree_watch_dispatch(tree), 1);
	assert_pod(three, NULL);
	assert_int_equal(rmdir("kubepods/pod" UID_1), 0);
	assert_int_equal(cgtree_watch_dispatch(tree), 1);
	assert_pod(one, NULL);
	/* The root itself, which is held open. */
	assert_int_equal(rmdir("kubepods/burstable/pod" UID_2), 0);
	assert_int_equal(rmdir("kubepods/burstable"), 0);
	assert_int_equal(cgtree_watch_dispatch(tree), 1);
	assert_int_equal(rmdir("kubepods"), 0);
	assert_int_equal(cgtree_watch_dispatch(tree), -ESTALE);
}

static void test_open_refused(void **state)
{
	struct pc_err err;

	(void)state;
	make("kubepods");
	make("pods");
	assert_int_equal(cgtree_open("pods", CGTREE_ANY_FS, reg, &tree, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "/pods is not a kubepods directory"));
	assert_int_equal(cgtree_open("none", CGTREE_ANY_FS, reg, &tree, &err), -ENOENT);
	assert_int_equal(cgtree_open("kubepods", 0, reg, &tree, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "not in a cgroup2 file system"));
	assert_null(tree);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_scan_cgroupfs), TEST(test_scan_systemd), TEST(test_events),
		TEST(test_cut_hint),	  TEST(test_stale_root),   TEST(test_sink_error),
		TEST(test_watch),	  TEST(test_open_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
