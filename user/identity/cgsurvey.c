// SPDX-License-Identifier: Apache-2.0
#include "identity/cgsurvey.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "identity/cgpath.h"

/* A directory to look into. */
struct node {
	char *path; /* below the start; "" is the start */
	long kubepods;
	unsigned depth;
};

struct cgsurvey_walk {
	char *start;
	int fd;
	unsigned flags;
	struct cgsurvey found;
	struct node *queue;
	size_t n, room;
	size_t at; /* of the queue: what is being looked into */
	DIR *dir; /* which it is open as; NULL: not yet */
};

/* Room for one more of size bytes each. */
static int grow(void *v, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 64;
	void *grown;

	if (n < *room)
		return 0;
	grown = reallocarray(*(void **)v, more, size);
	if (!grown)
		return -ENOMEM;
	*(void **)v = grown;
	*room = more;
	return 0;
}

static int enqueue(struct cgsurvey_walk *w, const char *path, long kubepods, unsigned depth)
{
	int r;

	if (w->n == CGSURVEY_DIRS_MAX)
		return -E2BIG;
	r = grow(&w->queue, w->n, &w->room, sizeof(*w->queue));
	if (r < 0)
		return r;
	w->queue[w->n] = (struct node){strdup(path), kubepods, depth};
	return w->queue[w->n].path ? (w->n++, 0) : -ENOMEM;
}

static bool is_populated(const struct cgsurvey_walk *w, const char *path)
{
	_cleanup_free_ char *file = NULL;
	_cleanup_close_ int fd = -EBADF;
	char text[128];
	ssize_t n;

	if (asprintf(&file, "%s/cgroup.events", path) < 0)
		return false;
	fd = openat(w->fd, file, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, "populated 1");
}

static int add(struct cgsurvey_walk *w, enum cgsurvey_kind kind, const char *path, long kubepods,
	       const struct cgpath_pod *pod)
{
	struct cgsurvey *found = &w->found;
	struct cgsurvey_entry entry = {
		.kind = kind, .kubepods = kubepods, .populated = is_populated(w, path)};
	int r = grow(&found->v, found->n, &found->room, sizeof(*found->v));

	if (r < 0)
		return r;
	if (pod) {
		memcpy(entry.uid, pod->uid, sizeof(entry.uid));
		entry.is_static = pod->is_static;
	}
	if (asprintf(&entry.path, "%s/%s", strcmp(w->start, "/") ? w->start : "", path) < 0)
		return -ENOMEM;
	if (kubepods >= 0) {
		found->v[kubepods].pods++;
		found->v[kubepods].pods_populated += entry.populated;
	}
	found->v[found->n++] = entry;
	return 0;
}

/* "PREFIX<64 hex digits>[.scope]"; 0: it is none, else the length of the prefix and one more. */
static size_t container_prefix(const char *name)
{
	size_t len = strlen(name);
	const char *scope = ".scope";

	if (len > strlen(scope) && !strcmp(name + len - strlen(scope), scope))
		len -= strlen(scope);
	if (len < 64 || strspn(name + len - 64, "0123456789abcdef") < 64)
		return 0;
	return len - 64 + 1;
}

/* crio-conmon is no container, podman's and docker's are not of Kubernetes. */
static bool is_kubernetes(const char *path, const char *name, size_t prefix)
{
	static const char *const prefixes[] = {"cri-containerd-", "crio-"};
	static const char parent[] = "k8s.io/";
	size_t above = (size_t)(name - path);

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (prefix - 1 == strlen(prefixes[i]) && !strncmp(name, prefixes[i], prefix - 1))
			return true;
	return prefix == 1 && above >= strlen(parent) &&
	       !strncmp(name - strlen(parent), parent, strlen(parent)) &&
	       (above == strlen(parent) || name[-(ptrdiff_t)strlen(parent) - 1] == '/');
}

/* A directory below a kubepods: a QoS class, or a pod. */
static int look_inside(struct cgsurvey_walk *w, const struct node *node, const char *path)
{
	struct cgpath_pod pod;
	enum cgpath_reason reason = cgpath_parse(path, strlen(path), &pod);

	if (reason == CGPATH_NO_POD)
		return enqueue(w, path, node->kubepods, node->depth + 1);
	return reason == CGPATH_OK ? add(w, CGSURVEY_POD, path, node->kubepods, &pod) : 0;
}

static int look_outside(struct cgsurvey_walk *w, const struct node *node, const char *path,
			const char *name)
{
	size_t prefix = container_prefix(name);
	struct cgpath_pod pod;
	int r;

	if (cgpath_is_kubepods(name, strlen(name))) {
		r = add(w, CGSURVEY_KUBEPODS, path, -1, NULL);
		return r < 0 ? r : enqueue(w, path, (long)w->found.n - 1, node->depth + 1);
	}
	if (cgpath_parse(path, strlen(path), &pod) == CGPATH_OK)
		return add(w, CGSURVEY_POD, path, -1, &pod);
	if (prefix && is_kubernetes(path, name, prefix))
		return add(w, CGSURVEY_CONTAINER, path, -1, NULL);
	if ((prefix && !(w->flags & CGSURVEY_CONTAINERS)) || !strcmp(path, "user.slice") ||
	    node->depth + 1 >= CGSURVEY_DEPTH)
		return 0;
	return enqueue(w, path, -1, node->depth + 1);
}

static bool is_directory(int dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int look_at(struct cgsurvey_walk *w, const struct dirent *entry)
{
	const struct node node = w->queue[w->at]; /* the queue may move */
	_cleanup_free_ char *path = NULL;

	if (entry->d_name[0] == '.' || !is_directory(dirfd(w->dir), entry))
		return 0;
	if (asprintf(&path, "%s%s%s", node.path, *node.path ? "/" : "", entry->d_name) < 0)
		return -ENOMEM;
	return node.kubepods >= 0
		       ? look_inside(w, &node, path)
		       : look_outside(w, &node, path,
				      strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
}

/* A directory that went away or may not be read has no children; only the start must be readable. */
static int open_dir(struct cgsurvey_walk *w)
{
	const char *path = w->queue[w->at].path;
	int fd = openat(w->fd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return *path ? 0 : -errno;
	w->dir = fdopendir(fd);
	if (w->dir)
		return 0;
	close(fd);
	return -ENOMEM;
}

static void close_dir(struct cgsurvey_walk *w)
{
	if (w->dir)
		closedir(w->dir);
	w->dir = NULL;
}

int cgsurvey_walk_start(const char *start, unsigned flags, struct cgsurvey_walk **ret)
{
	struct cgsurvey_walk *w = calloc(1, sizeof(*w));
	int r = 0;

	if (!w)
		return -ENOMEM;
	w->flags = flags;
	w->fd = open(start, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->fd < 0)
		r = -errno;
	w->start = strdup(start);
	if (r == 0)
		r = w->start ? enqueue(w, "", -1, 0) : -ENOMEM;
	if (r < 0)
		w = cgsurvey_walk_free(w);
	*ret = w;
	return r;
}

int cgsurvey_walk_on(struct cgsurvey_walk *w, size_t entries)
{
	while (w->at < w->n) {
		const struct dirent *entry;
		int r = w->dir ? 0 : open_dir(w);

		if (r < 0)
			return r;
		while (w->dir && (entry = readdir(w->dir)) != NULL) {
			r = look_at(w, entry);
			if (r < 0)
				return r;
			if (--entries == 0)
				return 1;
		}
		close_dir(w);
		w->at++;
	}
	return 0;
}

const struct cgsurvey *cgsurvey_walk_found(const struct cgsurvey_walk *w)
{
	return &w->found;
}

struct cgsurvey_walk *cgsurvey_walk_free(struct cgsurvey_walk *w)
{
	if (!w)
		return NULL;
	for (size_t i = 0; i < w->n; i++)
		free(w->queue[i].path);
	free(w->queue);
	close_dir(w);
	cleanup_close(&w->fd);
	cgsurvey_done(&w->found);
	free(w->start);
	free(w);
	return NULL;
}

int cgsurvey_take(const char *start, unsigned flags, struct cgsurvey *ret)
{
	struct cgsurvey_walk *w;
	int r = cgsurvey_walk_start(start, flags, &w);

	*ret = (struct cgsurvey){};
	if (r < 0)
		return r;
	r = cgsurvey_walk_on(w, SIZE_MAX);
	*ret = w->found;
	w->found = (struct cgsurvey){};
	cgsurvey_walk_free(w);
	return r;
}

void cgsurvey_done(struct cgsurvey *survey)
{
	for (size_t i = 0; i < survey->n; i++)
		free(survey->v[i].path);
	free(survey->v);
	*survey = (struct cgsurvey){};
}

/* Whether systemd nests the slice child in the slice parent. */
static bool is_nested_slice(const char *parent, const char *child)
{
	static const char suffix[] = ".slice";
	size_t len = strlen(parent), end = strlen(suffix);

	if (len <= end || strcmp(parent + len - end, suffix) != 0)
		return false;
	return !strncmp(parent, child, len - end) && child[len - end] == '-';
}

char *cgsurvey_realm(const char *mount, const char *kubepods)
{
	_cleanup_free_ char *child = strdup(kubepods);
	char *path = strdup(kubepods), *slash;
	size_t root = strlen(mount);

	if (!child || !path) {
		free(path);
		return NULL;
	}
	do {
		slash = strrchr(path, '/');
		snprintf(child, strlen(kubepods) + 1, "%s", slash + 1);
		*slash = '\0';
		slash = strrchr(path, '/');
	} while (strlen(path) > root && slash && is_nested_slice(slash + 1, child));
	return path;
}

int cgsurvey_around(const char *mount, const char *kubepods, struct cgsurvey *ret)
{
	_cleanup_free_ char *realm = cgsurvey_realm(mount, kubepods);

	return realm ? cgsurvey_take(realm, 0, ret) : -ENOMEM;
}
