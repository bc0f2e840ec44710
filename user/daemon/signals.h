/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/loop.h"

/* What every process here is told by signals: SIGTERM and SIGINT to stop, SIGHUP to read its files again
 * (NULL: ignored). -errno. */
int daemon_signals(struct loop *loop, loop_signal_fn *stop, loop_signal_fn *reload, void *arg);
