// SPDX-License-Identifier: Apache-2.0
/*
 * The process of a pod's sandbox: it holds the pod's namespaces, and does nothing. Runtimes start it
 * before all else in the pod, from an image of the node's, with the capabilities that they give by default;
 * nothing in the pod's manifest takes them away, and nobody can execute anything in there.
 */
#include "doctor/checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define STAT_MAX 4096

/* Of /proc/PID/stat: the name, which may have blanks and parentheses in it, is followed by the state and 18
 * numbers before this one. */
#define FIELDS_BEFORE_START 19

static const char *start_field(const char *stat)
{
	const char *at = strrchr(stat, ')');

	for (int i = 0; at && i <= FIELDS_BEFORE_START; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at;
}

/* When it started, in ticks since the boot, and whether it is called pause. False: it is gone. */
static bool look(const char *pid, uint64_t *ret_start, bool *ret_is_pause)
{
	_cleanup_free_ char *stat = NULL;
	const char *at;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
	if (file_read(path, STAT_MAX, &stat, NULL) < 0)
		return false;
	at = start_field(stat);
	*ret_is_pause = strstr(stat, " (pause) ") != NULL;
	return at && sscanf(at, "%" SCNu64, ret_start) == 1;
}

struct search {
	uint64_t start; /* of the one in question */
	unsigned older;
};

static int count_older(void *arg, const char *cgroup)
{
	struct search *search = arg;
	_cleanup_fclose_ FILE *procs = NULL;
	_cleanup_free_ char *path = NULL;
	char line[32];

	if (asprintf(&path, "%s/cgroup.procs", cgroup) < 0)
		return 0;
	procs = fopen(path, "re");
	while (procs && fgets(line, sizeof(line), procs)) {
		uint64_t start;
		bool is_pause;

		line[strcspn(line, "\n")] = '\0';
		search->older += look(line, &start, &is_pause) && start < search->start;
	}
	return search->older != 0;
}

bool doctor_is_pause(const char *pod_cgroup, const char *pid)
{
	struct search search = {};
	bool is_pause;

	if (!look(pid, &search.start, &is_pause) || !is_pause)
		return false;
	doctor_walk(pod_cgroup, count_older, &search);
	return !search.older;
}
