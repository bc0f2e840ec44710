// SPDX-License-Identifier: Apache-2.0
#include "podlist.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>

#include "cleanup.h"

int podlist_watch_open(const char *path)
{
	const uint32_t mask = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
			      IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	_cleanup_free_ char *copy = strdup(path);

	if (fd < 0)
		return -errno;
	if (!copy)
		return -ENOMEM;
	if (inotify_add_watch(fd, dirname(copy), mask) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int podlist_watch_drain(int fd)
{
	char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	bool changed = false, lost = false;

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n <= 0)
			break;
		changed = true;
		for (ssize_t i = 0; i < n;) {
			struct inotify_event event;

			memcpy(&event, buf + i, sizeof(event));
			if (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
				lost = true;
			i += (ssize_t)(sizeof(event) + event.len);
		}
	}
	if (lost)
		return -ENOENT;
	return changed;
}
