// SPDX-License-Identifier: Apache-2.0
/* May it be done on this host, and where? */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/internal.h"

/* It becomes part of a unit and of a shell script. */
int host_place_check_dir(const char *dir, struct pc_err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._/-";

	if (dir[0] == '/' && dir[1] && dir[strspn(dir, allowed)] == '\0' && !strstr(dir, ".."))
		return 0;
	return pc_err_set(err, -EINVAL,
			  "\"%s\" is no directory to install in; give an absolute path of letters, "
			  "digits and . _ - with --dir",
			  dir);
}

/* /run/systemd/system is there if and only if systemd is the init of the host. */
int host_place_check_systemd(const struct host_options *options, int root, struct pc_err *err)
{
	if (host_tree_exists(root, "/run/systemd/system"))
		return 0;
	return pc_err_set(err, -ENOTSUP,
			  "nothing on %s runs systemd, which has to start podcred before the "
			  "kubelet; guard the boot in the node's image instead, or do without "
			  "(deploy/README.md)",
			  options->root);
}

static bool is_volatile(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

int host_place_open_units(const struct host_options *options, int root, struct pc_err *err)
{
	_cleanup_close_ int fd = host_tree_open(root, HOST_UNITS, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return pc_err_set(err, fd, "cannot open " HOST_UNITS " of %s: %s", options->root,
				  strerror(-fd));
	if (is_volatile(fd))
		return pc_err_set(err, -EROFS,
				  HOST_UNITS " of this host does not outlive a reboot; install "
					     "podcred in the node's image instead, or do without "
					     "(deploy/README.md)");
	if (faccessat(fd, ".", W_OK, AT_EACCESS) < 0)
		return pc_err_set(err, -errno,
				  "cannot write " HOST_UNITS
				  " of %s: %m; if the host is immutable, "
				  "install podcred in the node's image instead, or do without "
				  "(deploy/README.md)",
				  options->root);
	return TAKE_FD(fd);
}

static bool is_foreign(int root, const char *dir, struct pc_err *err)
{
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" HOST_UNIT, dir);
	fd = host_tree_open(root, path, O_RDONLY);
	if (fd < 0 || host_unit_is_ours(fd))
		return false;
	pc_err_set(err, 0, "%s is there, and not of podcred host install: that one guards the boot",
		   path);
	return true;
}

/* Of a package, or an operator's own: two of them would disagree. */
int host_place_check_foreign(int root, struct pc_err *err)
{
	static const char *const dirs[] = {HOST_UNITS, "/usr/local/lib/systemd/system",
					   "/usr/lib/systemd/system", "/lib/systemd/system"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (is_foreign(root, dirs[i], err))
			return -EEXIST;
	return 0;
}

int host_place_open_dir(const struct host_options *options, int root, struct pc_err *err)
{
	_cleanup_close_ int fd = host_tree_make_dir(root, options->dir);
	struct statvfs fs;

	if (fd < 0 || faccessat(fd, ".", W_OK, AT_EACCESS) < 0) {
		int r = fd < 0 ? fd : -errno;

		return pc_err_set(
			err, r,
			"cannot write %s of %s: %s; give a directory of the host that can "
			"be written with --dir",
			options->dir, options->root, strerror(-r));
	}
	if (is_volatile(fd) || (fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_NOEXEC))
		return pc_err_set(err, -EROFS,
				  "%s of %s %s; give another directory of the host with --dir",
				  options->dir, options->root,
				  is_volatile(fd) ? "does not outlive a reboot"
						  : "is mounted noexec, and programs cannot be "
						    "started there");
	return TAKE_FD(fd);
}
