/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "err.h"

struct resolve_options {
	const char *pin_dir;
	const char *kubepods; /* NULL: look for it */
	const char *pods; /* PodList file, JSON or YAML */
};

/* Keep podcred_pods right until SIGTERM or SIGINT. SIGHUP reads the PodList again. */
int resolve_run(const struct resolve_options *options, struct pc_err *err);
