/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to user/config: between the keys of the file and the sections that other files read. */
#pragma once

#include "config/config.h"
#include "yaml/read.h"

/* One rule of policy:, checked against those before it, and added; target is struct config. */
int config_policy_read(const struct yml_source *src, const struct yml_node *node, void *target);
