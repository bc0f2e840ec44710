/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are on this node: the cgroup2 mount, kubepods, the guarded cgroup, the agent's
 * cgroup. From this and the configuration follows what the loader has to be told.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "config/config.h"
#include "kernel/load.h"

struct layout_options {
	const char *pin_dir;
	const char *cgroup; /* guarded cgroup; NULL: kubepods itself */
	const char *kubepods; /* NULL: look for it */
	const char *agent_cgroup; /* NULL: the pod that we are in, else podcred.slice */
	bool take_over; /* in place of another load, that is pinned elsewhere or hidden */
	bool force; /* guard kubepods although another one has the pods */
	bool create; /* make kubepods when it is not there yet */
	const struct config *config;
};

struct layout {
	char *mount; /* cgroup2, the whole hierarchy */
	char *guard;
	char *kubepods;
	char *agent_cgroup;
	struct kern_guard guards[CONFIG_MAX_DESTINATIONS + 2];
	struct kern_target targets[CONFIG_MAX_DESTINATIONS * CONFIG_MAX_PORTS + 2];
	struct kern_options loader; /* points into this struct */
};

/* The cgroup2 mount, refused when it shows only a part of the hierarchy. */
int node_layout_find_mount(char **ret, struct pc_err *err);

/* The kubepods that a load with these options would guard; owned by the caller. Nothing is created. */
int node_layout_find_kubepods(const struct layout_options *options, char **ret, struct pc_err *err);

/* Everything for kern_load. Free with node_layout_done, also after a failure. */
int node_layout_find(const struct layout_options *options, struct layout *ret, struct pc_err *err);
void node_layout_done(struct layout *place);
