// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "upstream/internal.h"

#define MODE	0660
#define BACKLOG 8

static int address_of(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

int upstream_socket_dial(const char *path)
{
	struct sockaddr_un sa;
	_cleanup_close_ int fd = new_socket();
	int r = fd < 0 ? fd : address_of(path, &sa);

	if (r < 0)
		return r;
	return connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : TAKE_FD(fd);
}

/* What may be replaced: nothing, or a socket at which nobody listens. */
static int check_place(const char *path, struct pc_err *err)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : pc_err_set(err, -errno, "cannot look at %s: %m", path);
	if (!S_ISSOCK(st.st_mode))
		return pc_err_set(err, -EEXIST,
				  "%s exists and is not a socket; remove it, or give another path",
				  path);
	fd = upstream_socket_dial(path);
	if (fd < 0 && fd != -EAGAIN)
		return 0;
	return pc_err_set(err, -EADDRINUSE,
			  "another process listens at %s; end it, or give another path", path);
}

/* The file comes into being under another name, so that it never has other rights at its own. */
static int make_file(int fd, const char *path, const char *made, uid_t owner)
{
	struct sockaddr_un sa;
	int r = address_of(made, &sa);

	if (r < 0)
		return r;
	unlink(made);
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(made, MODE) < 0)
		return -errno;
	if (owner != (uid_t)-1 && chown(made, owner, (gid_t)-1) < 0 && errno != EPERM)
		return -errno;
	if (listen(fd, BACKLOG) < 0 || rename(made, path) < 0)
		return -errno;
	return 0;
}

int upstream_socket_listen(const char *path, uid_t owner, struct pc_err *err)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *made = NULL;
	int r = check_place(path, err);

	if (r < 0)
		return r;
	if (asprintf(&made, "%s.new", path) < 0)
		return pc_err_set(err, -ENOMEM, "out of memory");
	fd = new_socket();
	r = fd < 0 ? fd : make_file(fd, path, made, owner);
	if (r == 0)
		return TAKE_FD(fd);
	unlink(made);
	return pc_err_set(err, r, "cannot listen at %s: %s; check the path and its permissions",
			  path, strerror(-r));
}
