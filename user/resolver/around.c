// SPDX-License-Identifier: Apache-2.0
/* Pods that run outside of the guarded kubepods, by the cgroups around it and by the pod list. */
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "identity/cgsurvey.h"
#include "identity/registry.h"
#include "kernel/maps.h"
#include "node/guard.h"
#include "resolver/resolver.h"

/* A list is some seconds old when it is read. */
#define PATIENCE_NS (15 * CLOCK_S)

/* At most one in so many parts of the time is spent here. */
#define AROUND_SHARE 200

/* Entries of directories in one turn of the loop, a few milliseconds: new pods wait meanwhile. */
#define AROUND_STEP 100

/* A runtime that does not use the kubelet's cgroups: no event tells of that. */
static void look_for_strays(struct resolver *res, const struct cgsurvey *survey)
{
	char text[768];
	bool strays = survey && node_guard_outside(survey, res->kubepods, text, sizeof(text));

	if (strays && !res->around.strays)
		log_warn("not guarded: %s", text);
	else if (!strays && res->around.strays)
		log_info("no pod runs outside of %s any more", res->kubepods);
	res->around.strays = strays;
}

static bool runs_by_list(const struct resolver *res, const struct cgsurvey_entry *pod)
{
	struct pod_name name;

	return registry_find_name(res->registry, pod->uid, &name) && name.running;
}

/* Whether a process of a pod that runs by the list is below kubepods, where the programs are. */
static bool has_one_of_them(const struct resolver *res, const struct cgsurvey *survey)
{
	for (size_t i = 0; i < survey->n; i++) {
		const struct cgsurvey_entry *entry = &survey->v[i];

		if (entry->kubepods >= 0 && entry->populated &&
		    !strcmp(survey->v[entry->kubepods].path, res->kubepods) &&
		    runs_by_list(res, entry))
			return true;
	}
	return false;
}

/* How many pods should run below kubepods of which, for a while now, none does: another directory is
 * guarded, or the list is of another node or very old. */
static size_t count_absent(struct resolver *res, const struct cgsurvey *survey)
{
	size_t running = registry_count_running(res->registry);
	uint64_t now = clock_mono_ns(), *since = &res->around.absent_ns;

	if (!running || !survey || has_one_of_them(res, survey))
		*since = 0;
	else if (!*since)
		*since = now;
	return *since && now - *since >= PATIENCE_NS ? running : 0;
}

static void look_for_listed(struct resolver *res, const struct cgsurvey *survey)
{
	size_t absent = count_absent(res, survey);

	if (absent && !res->around.absent)
		log_warn("none of %zu pods that run by %s has a process in %s; another kubepods is "
			 "guarded, or the list is of another node, or old",
			 absent, res->source.from, res->kubepods);
	res->around.absent = absent;
	kern_runtime_write(res->maps.runtime, PODCRED_RUNTIME_LIST_ABSENT, absent);
}

/* As cgsurvey_walk_on(). */
static int go_on(struct resolver *res)
{
	_cleanup_free_ char *realm = NULL;
	int r = 0;

	if (!res->around.walk) {
		realm = cgsurvey_realm(res->mount, res->kubepods);
		r = realm ? cgsurvey_walk_start(realm, 0, &res->around.walk) : -ENOMEM;
	}
	return r < 0 ? r : cgsurvey_walk_on(res->around.walk, AROUND_STEP);
}

static void conclude(struct resolver *res, bool seen)
{
	const struct cgsurvey *survey = seen ? cgsurvey_walk_found(res->around.walk) : NULL;

	look_for_strays(res, survey);
	look_for_listed(res, survey);
	res->around.walk = cgsurvey_walk_free(res->around.walk);
}

/* With thousands of cgroups the less often, the longer it takes. */
static void look_around(void *arg)
{
	uint64_t began = clock_mono_ns();
	struct resolver *res = arg;
	int r = go_on(res);

	if (r <= 0)
		conclude(res, r == 0);
	res->around.took_ns += clock_mono_ns() - began;
	if (r > 0) {
		loop_timer_after(res->around.timer, 0);
		return;
	}
	log_debug("looked around kubepods for %llu ms",
		  (unsigned long long)(res->around.took_ns / CLOCK_MS));
	loop_timer_after(res->around.timer, RESOLVE_RARE_NS + AROUND_SHARE * res->around.took_ns);
	res->around.took_ns = 0;
}

int resolver_around_start(struct resolver *res, struct pc_err *err)
{
	int r = loop_timer_new(res->loop, look_around, res, &res->around.timer);

	(void)err;
	if (r == 0)
		loop_timer_after(res->around.timer, 0);
	return r;
}

void resolver_around_stop(struct resolver *res)
{
	res->around.walk = cgsurvey_walk_free(res->around.walk);
}
