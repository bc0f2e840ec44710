// SPDX-License-Identifier: Apache-2.0
/* Where cgroup2 and kubepods are: the two searches of cgtree.h. */
#include "identity/cgtree.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/file.h"
#include "base/plural.h"
#include "identity/cgpath.h"
#include "identity/cgsurvey.h"
#include "identity/mountinfo.h"

#define MOUNTINFO     "/proc/self/mountinfo"
#define MOUNTINFO_MAX (16U << 20)

static bool is_cgroup2(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgtree_find_mount(char **ret_path, struct pc_err *err)
{
	_cleanup_free_ char *text = NULL;
	struct mountinfo_pick pick;
	char *path;
	int r;

	r = file_read(MOUNTINFO, MOUNTINFO_MAX, &text, NULL);
	if (r < 0)
		return pc_err_set(err, r, "cannot read " MOUNTINFO ": %s; is /proc mounted?",
				  strerror(-r));
	pick = mountinfo_pick_cgroup2(text, is_cgroup2);
	if (!pick.path && pick.saw_v1)
		return pc_err_set(
			err, -ENOENT,
			"no cgroup2 mount, only cgroup v1, whose ids podcred cannot use; boot with "
			"systemd.unified_cgroup_hierarchy=1");
	if (!pick.path)
		return pc_err_set(
			err, -ENOENT,
			"no cgroup2 mount in " MOUNTINFO
			"; mount it (mount -t cgroup2 none /sys/fs/cgroup), or the host's into "
			"this container");
	path = strdup(pick.path);
	if (!path)
		return pc_err_set(err, -ENOMEM, "no memory for %s", pick.path);
	*ret_path = path;
	return 0;
}

/* ---- kubepods ---- */

static bool is_at_or_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (path[len] == '/' || path[len] == '\0');
}

/* What speaks for a kubepods, the strongest first. */
enum merit { IS_OURS, HAS_RUNNING_PODS, HAS_PODS, IS_THERE, N_MERITS };

static bool merits(const struct cgsurvey_entry *entry, enum merit merit, const char *own)
{
	if (entry->kind != CGSURVEY_KUBEPODS)
		return false;
	if (merit == IS_OURS)
		return own && is_at_or_below(own, entry->path);
	return merit == IS_THERE || (merit == HAS_PODS ? entry->pods : entry->pods_populated) > 0;
}

static int decide(const char *dir, const char *own, const struct cgsurvey *survey,
		  const struct cgsurvey_entry **ret, struct pc_err *err)
{
	const struct cgsurvey_entry *best[2] = {NULL, NULL};

	for (int merit = 0; merit < N_MERITS && !best[0]; merit++)
		for (size_t i = 0; i < survey->n && !best[1]; i++)
			if (merits(&survey->v[i], (enum merit)merit, own))
				best[best[0] ? 1 : 0] = &survey->v[i];
	if (!best[0])
		return pc_err_set(
			err, -ENOENT,
			"no kubepods directory within %d levels of %s (user.slice not searched); "
			"start the kubelet, or give --kubepods DIR",
			CGSURVEY_DEPTH, dir);
	if (best[1])
		return pc_err_set(
			err, -EEXIST,
			"more than one kubepods directory: %s (%zu pod%s, %zu with processes) and "
			"%s (%zu pod%s, %zu with processes); give the right one with --kubepods "
			"DIR",
			best[0]->path, best[0]->pods, plural(best[0]->pods),
			best[0]->pods_populated, best[1]->path, best[1]->pods,
			plural(best[1]->pods), best[1]->pods_populated);
	*ret = best[0];
	return 0;
}

/* Into containers only when there is none outside: a kind cluster has kubepods of its own. */
static int survey_kubepods(const char *start, struct cgsurvey *ret)
{
	int r = cgsurvey_take(start, 0, ret);

	for (size_t i = 0; r == 0 && i < ret->n; i++)
		if (ret->v[i].kind == CGSURVEY_KUBEPODS)
			return 0;
	if (r < 0)
		return r;
	cgsurvey_done(ret);
	return cgsurvey_take(start, CGSURVEY_CONTAINERS, ret);
}

int cgtree_find_kubepods(const char *dir, const char *own, char **ret_path, struct pc_err *err)
{
	_cleanup_free_ char *start = realpath(dir, NULL);
	_cleanup_(cgsurvey_done) struct cgsurvey survey = {0};
	const struct cgsurvey_entry *found = NULL;
	const char *name;
	int r;

	if (!start)
		return pc_err_set(err, -errno, "cannot open %s: %m; give the cgroup2 mount", dir);
	name = strrchr(start, '/') + 1;
	if (cgpath_is_kubepods(name, strlen(name))) {
		*ret_path = TAKE_PTR(start);
		return 0;
	}
	r = survey_kubepods(start, &survey);
	if (r == -E2BIG)
		return pc_err_set(
			err, r,
			"%s has more than %d directories: not a cgroup mount? give --kubepods DIR",
			start, CGSURVEY_DIRS_MAX);
	if (r < 0)
		return pc_err_set(err, r, "cannot search %s for kubepods: %s", start, strerror(-r));
	r = decide(start, own, &survey, &found, err);
	if (!found)
		return r;
	*ret_path = strdup(found->path);
	return *ret_path ? 0 : pc_err_set(err, -ENOMEM, "no memory for %s", found->path);
}
