// SPDX-License-Identifier: Apache-2.0
/* Where cgroup2 and kubepods are: the two searches of cgtree.h. */
#include "cgtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cgpath.h"
#include "cleanup.h"
#include "err.h"
#include "file.h"
#include "mountinfo.h"

#define MOUNTINFO     "/proc/self/mountinfo"
#define MOUNTINFO_MAX (16U << 20)

/* Someone pointed us at something that is not a cgroup hierarchy. */
#define DIRS_MAX 65536

static bool is_cgroup2(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgtree_find_mount(char **ret_path, struct pc_err *err)
{
	_cleanup_free_ char *text = NULL;
	struct mountinfo_pick pick;
	char *path;
	int r;

	r = file_read(MOUNTINFO, MOUNTINFO_MAX, &text, NULL);
	if (r < 0)
		return pc_err_set(err, r, "cannot read " MOUNTINFO ": %s; is /proc mounted?",
				  strerror(-r));
	pick = mountinfo_pick_cgroup2(text, is_cgroup2);
	if (!pick.path && pick.saw_v1)
		return pc_err_set(
			err, -ENOENT,
			"no cgroup2 mount, only cgroup v1, whose ids podcred cannot use; boot with "
			"systemd.unified_cgroup_hierarchy=1");
	if (!pick.path)
		return pc_err_set(
			err, -ENOENT,
			"no cgroup2 mount in " MOUNTINFO
			"; mount it (mount -t cgroup2 none /sys/fs/cgroup), or the host's into "
			"this container");
	path = strdup(pick.path);
	if (!path)
		return pc_err_set(err, -ENOMEM, "no memory for %s", pick.path);
	*ret_path = path;
	return 0;
}

/* Paths relative to the start, owned. */
struct paths {
	char **v;
	size_t n, room;
};

static void paths_clear(struct paths *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		free(paths->v[i]);
	free(paths->v);
	*paths = (struct paths){0};
}

static int paths_add(struct paths *paths, const char *parent, const char *name)
{
	char *path;

	if (paths->n == DIRS_MAX)
		return -E2BIG;
	if (paths->n == paths->room) {
		size_t room = paths->room ? paths->room * 2 : 64;
		char **grown = reallocarray(paths->v, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		paths->v = grown;
		paths->room = room;
	}
	if (asprintf(&path, "%s%s%s", parent, *parent ? "/" : "", name) < 0)
		return -ENOMEM;
	paths->v[paths->n++] = path;
	return 0;
}

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool is_directory(int dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Sort the children of one directory into found and next. A directory that went away or may not
 * be read has none; only the start must be readable. */
static int look_into(int start, const char *path, struct paths *found, struct paths *next)
{
	_cleanup_(cleanup_dir) DIR *dir = NULL;
	struct dirent *entry;
	int fd, r = 0;

	fd = openat(start, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return *path ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;

		if (name[0] == '.' || !is_directory(dirfd(dir), entry))
			continue;
		if (cgpath_is_kubepods(name, strlen(name)))
			r = paths_add(found, path, name);
		else if (*path || strcmp(name, "user.slice") != 0)
			r = paths_add(next, path, name);
	}
	return r;
}

/* Level by level. *ret_found is what the first level with any has. */
static int search(int start, struct paths *ret_found)
{
	struct paths level = {0}, next = {0};
	int r = paths_add(&level, "", "");

	for (int depth = 1; r == 0 && depth <= CGTREE_FIND_DEPTH && !ret_found->n; depth++) {
		for (size_t i = 0; i < level.n && r == 0; i++)
			r = look_into(start, level.v[i], ret_found, &next);
		paths_clear(&level);
		level = next;
		next = (struct paths){0};
	}
	paths_clear(&level);
	return r;
}

static int report(const char *dir, int r, struct paths *found, char **ret_path, struct pc_err *err)
{
	const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";

	if (r == -E2BIG)
		return pc_err_set(
			err, r,
			"%s has more than %d directories on one level: not a cgroup mount? give "
			"--kubepods DIR",
			dir, DIRS_MAX);
	if (r < 0)
		return pc_err_set(err, r, "cannot search %s for kubepods: %s", dir, strerror(-r));
	if (found->n == 0)
		return pc_err_set(
			err, -ENOENT,
			"no kubepods directory within %d levels of %s (user.slice not searched); "
			"start the kubelet, or give --kubepods DIR",
			CGTREE_FIND_DEPTH, dir);
	if (found->n > 1)
		return pc_err_set(
			err, -EEXIST,
			"more than one kubepods directory: %s%s%s and %s%s%s; give the right one "
			"with --kubepods DIR",
			dir, slash, found->v[0], dir, slash, found->v[1]);
	if (asprintf(ret_path, "%s%s%s", dir, slash, found->v[0]) < 0)
		return pc_err_set(err, -ENOMEM, "no memory for %s", found->v[0]);
	return 0;
}

int cgtree_find_kubepods(const char *dir, char **ret_path, struct pc_err *err)
{
	_cleanup_free_ char *start = realpath(dir, NULL);
	_cleanup_(paths_clear) struct paths found = {0};
	_cleanup_close_ int fd = -EBADF;
	const char *name;

	if (start)
		fd = open(start, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return pc_err_set(err, -errno, "cannot open %s: %m; give the cgroup2 mount", dir);
	name = strrchr(start, '/') + 1;
	if (cgpath_is_kubepods(name, strlen(name))) {
		*ret_path = TAKE_PTR(start);
		return 0;
	}
	return report(start, search(fd, &found), &found, ret_path, err);
}
