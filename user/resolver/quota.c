// SPDX-License-Identifier: Apache-2.0
/*
 * A BPF program has no timer, so old entries are swept from here, and quotas that nobody gave back
 * are corrected.
 */
#include "kernel/maps.h"
#include "resolver/resolver.h"

static void sweep(void *arg)
{
	const struct resolver *res = arg;

	kern_flows_sweep(res->maps.flows, res->options->conflict_s * CLOCK_S);
}

static void settle(void *arg)
{
	struct resolver *res = arg;

	kern_quota_settle(res->maps.flows, res->maps.quota, &res->quota_memory);
	kern_pass_quota_settle(res->maps.passes, res->maps.pass_quota, &res->pass_quota_memory);
}

int resolver_quota_start(struct resolver *res, struct pc_err *err)
{
	int r = loop_every(res->loop, 0, RESOLVE_OFTEN_NS, sweep, res, NULL);

	(void)err;
	return r < 0 ? r : loop_every(res->loop, 0, RESOLVE_SOON_NS, settle, res, NULL);
}

void resolver_quota_stop(struct resolver *res)
{
	kern_quota_memory_free(res->quota_memory);
	kern_quota_memory_free(res->pass_quota_memory);
}
