// SPDX-License-Identifier: Apache-2.0
#include "daemon/signals.h"

#include <signal.h>

int daemon_signals(struct loop *loop, loop_signal_fn *stop, loop_signal_fn *reload, void *arg)
{
	int r = loop_signal(loop, SIGTERM, stop, arg);

	if (r == 0)
		r = loop_signal(loop, SIGINT, stop, arg);
	return r < 0 ? r : loop_signal(loop, SIGHUP, reload, arg);
}
