// SPDX-License-Identifier: Apache-2.0
#include "ifaces.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "links.h"
#include "loader.h"
#include "log.h"

#define LOOPBACK 1

struct walk {
	const char *pin_dir;
	int attached;
	bool off; /* this kernel, or this load, has neither tcx nor tc */
};

static void attach_to(struct walk *walk, enum loader_iface kind, int ifindex)
{
	struct pc_err err = {};
	int r;

	if (walk->off)
		return;
	r = loader_iface_attach(walk->pin_dir, kind, ifindex, &err);
	walk->attached += r > 0;
	walk->off = r == -EOPNOTSUPP || r == -EPERM;
	if (r == -EPERM)
		log_warn("%s; the interfaces of new pods are not watched", err.msg);
	else if (r < 0 && r != -EOPNOTSUPP && r != -ENODEV)
		log_warn("%s", err.msg);
}

/* What a pod's network hangs on: a pair whose other end is in another namespace. */
static bool is_pod_side(const struct links_link *link)
{
	return link->peer_elsewhere &&
	       (!strcmp(link->kind, "veth") || !strcmp(link->kind, "netkit"));
}

/* Frames sent on what is stacked above (bridge, bond, VLAN) come by here too. */
static bool is_hardware(const struct links_link *link)
{
	return !link->kind[0] && strcmp(link->name, "lo") != 0;
}

static int on_link(void *arg, const struct links_link *link)
{
	if (is_pod_side(link))
		attach_to(arg, LOADER_IFACE_POD, link->ifindex);
	if (is_hardware(link))
		attach_to(arg, LOADER_IFACE_UPLINK, link->ifindex);
	return 0;
}

/* Where a guarded address is reached by, should that be a virtual interface. */
static int on_guard(void *arg, const void *key, const void *value)
{
	const struct podcred_action_value *action = value;
	const struct podcred_guard_key *guard = key;
	int ifindex;

	if (action->action != PODCRED_ACTION_ALLOW &&
	    links_route_oif(guard->addr.ip, &ifindex) == 0 && ifindex != LOOPBACK)
		attach_to(arg, LOADER_IFACE_UPLINK, ifindex);
	return 0;
}

int ifaces_attach_uplinks(const char *pin_dir)
{
	struct walk walk = {.pin_dir = pin_dir};
	struct pc_err err = {};
	int guard_fd = loader_map_open(pin_dir, LOADER_MAP_GUARD, &err);

	if (guard_fd < 0) {
		log_warn("%s", err.msg);
		return 0;
	}
	loader_map_each(guard_fd, sizeof(struct podcred_guard_key),
			sizeof(struct podcred_action_value), on_guard, &walk);
	close(guard_fd);
	return walk.attached;
}

int ifaces_attach(const char *pin_dir)
{
	struct walk walk = {.pin_dir = pin_dir};
	struct pc_err err = {};

	loader_iface_sweep(pin_dir);
	if (links_each(on_link, &walk, &err) < 0)
		log_warn("cannot list the interfaces: %s", err.msg);
	return walk.attached + ifaces_attach_uplinks(pin_dir);
}

static void on_event(void *arg, const struct links_link *link, bool gone)
{
	(void)link;
	(void)gone;
	*(bool *)arg = true;
}

void ifaces_follow(int watch_fd, const char *pin_dir)
{
	bool changed = false;

	/* Lost or not, the walk finds what is there now. What is no interface was a qdisc or a
	 * filter, perhaps ours. */
	if (links_watch_read(watch_fd, on_event, &changed) < 0 || changed ||
	    loader_iface_uses_tc(pin_dir))
		ifaces_attach(pin_dir);
}
