// SPDX-License-Identifier: Apache-2.0
#include "node/guard_up.h"

#include <string.h>

#include "base/cleanup.h"
#include "kernel/maps.h"
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

/* What a load would write: all but what belongs to a cgroup that may have been made anew. */
static bool is_same_config(const struct podcred_config *loaded, const struct podcred_config *wanted)
{
	struct podcred_config a = *loaded, b = *wanted;

	memset(a.guard_filter, 0, sizeof(a.guard_filter));
	memset(b.guard_filter, 0, sizeof(b.guard_filter));
	a.agent_cgroup_id = b.agent_cgroup_id = 0;
	a.agent_pod_id = b.agent_pod_id = 0;
	return !memcmp(&a, &b, sizeof(a));
}

static bool is_as_wanted(const struct layout *layout)
{
	struct pc_err err = {};
	_cleanup_close_ int fd = kern_map_open(layout->loader.pin_dir, KERN_MAP_CONFIG, &err);
	struct podcred_config config;

	return kern_is_loaded(layout->loader.pin_dir) && fd >= 0 &&
	       kern_config_read(fd, &config) == 0 &&
	       is_same_config(&config, &layout->loader.config);
}

int node_guard_mend(const struct layout *layout, unsigned *ret_attached, struct pc_err *err)
{
	if (!is_as_wanted(layout) ||
	    kern_cover(layout->loader.pin_dir, layout->mount, ret_attached, err) < 0)
		return -EAGAIN;
	return 0;
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
