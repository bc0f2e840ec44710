// SPDX-License-Identifier: Apache-2.0
/*
 * Two ways to notice a change. inotify is quick, but knows only the directory that it was given: it
 * misses a directory that appears later, the target of a symbolic link, and what is mounted over
 * it, and some file systems do not support it. Polling finds all of that, only later.
 */
#include "kube/podlist.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"

void kube_podlist_watch_start(struct podlist_watch *watch, const char *path)
{
	*watch = (struct podlist_watch){.path = path, .fd = -EBADF};
}

void kube_podlist_watch_stop(struct podlist_watch *watch)
{
	cleanup_close(&watch->fd);
	watch->fd = -EBADF;
}

/* Whether anything happened in the folder: it may have been another file, or be half written; then
 * more follows. */
static bool drain(struct podlist_watch *watch)
{
	char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	bool changed = false, lost = false;

	while (watch->fd >= 0) {
		ssize_t n = read(watch->fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
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
		kube_podlist_watch_stop(watch);
	return changed;
}

static int open_inotify(int dir)
{
	const uint32_t mask = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
			      IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char proc[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

	if (fd < 0)
		return -errno;
	/* By descriptor, so that it is the folder that was looked at. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dir);
	return inotify_add_watch(fd, proc, mask) < 0 ? -errno : TAKE_FD(fd);
}

/* The folder that the path leads to now is the one that inotify has, or it gets that one. */
static int follow_folder(struct podlist_watch *watch)
{
	_cleanup_free_ char *copy = strdup(watch->path);
	_cleanup_close_ int dir = -EBADF;
	struct stat st;

	if (!copy)
		return -ENOMEM;
	dir = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return -errno;
	if (watch->fd >= 0 && st.st_dev == watch->folder.st_dev &&
	    st.st_ino == watch->folder.st_ino)
		return 0;
	kube_podlist_watch_stop(watch);
	watch->folder = st;
	watch->fd = open_inotify(dir);
	return watch->fd < 0 ? watch->fd : 0;
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       is_same_time(&a->st_mtim, &b->st_mtim) && is_same_time(&a->st_ctim, &b->st_ctim);
}

bool kube_podlist_watch_look(struct podlist_watch *watch)
{
	bool told = drain(watch), differs, again = watch->again;
	struct stat st;

	watch->error =
		follow_folder(watch); /* before the look at the file: nothing is in between */
	if (stat(watch->path, &st) < 0)
		st = (struct stat){};
	differs = !is_same_file(&st, &watch->file);
	watch->file = st;
	/* The file's time moves by some milliseconds. Where inotify is blind, a second change within
	 * them would never be seen. */
	watch->again = differs && !told;
	return told || differs || again;
}
