// SPDX-License-Identifier: Apache-2.0
/* Pods that run outside of the guarded kubepods, by the cgroups around it and by the pod list. */
#include "base/cleanup.h"
#include "base/log.h"
#include "identity/cgsurvey.h"
#include "kernel/maps.h"
#include "node/guard.h"
#include "resolver/resolver.h"

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

static void look_for_listed(struct resolver *res, const struct cgsurvey *survey)
{
	size_t absent =
		resolver_listed_absent(&res->around.listed, survey, res->kubepods, clock_mono_ns());

	if (absent && !res->around.absent)
		log_warn("none of %zu pods that run by %s has a process in %s; another kubepods is "
			 "guarded, or the list is of another node, or old",
			 absent, res->options->pods, res->kubepods);
	res->around.absent = absent;
	kern_runtime_write(res->maps.runtime, PODCRED_RUNTIME_LIST_ABSENT, absent);
}

static void look_around(void *arg)
{
	_cleanup_(cgsurvey_done) struct cgsurvey survey = {0};
	struct resolver *res = arg;
	bool seen = cgsurvey_around(res->mount, res->kubepods, &survey) == 0;

	look_for_strays(res, seen ? &survey : NULL);
	look_for_listed(res, seen ? &survey : NULL);
}

int resolver_around_start(struct resolver *res, struct pc_err *err)
{
	(void)err;
	return loop_every(res->loop, 0, RESOLVE_RARE_NS, look_around, res, NULL);
}

void resolver_around_stop(struct resolver *res)
{
	resolver_listed_done(&res->around.listed);
}
