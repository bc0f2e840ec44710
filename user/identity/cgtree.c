// SPDX-License-Identifier: Apache-2.0
#include "identity/cgtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "identity/cgpath.h"
#include "identity/registry.h"

#define QOS_COUNT 2

/* The kernel cuts the path of an event (PODCRED_CGROUP_PATH_LEN); one this long may be cut. */
#define HINT_MAY_BE_CUT 511

struct cgtree {
	struct registry *reg;
	char *path;
	const char *name; /* last component of path */
	int fd;
	int inotify_fd;
	uint64_t root_id;
	uint64_t qos_id[QOS_COUNT];
	char qos_name[QOS_COUNT][CGPATH_NAME_SIZE];
	size_t skipped;
	char skipped_name[CGPATH_NAME_SIZE];
	enum cgpath_reason skipped_reason;
};

static void cleanup_tree(struct cgtree **tree)
{
	cgtree_close(*tree);
}

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

struct cgtree *cgtree_close(struct cgtree *tree)
{
	if (tree) {
		cleanup_close(&tree->fd);
		cleanup_close(&tree->inotify_fd);
		free(tree->path);
		free(tree);
	}
	return NULL;
}

uint64_t cgtree_root_id(const struct cgtree *tree)
{
	return tree->root_id;
}

size_t cgtree_skipped(const struct cgtree *tree, const char **ret_name, const char **ret_reason)
{
	*ret_name = tree->skipped_name;
	*ret_reason = cgpath_reason_text(tree->skipped_reason);
	return tree->skipped;
}

static int set_names(struct cgtree *tree)
{
	int r;

	tree->name = strrchr(tree->path, '/') + 1; /* realpath gives an absolute one */
	if (!cgpath_is_kubepods(tree->name, strlen(tree->name)))
		return -EINVAL;
	r = cgpath_qos_name(tree->name, CGPATH_QOS_BURSTABLE, tree->qos_name[0]);
	if (r < 0)
		return r;
	return cgpath_qos_name(tree->name, CGPATH_QOS_BESTEFFORT, tree->qos_name[1]);
}

static int hold_root(struct cgtree *tree, unsigned flags, struct pc_err *err)
{
	struct statfs fs;
	struct stat st;

	tree->fd = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree->fd < 0 || fstat(tree->fd, &st) < 0 || fstatfs(tree->fd, &fs) < 0)
		return pc_err_set(err, -errno, "cannot open %s: %m; give the kubepods directory",
				  tree->path);
	if (!(flags & CGTREE_ANY_FS) && fs.f_type != CGROUP2_SUPER_MAGIC)
		return pc_err_set(err, -EINVAL,
				  "%s is %s; podcred needs the pods' directory in a cgroup2 mount",
				  tree->path,
				  fs.f_type == CGROUP_SUPER_MAGIC ? "in a cgroup v1 hierarchy"
								  : "not in a cgroup2 file system");
	tree->root_id = st.st_ino;
	return 0;
}

int cgtree_open(const char *path, unsigned flags, struct registry *reg, struct cgtree **ret,
		struct pc_err *err)
{
	_cleanup_(cleanup_tree) struct cgtree *tree = calloc(1, sizeof(*tree));
	int r;

	if (!tree)
		return pc_err_set(err, -ENOMEM, "no memory for %s", path);
	tree->fd = tree->inotify_fd = -EBADF;
	tree->reg = reg;
	tree->path = realpath(path, NULL);
	if (!tree->path)
		return pc_err_set(err, -errno, "cannot open %s: %m; give the kubepods directory",
				  path);
	r = set_names(tree);
	if (r < 0)
		return pc_err_set(
			err, r,
			"%s is not a kubepods directory by its name; give the one that is named "
			"kubepods, kubepods.slice or PREFIX-kubepods.slice",
			tree->path);
	r = hold_root(tree, flags, err);
	if (r == 0)
		*ret = TAKE_PTR(tree);
	return r;
}

static int keep_first(int first, int r)
{
	return first < 0 || r >= 0 ? first : r;
}

/* Directory id of name below dir. 0: not there, or no directory. */
static int read_id(int dir, const char *name, uint64_t *ret_id)
{
	struct stat st;

	*ret_id = 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		/* ENODEV: dir itself was removed meanwhile. */
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		*ret_id = st.st_ino;
	return 0;
}

/* The held directory lives on when it was removed: only its path tells. */
static int check_root(const struct cgtree *tree)
{
	struct stat st;

	if (stat(tree->path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ESTALE : -errno;
	return st.st_ino == tree->root_id ? 0 : -ESTALE;
}

static int watch(struct cgtree *tree, int dir)
{
	const uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
			      IN_MOVE_SELF | IN_ONLYDIR;
	char proc[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

	/* By descriptor, so that it is the directory that is read. Known ones are found again. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dir);
	return inotify_add_watch(tree->inotify_fd, proc, mask) < 0 ? -errno : 0;
}

static void note_skipped(struct cgtree *tree, const char *name, enum cgpath_reason reason)
{
	tree->skipped++;
	tree->skipped_reason = reason;
	snprintf(tree->skipped_name, sizeof(tree->skipped_name), "%s", name);
}

/* One directory entry below parent. 0, an error of the file system, or the sink's in *sink_error. */
static int scan_one(struct cgtree *tree, int dir, const char *parent, const char *name,
		    int *sink_error)
{
	enum cgpath_reason reason;
	char uid[POD_UID_SIZE];
	bool is_static;
	uint64_t id;
	int r = read_id(dir, name, &id);

	if (r < 0 || id == 0)
		return r;
	if (parent == tree->name && (id == tree->qos_id[0] || id == tree->qos_id[1]))
		return 0;
	reason = cgpath_pod_component(parent, strlen(parent), name, strlen(name), uid, &is_static);
	if (reason == CGPATH_OK)
		*sink_error =
			keep_first(*sink_error, registry_add_cgroup(tree->reg, id, uid, is_static));
	else
		note_skipped(tree, name, reason);
	return 0;
}

static int scan_dir(struct cgtree *tree, int fd, const char *parent, int *sink_error)
{
	int r, own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	struct dirent *entry;

	if (own < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	dir = fdopendir(own);
	if (!dir) {
		close(own);
		return -ENOMEM;
	}
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno == ENOENT || errno == ENODEV ? 0 : -errno;
		if (entry->d_name[0] == '.' ||
		    (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		r = scan_one(tree, fd, parent, entry->d_name, sink_error);
		if (r < 0)
			return r;
	}
}

/* Open the QoS classes that are there, read their ids, tell the sink. */
static int open_qos(struct cgtree *tree, int fds[QOS_COUNT], int *sink_error)
{
	for (int q = 0; q < QOS_COUNT; q++) {
		struct stat st;

		tree->qos_id[q] = 0;
		fds[q] = openat(tree->fd, tree->qos_name[q],
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fds[q] < 0 && (errno == ENOENT || errno == ENODEV))
			continue;
		if (fds[q] < 0 || fstat(fds[q], &st) < 0)
			return -errno;
		tree->qos_id[q] = st.st_ino;
	}
	*sink_error = keep_first(*sink_error,
				 registry_set_qos(tree->reg, tree->qos_id[0], tree->qos_id[1]));
	return 0;
}

static void close_qos(int (*fds)[QOS_COUNT])
{
	for (int q = 0; q < QOS_COUNT; q++)
		cleanup_close(&(*fds)[q]);
}

/* Watches come before reading, so that nothing falls between the two. */
static int scan_all(struct cgtree *tree, int *sink_error)
{
	_cleanup_(close_qos) int fds[QOS_COUNT] = {-EBADF, -EBADF};
	int r = 0;

	if (tree->inotify_fd >= 0)
		r = watch(tree, tree->fd);
	if (r == 0)
		r = open_qos(tree, fds, sink_error);
	if (r == 0)
		r = scan_dir(tree, tree->fd, tree->name, sink_error);
	for (int q = 0; q < QOS_COUNT && r == 0; q++) {
		if (fds[q] < 0)
			continue;
		if (tree->inotify_fd >= 0)
			r = watch(tree, fds[q]);
		if (r == 0)
			r = scan_dir(tree, fds[q], tree->qos_name[q], sink_error);
	}
	return r;
}

int cgtree_scan(struct cgtree *tree)
{
	int r, sink_error = 0;

	r = check_root(tree);
	if (r < 0)
		return r;
	registry_mark(tree->reg);
	tree->skipped = 0;
	r = scan_all(tree, &sink_error);
	if (r < 0)
		return r;
	return keep_first(sink_error, registry_sweep(tree->reg));
}

/* path leads to a pod: open its parent below the held root and look at the inode there. */
static int add_pod(struct cgtree *tree, uint64_t id, const char *path, const struct cgpath_pod *pod)
{
	const char *name = path + pod->pod_start, *parent = tree->name, *open_as = ".";
	_cleanup_close_ int fd = -EBADF;
	char uid[POD_UID_SIZE];
	bool is_static;
	uint64_t found;
	int r;

	for (int q = 0; q < QOS_COUNT; q++) {
		size_t len = strlen(tree->qos_name[q]);

		if (pod->pod_start == pod->root_len + len + 2 &&
		    memcmp(path + pod->root_len + 1, tree->qos_name[q], len) == 0)
			parent = open_as = tree->qos_name[q];
	}
	fd = openat(tree->fd, open_as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ? 0 : -errno;
	r = read_id(fd, name, &found);
	if (r < 0 || found != id)
		return r;
	/* The hint may have been about another kubepods; the name must fit the parent it has here. */
	if (cgpath_pod_component(parent, strlen(parent), name, strlen(name), uid, &is_static) !=
	    CGPATH_OK)
		return 0;
	r = registry_add_cgroup(tree->reg, id, uid, is_static);
	return r < 0 ? r : 1;
}

int cgtree_added(struct cgtree *tree, uint64_t id, const char *path)
{
	size_t len = strlen(path);
	enum cgpath_reason reason;
	struct cgpath_pod pod;
	int r;

	reason = cgpath_parse(path, len, &pod);
	/* A QoS class (its pods may be there already), or nobody can tell: look at everything. */
	if (reason == CGPATH_NO_POD || len >= HINT_MAY_BE_CUT) {
		r = cgtree_scan(tree);
		return r < 0 ? r : 1;
	}
	if (reason != CGPATH_OK || pod.root_len == 0 || pod.pod_len != len)
		return 0;
	return add_pod(tree, id, path, &pod);
}

int cgtree_removed(struct cgtree *tree, uint64_t id)
{
	if (id == tree->root_id)
		return -ESTALE;
	if (id != 0 && (id == tree->qos_id[0] || id == tree->qos_id[1]))
		return cgtree_scan(tree);
	/* Ids are not reused: whoever has it is gone, whatever has come to that path since. */
	return registry_remove_cgroup(tree->reg, id);
}

/* The parent too: a directory that is held open does not tell of its own removal. */
static int watch_root(struct cgtree *tree)
{
	_cleanup_close_ int parent = openat(tree->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = watch(tree, tree->fd);

	return r < 0 || parent < 0 ? r : watch(tree, parent);
}

int cgtree_watch_fd(struct cgtree *tree)
{
	int r;

	if (tree->inotify_fd >= 0)
		return tree->inotify_fd;
	tree->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (tree->inotify_fd < 0)
		return -errno;
	r = watch_root(tree);
	if (r < 0) {
		close(TAKE_FD(tree->inotify_fd));
		return r;
	}
	return tree->inotify_fd;
}

int cgtree_watch_dispatch(struct cgtree *tree)
{
	char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	bool changed = false;
	int r;

	/* What happened does not matter, also not when the queue overflowed: the scan sees all. */
	for (;;) {
		ssize_t n = read(tree->inotify_fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n <= 0)
			break;
		changed = true;
	}
	if (!changed)
		return 0;
	r = cgtree_scan(tree);
	return r < 0 ? r : 1;
}
