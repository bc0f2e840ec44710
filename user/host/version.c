// SPDX-License-Identifier: Apache-2.0
/* A directory for each version, and a link to the one in use. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/internal.h"

static bool is_same_file(int version_fd, const struct host_file *file)
{
	_cleanup_close_ int from = -EBADF;

	if (file->text)
		return host_tree_is_text(version_fd, file->name, file->text);
	from = open(file->source, O_RDONLY | O_CLOEXEC);
	return from >= 0 && host_tree_is_copy(version_fd, file->name, from);
}

static bool is_same(int version_fd, const struct host_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		if (!is_same_file(version_fd, &files->v[i]))
			return false;
	return true;
}

static int copy_file(int version_fd, const struct host_file *file, const char *label)
{
	_cleanup_close_ int from = open(file->source, O_RDONLY | O_CLOEXEC);
	int r = from < 0 ? -errno : host_tree_copy(version_fd, file->name, from, file->mode);

	return r == 0 && *label ? host_tree_set_label(version_fd, file->name, label) : r;
}

static int write_file(int version_fd, const struct host_file *file, const char *label)
{
	if (file->text)
		return host_tree_write(version_fd, file->name, file->text, file->mode);
	return copy_file(version_fd, file, label);
}

static int fill_version(int version_fd, const struct host_files *files, struct pc_err *err)
{
	int r = mkdirat(version_fd, "bin", 0755) < 0 || mkdirat(version_fd, "lib", 0755) < 0
			? -errno
			: 0;

	for (size_t i = 0; r == 0 && i < files->n; i++) {
		r = write_file(version_fd, &files->v[i], files->label);
		if (r < 0)
			return pc_err_set(err, r, "cannot write %s: %s", files->v[i].name,
					  strerror(-r));
	}
	if (r == 0 && (fchmod(version_fd, 0755) < 0 || syncfs(version_fd) < 0))
		r = -errno;
	return r < 0 ? pc_err_set(err, r, "cannot write a new version: %s", strerror(-r)) : 0;
}

#define VERSION_PREFIX "v" PODCRED_VERSION "-"

/* A name that no version has: that of the process would be the same in each container. */
static int make_version(int dir_fd, char ret[128])
{
	for (unsigned i = 1; i < 1000; i++) {
		snprintf(ret, 128, VERSION_PREFIX "%u", i);
		if (mkdirat(dir_fd, ret, 0700) == 0)
			return openat(dir_fd, ret, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

void host_version_current(int dir_fd, char ret[128])
{
	ssize_t n = readlinkat(dir_fd, HOST_CURRENT, ret, 127);

	ret[n < 0 ? 0 : n] = '\0';
}

static bool is_version(const char *name)
{
	return name[0] == 'v' && name[1] >= '0' && name[1] <= '9';
}

/* All but keep; NULL: all. */
int host_version_remove_all(int dir_fd, const char *keep)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (r == 0 && dir && (entry = readdir(dir)))
		if (is_version(entry->d_name) && (!keep || strcmp(entry->d_name, keep) != 0))
			r = host_tree_remove(dir_fd, entry->d_name);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return r;
}

static int install_version(int dir_fd, const struct host_files *files, struct host_report *ret,
			   struct pc_err *err)
{
	_cleanup_close_ int version_fd = -EBADF;
	int r;

	version_fd = make_version(dir_fd, ret->version_dir);
	if (version_fd < 0)
		return pc_err_set(err, version_fd, "cannot make a directory for a new version: %s",
				  strerror(-version_fd));
	r = fill_version(version_fd, files, err);
	if (r == 0)
		r = host_tree_replace_link(dir_fd, HOST_CURRENT, ret->version_dir);
	if (r < 0)
		host_tree_remove(dir_fd, ret->version_dir);
	ret->changed = r == 0;
	return r;
}

int host_version_install(int dir_fd, const struct host_files *files, struct host_report *ret,
			 struct pc_err *err)
{
	_cleanup_close_ int current =
		openat(dir_fd, HOST_CURRENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	host_version_current(dir_fd, ret->version_dir);
	ret->replaced = current >= 0;
	if (current >= 0 && is_same(current, files))
		return 0;
	return install_version(dir_fd, files, ret, err);
}

/* The configuration is the operator's to change; the program is not. */
bool host_version_is_program(int version_fd, const struct host_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		if (files->v[i].source && !is_same_file(version_fd, &files->v[i]))
			return false;
	return true;
}
