/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are on this node: the cgroup2 mount, kubepods, the guarded cgroup, the agent's
 * cgroup; and from that and the configuration, what the loader has to be told.
 */
#pragma once

#include <stdbool.h>

#include "config.h"
#include "err.h"
#include "loader.h"

struct place_options {
	const char *pin_dir;
	const char *cgroup; /* guarded cgroup; NULL: kubepods itself */
	const char *kubepods; /* NULL: look for it */
	const char *agent_cgroup; /* NULL: the pod that we are in, else podcred.slice */
	bool take_over; /* in place of another load, that is pinned elsewhere or hidden */
	bool force; /* guard kubepods although another one has the pods */
	bool create; /* make kubepods when it is not there yet */
	const struct config *config;
};

struct place {
	char *mount; /* cgroup2, the whole hierarchy */
	char *guard;
	char *kubepods;
	char *agent_cgroup;
	struct loader_guard guards[CONFIG_MAX_DESTINATIONS + 2];
	struct loader_target targets[CONFIG_MAX_DESTINATIONS * CONFIG_MAX_PORTS + 2];
	struct loader_options loader; /* points into this struct */
};

/* The cgroup2 mount, refused when it shows only a part of the hierarchy. */
int place_find_mount(char **ret, struct pc_err *err);

/* Everything for loader_load. Free with place_done, also after a failure. */
int place_find(const struct place_options *options, struct place *ret, struct pc_err *err);
void place_done(struct place *place);
