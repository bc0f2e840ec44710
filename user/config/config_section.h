/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of user/config: between the keys of the file and the parts that are read elsewhere. */
#pragma once

#include "config/config.h"
#include "yaml/read.h"

/* One rule of policy:, checked against those before it, and added; target is struct config. */
int config_policy_read(const struct yml_source *src, const struct yml_node *node, void *target);
