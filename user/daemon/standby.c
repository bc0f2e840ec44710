// SPDX-License-Identifier: Apache-2.0
/*
 * While a DaemonSet is updated, the new pod's resolver waits for the old one to end, and follows the pods
 * at once. A lock has no descriptor to wait for, so it is tried again and again; it costs two system calls.
 */
#include "daemon/standby.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "daemon/signals.h"
#include "kernel/load.h"

#define TRY_NS (50 * CLOCK_MS)

struct standby {
	const char *pin_dir;
	struct loop *loop;
	struct pc_err *err;
	int fd; /* the lock, or why there is none */
	bool said, stopped;
};

static void try_lock(void *arg)
{
	struct standby *standby = arg;

	standby->fd = kern_resolver_lock(standby->pin_dir, standby->err);
	if (standby->fd != -EBUSY) {
		loop_stop(standby->loop, 0);
		return;
	}
	if (!standby->said)
		log_info("standing by: another resolver follows the pods; its end is waited for");
	standby->said = true;
}

static void on_stop(void *arg, int sig)
{
	struct standby *standby = arg;

	(void)sig;
	standby->stopped = true;
	loop_stop(standby->loop, 0);
}

static int wait_on(struct standby *standby)
{
	/* no SIGHUP: the list is read at the start anyway */
	int r = daemon_signals(standby->loop, on_stop, NULL, standby);

	if (r == 0)
		r = loop_every(standby->loop, 0, TRY_NS, try_lock, standby, NULL);
	return r < 0 ? r : loop_run(standby->loop);
}

int daemon_standby(const char *pin_dir, int *ret_fd, bool *ret_stopped, struct pc_err *err)
{
	struct standby standby = {.pin_dir = pin_dir, .err = err, .fd = -EBUSY};
	int r = loop_new(&standby.loop);

	if (r == 0)
		r = wait_on(&standby);
	loop_free(standby.loop);
	if (r < 0)
		return r;
	*ret_stopped = standby.stopped;
	if (standby.fd >= 0)
		*ret_fd = standby.fd;
	return standby.stopped || standby.fd >= 0 ? 0 : standby.fd;
}
