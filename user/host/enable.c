// SPDX-License-Identifier: Apache-2.0
/* The unit where systemd finds it, and the links that have it started. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/internal.h"

static int wants_dir(int root, const char *by)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), HOST_UNITS "/%s.wants", by);
	return host_tree_make_dir(root, path);
}

static bool is_link_to_unit(int dir_fd)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, HOST_UNIT, target, sizeof(target) - 1);

	target[n < 0 ? 0 : n] = '\0';
	return !strcmp(target, "../" HOST_UNIT);
}

/* As systemctl enable does, which would need the host's systemd to be asked. */
static int enable(int root, struct host_report *ret)
{
	for (const char *const *by = host_unit_wanted_by; *by; by++) {
		_cleanup_close_ int fd = wants_dir(root, *by);
		int r;

		if (fd < 0)
			return fd;
		if (is_link_to_unit(fd))
			continue;
		r = host_tree_replace_link(fd, HOST_UNIT, "../" HOST_UNIT);
		if (r < 0)
			return r;
		ret->changed = true;
	}
	return 0;
}

int host_unit_install(const struct host_options *options, int root, int units_fd,
		      const struct host_files *files, struct host_report *ret, struct pc_err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = host_unit_text(options, files, &text);

	if (r == 0 && !host_tree_is_text(units_fd, HOST_UNIT, text)) {
		r = host_tree_replace_text(units_fd, HOST_UNIT, text, 0644);
		ret->changed |= r == 0;
	}
	if (r == 0)
		r = enable(root, ret);
	return r < 0 ? pc_err_set(err, r, "cannot write the unit " HOST_UNITS "/" HOST_UNIT ": %s",
				  strerror(-r))
		     : 0;
}

bool host_unit_is_there(int units_fd)
{
	_cleanup_close_ int fd = openat(units_fd, HOST_UNIT, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && host_unit_is_ours(fd);
}

/* Made by an install, as a rule; systemd wants none of them. */
static void remove_if_empty(int root, const char *by)
{
	_cleanup_close_ int fd = host_tree_open(root, HOST_UNITS, O_RDONLY | O_DIRECTORY);
	char name[NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s.wants", by);
	if (fd >= 0)
		unlinkat(fd, name, AT_REMOVEDIR);
}

static int disable(int root)
{
	for (const char *const *by = host_unit_wanted_by; *by; by++) {
		_cleanup_close_ int fd = -EBADF;
		char path[PATH_MAX];

		snprintf(path, sizeof(path), HOST_UNITS "/%s.wants", *by);
		fd = host_tree_open(root, path, O_RDONLY | O_DIRECTORY);
		if (fd < 0 || !is_link_to_unit(fd))
			continue;
		if (unlinkat(fd, HOST_UNIT, 0) < 0)
			return -errno;
		remove_if_empty(root, *by);
	}
	return 0;
}

/* Whoever wrote another unit there has enabled that one. */
int host_unit_remove(int root, bool *ret_removed)
{
	_cleanup_close_ int units_fd = host_tree_open(root, HOST_UNITS, O_RDONLY | O_DIRECTORY);
	int r;

	if (units_fd < 0 || !host_unit_is_there(units_fd))
		return 0;
	r = disable(root);
	if (r == 0 && unlinkat(units_fd, HOST_UNIT, 0) < 0)
		r = -errno;
	*ret_removed |= r == 0;
	return r;
}

bool host_unit_is_enabled(int root)
{
	_cleanup_close_ int fd =
		host_tree_open(root, HOST_UNITS "/multi-user.target.wants", O_RDONLY | O_DIRECTORY);

	return fd >= 0 && is_link_to_unit(fd);
}
