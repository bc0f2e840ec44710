/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/*
 * Wait until no other resolver works on that pin directory, and hold its lock from then on: in *ret_fd.
 * *ret_stopped: a signal to end came first, and there is no lock. -errno: it cannot be had.
 */
int daemon_standby(const char *pin_dir, int *ret_fd, bool *ret_stopped, struct pc_err *err);
