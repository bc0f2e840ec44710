// SPDX-License-Identifier: Apache-2.0
/* Others check the runtime map and a lock to learn whether a resolver follows the pods. */
#include "base/cleanup.h"
#include "kernel/load.h"
#include "kernel/maps.h"
#include "resolver/resolver.h"

/* After an unload it locks nothing, and would only keep the BPF file system from being unmounted. */
static void drop_old_lock(struct resolver *res)
{
	int *fd = &res->tenure->lock_fd;

	if (*fd >= 0 && !kern_resolver_lock_holds(*fd, res->options->pin_dir))
		close(TAKE_FD(*fd));
}

int resolver_be_the_only_one(struct resolver *res, struct pc_err *err)
{
	const char *pin_dir = res->options->pin_dir;
	int *fd = &res->tenure->lock_fd;

	if (res->tenure->channel >= 0 || kern_resolver_lock_holds(*fd, pin_dir))
		return 0;
	drop_old_lock(res);
	*fd = kern_resolver_lock(pin_dir, err);
	return *fd < 0 ? *fd : 0;
}

static uint64_t said_ready(const struct resolver *res)
{
	uint64_t since_ns = 0;

	kern_runtime_read(res->maps.runtime, PODCRED_RUNTIME_RESOLVER_READY, &since_ns);
	return since_ns;
}

/* For status and metrics, and for whoever waits until the resolver follows the pods. */
static void say_alive(const struct resolver *res)
{
	int fd = res->maps.runtime;

	kern_runtime_write(fd, PODCRED_RUNTIME_RESOLVER_SEEN, clock_boot_ns());
	if (res->ready && !said_ready(res)) /* another resolver ended, but this one goes on */
		kern_runtime_write(fd, PODCRED_RUNTIME_RESOLVER_READY, res->ready);
}

static void say_ready(struct resolver *res, uint64_t since_ns)
{
	say_alive(res);
	kern_runtime_write(res->maps.runtime, PODCRED_RUNTIME_RESOLVER_READY, since_ns);
	res->ready = since_ns;
}

static void live(void *arg)
{
	struct resolver *res = arg;

	say_alive(res);
	drop_old_lock(res);
}

int resolver_health_start(struct resolver *res, struct pc_err *err)
{
	(void)err;
	say_ready(res, clock_boot_ns());
	return loop_every(res->loop, 0, RESOLVE_OFTEN_NS, live, res, NULL);
}

void resolver_health_stop(struct resolver *res)
{
	if (res->ready && said_ready(res) == res->ready) /* not another's, who took over */
		say_ready(res, 0);
}
