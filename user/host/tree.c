// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "host/internal.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

int host_tree_open_root(const char *path, struct pc_err *err)
{
	int fd = open(path, DIR_FLAGS);

	return fd < 0 ? pc_err_set(err, -errno,
				   "cannot open the host's root %s: %m; mount its / there "
				   "(hostPath), and give that with --root",
				   path)
		      : fd;
}

/* Links on a host are absolute as a rule: they must lead into its own file system, not into ours. */
int host_tree_open(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (__u64)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

bool host_tree_exists(int root, const char *path)
{
	_cleanup_close_ int fd = host_tree_open(root, path, O_PATH);

	return fd >= 0;
}

int host_tree_make_dir(int root, const char *path)
{
	_cleanup_free_ char *parent = strdup(path);
	_cleanup_close_ int parent_fd = -EBADF;
	int fd = host_tree_open(root, path, DIR_FLAGS);
	char *slash;

	if (fd != -ENOENT)
		return fd;
	slash = parent ? strrchr(parent, '/') : NULL;
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	parent_fd =
		*parent ? host_tree_make_dir(root, parent) : host_tree_open(root, "/", DIR_FLAGS);
	if (parent_fd < 0)
		return parent_fd;
	if (mkdirat(parent_fd, slash + 1, 0755) < 0 && errno != EEXIST)
		return -errno;
	return host_tree_open(root, path, DIR_FLAGS);
}

/* ---- remove ---- */

static void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int remove_all_in(int fd)
{
	_cleanup_(cleanup_closedir) DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		close(fd);
		return -errno;
	}
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = host_tree_remove(dirfd(dir), entry->d_name);
	return r;
}

int host_tree_remove(int dir_fd, const char *name)
{
	int fd, r;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	fd = openat(dir_fd, name, DIR_FLAGS | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	r = remove_all_in(fd); /* which closes it */
	return r == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : r;
}

/* ---- write ---- */

static int create(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* On the disk before anything points to it. */
static int settle(int fd, mode_t mode)
{
	return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int host_tree_copy(int dir_fd, const char *name, int from, mode_t mode)
{
	_cleanup_close_ int fd = create(dir_fd, name);
	char buf[65536];
	off_t at = 0;
	ssize_t n;
	int r = fd < 0 ? fd : 0;

	while (r == 0 && (n = pread(from, buf, sizeof(buf), at)) != 0) {
		if (n < 0)
			return -errno;
		r = write_all(fd, buf, (size_t)n);
		at += n;
	}
	return r < 0 ? r : settle(fd, mode);
}

int host_tree_write(int dir_fd, const char *name, const char *text, mode_t mode)
{
	_cleanup_close_ int fd = create(dir_fd, name);
	int r = fd < 0 ? fd : write_all(fd, text, strlen(text));

	return r < 0 ? r : settle(fd, mode);
}

/* A name beside it that nobody uses; what was cut off before has left it. */
static int temp_name(int dir_fd, const char *name, char ret[NAME_MAX + 1])
{
	if (snprintf(ret, NAME_MAX + 1, ".%s.new", name) > NAME_MAX)
		return -ENAMETOOLONG;
	return unlinkat(dir_fd, ret, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int rename_over(int dir_fd, const char *temp, const char *name)
{
	int r = renameat(dir_fd, temp, dir_fd, name) < 0 ? -errno : 0;

	if (r < 0)
		unlinkat(dir_fd, temp, 0);
	else if (fsync(dir_fd) < 0)
		r = -errno;
	return r;
}

int host_tree_replace_text(int dir_fd, const char *name, const char *text, mode_t mode)
{
	char temp[NAME_MAX + 1];
	int r = temp_name(dir_fd, name, temp);

	if (r == 0)
		r = host_tree_write(dir_fd, temp, text, mode);
	return r < 0 ? r : rename_over(dir_fd, temp, name);
}

int host_tree_replace_link(int dir_fd, const char *name, const char *target)
{
	char temp[NAME_MAX + 1];
	int r = temp_name(dir_fd, name, temp);

	if (r == 0 && symlinkat(target, dir_fd, temp) < 0)
		r = -errno;
	return r < 0 ? r : rename_over(dir_fd, temp, name);
}

/* ---- SELinux: what is installed below /opt is no program to its policy, unless it is labelled as one ---- */

#define LABEL "security.selinux"

void host_tree_program_label(int root, char ret[HOST_LABEL_SIZE])
{
	_cleanup_close_ int fd = host_tree_open(root, "/usr/bin/env", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : fgetxattr(fd, LABEL, ret, HOST_LABEL_SIZE - 1);

	ret[n < 0 ? 0 : n] = '\0';
}

int host_tree_set_label(int dir_fd, const char *name, const char *label)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fsetxattr(fd, LABEL, label, strlen(label) + 1, 0) < 0)
		return -errno;
	return 0;
}

/* ---- compare ---- */

bool host_tree_is_copy(int dir_fd, const char *name, int of)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	char a[16384], b[16384];
	off_t at = 0;

	while (fd >= 0) {
		ssize_t n = pread(fd, a, sizeof(a), at), m = pread(of, b, sizeof(b), at);

		if (n != m || n < 0 || memcmp(a, b, (size_t)n) != 0)
			return false;
		if (n == 0)
			return true;
		at += n;
	}
	return false;
}

bool host_tree_is_text(int dir_fd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	size_t len = strlen(text), at = 0;
	char buf[4096];
	ssize_t n = 0;

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
		if (at + (size_t)n > len || memcmp(text + at, buf, (size_t)n) != 0)
			return false;
		at += (size_t)n;
	}
	return fd >= 0 && n == 0 && at == len;
}
