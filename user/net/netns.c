// SPDX-License-Identifier: Apache-2.0
#include "net/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"

#define PROCS_MAX (64U << 20) /* more than any cgroup.procs */

struct walk {
	int (*fn)(void *arg, const char *path, uint64_t inode);
	void *arg;
	uint64_t *seen;
	size_t n, room;
	int trouble; /* the first process that could not be looked at, and why */
	struct pc_err *err;
};

static bool vanished(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -ENODEV;
}

static int trouble(struct walk *walk, int r, const char *what, const char *name)
{
	if (!walk->trouble)
		walk->trouble = pc_err_set(walk->err, r, "cannot look at %s %s: %s", what, name,
					   strerror(-r));
	return 0;
}

static bool seen(const struct walk *walk, uint64_t inode)
{
	for (size_t i = walk->n; i; i--)
		if (walk->seen[i - 1] == inode)
			return true;
	return false;
}

static int remember(struct walk *walk, uint64_t inode)
{
	if (walk->n == walk->room) {
		size_t room = walk->room ? walk->room * 2 : 64;
		uint64_t *grown = reallocarray(walk->seen, room, sizeof(*grown));

		if (!grown)
			return pc_err_set(walk->err, -ENOMEM, "out of memory");
		walk->seen = grown;
		walk->room = room;
	}
	walk->seen[walk->n++] = inode;
	return 0;
}

/* path is of one thread. Opened and looked at again: the thread may have gone elsewhere. */
static int visit(struct walk *walk, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char held[32];
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (seen(walk, st.st_ino))
		return 0;
	r = remember(walk, st.st_ino);
	if (r < 0)
		return r;
	snprintf(held, sizeof(held), "/proc/self/fd/%d", fd);
	return walk->fn(walk->arg, held, st.st_ino);
}

static int visit_thread(struct walk *walk, const char *pid, const char *tid)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/ns/net", pid, tid);
	if (stat(path, &st) == 0 && seen(walk, st.st_ino))
		return 0; /* nearly all: spares the open */
	return visit(walk, path);
}

static void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int visit_process(struct walk *walk, const char *pid)
{
	_cleanup_(cleanup_closedir) DIR *dir = NULL;
	struct dirent *entry;
	char path[64];
	int r;

	if (!strcmp(pid, "0")) {
		if (!walk->trouble)
			walk->trouble = pc_err_set(
				walk->err, -ESRCH,
				"processes of pods are outside this PID namespace; in a pod, set "
				"hostPID: true");
		return 0;
	}
	snprintf(path, sizeof(path), "/proc/%.20s/task", pid);
	dir = opendir(path);
	if (!dir)
		return vanished(-errno) ? 0 : trouble(walk, -errno, "process", pid);
	while ((entry = readdir(dir))) {
		size_t before = walk->n;

		if (entry->d_name[0] == '.')
			continue;
		r = visit_thread(walk, pid, entry->d_name);
		if (walk->n != before || r == -ENOMEM) { /* fn ran: its result */
			if (r)
				return r;
		} else if (r < 0 && !vanished(r)) {
			return trouble(walk, r, "the network namespace of process", pid);
		}
	}
	return 0;
}

static int visit_cgroup(struct walk *walk, const char *dir)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	char *save, *pid;
	int r;

	if (asprintf(&path, "%s/cgroup.procs", dir) < 0)
		return pc_err_set(walk->err, -ENOMEM, "out of memory");
	r = file_read(path, PROCS_MAX, &text, NULL);
	/* Not supported: a threaded cgroup, whose processes are listed further up. */
	if (vanished(r) || r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return trouble(walk, r, "cgroup", dir);
	for (pid = strtok_r(text, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save)) {
		r = visit_process(walk, pid);
		if (r)
			return r;
	}
	return 0;
}

static void cleanup_fts(FTS **fts)
{
	if (*fts)
		fts_close(*fts);
}

static int walk_tree(struct walk *walk, const char *cgroup_dir)
{
	char *paths[] = {(char *)cgroup_dir, NULL};
	_cleanup_(cleanup_fts) FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	int r;

	if (!fts)
		return pc_err_set(walk->err, -errno, "cannot walk %s: %s", cgroup_dir,
				  strerror(errno));
	while ((errno = 0, entry = fts_read(fts))) {
		switch (entry->fts_info) {
		case FTS_D:
			r = visit_cgroup(walk, entry->fts_path);
			if (r)
				return r;
			break;
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS:
			if (entry->fts_level > 0 && vanished(-entry->fts_errno))
				break;
			trouble(walk, -entry->fts_errno, "cgroup", entry->fts_path);
			break;
		default:
			break;
		}
	}
	if (errno)
		return pc_err_set(walk->err, -errno, "cannot walk %s: %s", cgroup_dir,
				  strerror(errno));
	return 0;
}

int net_netns_each_below(const char *cgroup_dir,
			 int (*fn)(void *arg, const char *path, uint64_t inode), void *arg,
			 struct pc_err *err)
{
	struct walk walk = {.fn = fn, .arg = arg, .err = err};
	int r = walk_tree(&walk, cgroup_dir);

	free(walk.seen);
	return r ? r : walk.trouble;
}

int net_netns_own(uint64_t *ret_inode)
{
	struct stat st;

	if (stat("/proc/thread-self/ns/net", &st) < 0)
		return -errno;
	*ret_inode = st.st_ino;
	return 0;
}

struct job {
	const char *path;
	int (*fn)(void *arg);
	void *arg;
	int r;
};

static void *job_run(void *arg)
{
	struct job *job = arg;
	_cleanup_close_ int fd = open(job->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		job->r = -errno;
	else
		job->r = job->fn(job->arg);
	return NULL;
}

int net_netns_run(const char *path, int (*fn)(void *arg), void *arg)
{
	struct job job = {.path = path, .fn = fn, .arg = arg};
	sigset_t all, before;
	pthread_t thread;
	int r;

	/* Inherited by the thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, NULL, job_run, &job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	pthread_join(thread, NULL);
	return job.r;
}
