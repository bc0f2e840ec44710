/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "resolver/options.h"

/* Keep podcred_pods right until SIGTERM or SIGINT. SIGHUP reads PodList and policy again. */
int daemon_resolve(const struct resolver_options *options, struct pc_err *err);
