// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* Not by the file's position, which other processes may share and move. What has none is read as it comes. */
static ssize_t read_at(int fd, void *buf, size_t size, size_t at)
{
	ssize_t n = pread(fd, buf, size, (off_t)at);

	return n < 0 && errno == ESPIPE ? read(fd, buf, size) : n;
}

static int fill(int fd, size_t at, char *buf, size_t size, size_t *ret_len)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read_at(fd, buf + len, size - len, at + len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return 0;
}

int file_fill(int fd, void *buf, size_t size, size_t *ret_len)
{
	return fill(fd, 0, buf, size, ret_len);
}

int file_read_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, room = 4096, n = 0;

	do {
		char *grown = realloc(buf, room);
		int r;

		if (!grown)
			return -ENOMEM;
		buf = grown;
		r = fill(fd, len, buf + len, room - len - 1, &n);
		if (r < 0)
			return r;
		len += n;
		if (len > max)
			return -EFBIG;
		room *= 2;
	} while (len + 1 == room / 2);
	buf[len] = '\0';
	*ret = TAKE_PTR(buf);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : file_read_fd(fd, max, ret, ret_len);
}

int file_write_fd(int fd, const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_write_atomic(const char *path, const void *data, size_t len, unsigned mode)
{
	_cleanup_free_ char *temp = NULL;
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (asprintf(&temp, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = file_write_fd(fd, data, len);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temp, path) < 0))
		r = -errno;
	if (r < 0)
		unlink(temp);
	return r;
}
