/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "kernel/load.h"

/* Fills config->guard_filter for these guards: no address that one of them covers has its bit clear,
 * except config->agent, whose rule the hooks know. Wrong here would be a hole in the guard, so this
 * stands alone and is tested alone. */
void kern_guard_filter_fill(const struct kern_guard *guards, size_t n,
			    struct podcred_config *config);
