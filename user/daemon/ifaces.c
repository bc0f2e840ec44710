// SPDX-License-Identifier: Apache-2.0
#include "ifaces.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "links.h"
#include "loader.h"
#include "log.h"
#include "netns.h"

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

/* For those who ask later, perhaps elsewhere. */
static void note_netns(const char *pin_dir)
{
	struct pc_err err = {};
	_cleanup_close_ int fd = loader_map_open(pin_dir, LOADER_MAP_RUNTIME, &err);
	uint64_t inode;

	if (fd >= 0 && netns_own(&inode) == 0)
		loader_runtime_write(fd, PODCRED_RUNTIME_NETNS, inode);
}

int ifaces_attach(const char *pin_dir)
{
	struct walk walk = {.pin_dir = pin_dir};
	struct pc_err err = {};

	note_netns(pin_dir);
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

/* ---- what is not watched ---- */

struct search {
	const char *pin_dir;
	void (*fn)(void *arg, const struct ifaces_gap *gap);
	void *arg;
	uint64_t own_netns;
	const char *pod; /* whose network is looked at */
	struct pc_err *err;
};

static void found(const struct search *search, enum ifaces_gap_kind kind, const char *name)
{
	struct ifaces_gap gap = {.kind = kind};

	snprintf(gap.name, sizeof(gap.name), "%s", name);
	snprintf(gap.pod, sizeof(gap.pod), "%s", search->pod ?: "");
	search->fn(search->arg, &gap);
}

/* The resolver attaches to a new interface within moments: a gap is what stays. */
static bool stays_unwatched(const char *pin_dir, enum loader_iface kind, int ifindex)
{
	static const struct timespec a_moment = {.tv_nsec = 50000000};

	for (int looks = 4; looks; looks--) {
		if (loader_iface_is_attached(pin_dir, kind, ifindex))
			return false;
		if (looks > 1)
			nanosleep(&a_moment, NULL);
	}
	return true;
}

static int look_at_link(void *arg, const struct links_link *link)
{
	const struct search *search = arg;

	if (!link->up)
		return 0;
	if (is_pod_side(link) && stays_unwatched(search->pin_dir, LOADER_IFACE_POD, link->ifindex))
		found(search, IFACES_POD, link->name);
	if (is_hardware(link) &&
	    stays_unwatched(search->pin_dir, LOADER_IFACE_UPLINK, link->ifindex))
		found(search, IFACES_UPLINK, link->name);
	return 0;
}

static bool is_netns_loaded_in(const char *pin_dir, struct pc_err *err)
{
	_cleanup_close_ int fd = loader_map_open(pin_dir, LOADER_MAP_RUNTIME, err);
	uint64_t loaded_in = 0, own;

	return fd >= 0 && loader_runtime_read(fd, PODCRED_RUNTIME_NETNS, &loaded_in) == 0 &&
	       netns_own(&own) == 0 && own == loaded_in;
}

int ifaces_find_gaps(const char *pin_dir, void (*fn)(void *arg, const struct ifaces_gap *gap),
		     void *arg, struct pc_err *err)
{
	struct search search = {.pin_dir = pin_dir, .fn = fn, .arg = arg};

	if (!is_netns_loaded_in(pin_dir, err))
		return 0;
	return links_each(look_at_link, &search, err);
}

/* Made in this namespace, and leading nowhere by themselves: bridges, tunnels. */
static bool sits_on_other(const struct links_link *link)
{
	static const char *const kinds[] = {"macvlan", "macvtap", "ipvlan", "ipvtap", "vlan"};

	for (size_t i = 0; link->peer_elsewhere && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(link->kind, kinds[i]))
			return true;
	return false;
}

static int look_at_pods_link(void *arg, const struct links_link *link)
{
	const struct search *search = arg;

	if (link->up &&
	    (is_hardware(link) ||
	     (sits_on_other(link) &&
	      !loader_iface_is_attached(search->pin_dir, LOADER_IFACE_UPLINK, link->link))))
		found(search, IFACES_PAST_NODE, link->name);
	return 0;
}

static int look_inside(void *arg)
{
	struct search *search = arg;

	return links_each(look_at_pods_link, search, search->err);
}

static int look_at_netns(void *arg, const char *path, uint64_t inode)
{
	struct search *search = arg;

	return inode == search->own_netns ? 0 : netns_run(path, look_inside, search);
}

struct pods_walk {
	struct search search;
	const char *mount;
	int r;
};

static int look_at_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct pods_walk *walk = arg;
	_cleanup_free_ char *cgroup = NULL;
	char name[sizeof(((struct ifaces_gap *)0)->pod)];
	uint64_t id;
	int r;

	memcpy(&id, key, sizeof(id));
	if (pod->flags & PODCRED_POD_HOST_NETWORK ||
	    loader_cgroup_path(walk->mount, id, &cgroup) < 0)
		return 0;
	if (pod->flags & PODCRED_POD_NAMED)
		snprintf(name, sizeof(name), "%.32s/%.60s", pod->name_space, pod->name);
	else
		snprintf(name, sizeof(name), "%s", pod->uid);
	walk->search.pod = name;
	r = netns_each_below(cgroup, look_at_netns, &walk->search, walk->search.err);
	walk->search.pod = NULL;
	if (r == -EPERM || r == -EACCES || r == -ESRCH)
		walk->r = -EPERM;
	return walk->r;
}

int ifaces_find_past_node(const char *pin_dir, const char *mount,
			  void (*fn)(void *arg, const struct ifaces_gap *gap), void *arg,
			  struct pc_err *err)
{
	struct pods_walk walk = {.search = {.pin_dir = pin_dir, .fn = fn, .arg = arg, .err = err},
				 .mount = mount};
	_cleanup_close_ int fd = loader_map_open(pin_dir, LOADER_MAP_PODS, err);

	if (fd < 0)
		return fd;
	if (netns_own(&walk.search.own_netns) < 0)
		return -EPERM;
	return loader_map_each(fd, sizeof(uint64_t), sizeof(struct podcred_pod), look_at_pod,
			       &walk);
}
