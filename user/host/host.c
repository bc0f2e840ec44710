// SPDX-License-Identifier: Apache-2.0
/*
 * In this order: a new directory with everything in it, on the disk; the link to it; the unit; the links
 * that enable the unit; the old directories away. Whatever comes between leaves a host that boots with
 * the old version or with the new one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/internal.h"

static int open_root(const struct host_options *options, struct pc_err *err)
{
	int r = host_place_check_dir(options->dir, err);

	return r < 0 ? r : host_tree_open_root(options->root, err);
}

static int install(const struct host_options *options, int root, struct host_files *files,
		   struct host_report *ret, struct pc_err *err)
{
	_cleanup_close_ int units_fd = host_place_open_units(options, root, err), dir_fd = -EBADF;
	int r = units_fd < 0 ? units_fd : host_place_check_foreign(root, err);

	if (r < 0)
		return r;
	dir_fd = host_place_open_dir(options, root, err);
	if (dir_fd < 0)
		return dir_fd;
	if (flock(dir_fd, LOCK_EX) < 0) /* two pods of an update may come here at once */
		return pc_err_set(err, -errno, "cannot lock %s: %m", options->dir);
	host_tree_program_label(root, files->label);
	r = host_version_install(dir_fd, files, ret, err);
	if (r == 0)
		r = host_unit_install(options, root, units_fd, files, ret, err);
	if (r == 0)
		host_version_remove_all(dir_fd,
					ret->version_dir); /* what is left of them does no harm */
	return r;
}

int host_install(const struct host_options *options, struct host_report *ret, struct pc_err *err)
{
	_cleanup_(host_files_done) struct host_files files = {};
	_cleanup_close_ int root = open_root(options, err);
	int r;

	*ret = (struct host_report){};
	if (root < 0)
		return root;
	r = host_place_check_systemd(options, root, err);
	if (r == 0)
		r = host_files_find(options, &files, err);
	return r < 0 ? r : install(options, root, &files, ret, err);
}

/* ---- and away again ---- */

static int remove_files(const struct host_options *options, int root, bool *ret_removed)
{
	_cleanup_close_ int dir_fd = host_tree_open(root, options->dir, O_RDONLY | O_DIRECTORY);
	_cleanup_close_ int parent_fd = -EBADF;
	char parent[PATH_MAX];
	int r;

	if (dir_fd < 0)
		return dir_fd == -ENOENT ? 0 : dir_fd;
	*ret_removed = true;
	r = host_tree_remove(dir_fd, HOST_CURRENT);
	if (r == 0)
		r = host_version_remove_all(dir_fd, NULL);
	snprintf(parent, sizeof(parent), "%s", options->dir);
	*strrchr(parent, '/') = '\0';
	parent_fd = host_tree_open(root, *parent ? parent : "/", O_RDONLY | O_DIRECTORY);
	/* not empty: somebody else keeps something there */
	if (r == 0 && parent_fd >= 0)
		unlinkat(parent_fd, strrchr(options->dir, '/') + 1, AT_REMOVEDIR);
	return r;
}

int host_uninstall(const struct host_options *options, bool *ret_removed, struct pc_err *err)
{
	_cleanup_close_ int root = open_root(options, err);
	int r;

	*ret_removed = false;
	if (root < 0)
		return root;
	r = host_unit_remove(root, ret_removed);
	if (r == 0)
		r = remove_files(options, root, ret_removed);
	return r < 0 ? pc_err_set(err, r,
				  "cannot remove all of podcred from %s: %s; run as root, with the "
				  "host's / mounted writable",
				  options->root, strerror(-r))
		     : 0;
}

/* ---- what is there ---- */

int host_read_state(const struct host_options *options, struct host_state *ret, struct pc_err *err)
{
	_cleanup_(host_files_done) struct host_files files = {};
	_cleanup_close_ int root = open_root(options, err);
	_cleanup_close_ int dir_fd = -EBADF, version_fd = -EBADF, units_fd = -EBADF;
	int r = root < 0 ? root : host_files_find(options, &files, err);

	*ret = (struct host_state){};
	if (r < 0)
		return r;
	units_fd = host_tree_open(root, HOST_UNITS, O_RDONLY | O_DIRECTORY);
	ret->unit = units_fd >= 0 && host_unit_is_there(units_fd);
	ret->enabled = ret->unit && host_unit_is_enabled(root);
	dir_fd = host_tree_open(root, options->dir, O_RDONLY | O_DIRECTORY);
	if (dir_fd < 0)
		return 0;
	host_version_current(dir_fd, ret->version_dir);
	version_fd = openat(dir_fd, HOST_CURRENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret->program = version_fd >= 0;
	ret->same = ret->program && host_version_is_program(version_fd, &files);
	return 0;
}
