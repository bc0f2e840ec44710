// SPDX-License-Identifier: Apache-2.0
#include "node/guard_up.h"

#include "kernel/status.h"
#include "node/guard.h"
#include "node/ifaces.h"
#include "node/stale_conns.h"

/* After our own are in place: until then the others guard, and with both pods are refused. */
static int take_over(const struct layout *layout, unsigned *ret_n, struct pc_err *err)
{
	const struct kern_scope scope = {.cgroup_mount = layout->mount,
					 .guard = layout->guard,
					 .agent = layout->agent_cgroup};

	if (!layout->loader.take_over)
		return 0;
	return kern_others_detach(layout->loader.pin_dir, &scope, ret_n, err);
}

int node_guard_up(const struct layout *layout, struct guard_up *ret, struct pc_err *err)
{
	int r;

	*ret = (struct guard_up){};
	r = kern_load(&layout->loader, &ret->load, err);
	if (r < 0)
		return r;
	ret->load.interfaces = (unsigned)node_ifaces_attach(layout->loader.pin_dir);
	kern_iface_settle(layout->loader.pin_dir);
	node_stale_conns_reset(layout, &ret->older);
	r = take_over(layout, &ret->taken_over, err);
	if (r < 0)
		return r;
	node_guard_warn_unseen(ret->load.others_unknown, layout->guard, layout->agent_cgroup);
	return 0;
}
