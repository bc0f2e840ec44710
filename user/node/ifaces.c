// SPDX-License-Identifier: Apache-2.0
#include "node/ifaces.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kernel/load.h"
#include "kernel/maps.h"
#include "kernel/status.h"
#include "net/links.h"
#include "net/netns.h"
#include "node/paths.h"

#define LOOPBACK 1

struct walk {
	const char *pin_dir;
	const struct paths *paths; /* NULL: not known */
	enum paths_off paths_off;
	int attached;
	bool off; /* this kernel, or this load, has neither tcx nor tc */
};

static void attach_to(struct walk *walk, enum kern_iface kind, int ifindex)
{
	struct pc_err err = {};
	int r;

	if (walk->off)
		return;
	r = kern_iface_attach(walk->pin_dir, kind, ifindex, &err);
	walk->attached += r > 0;
	walk->off = r == -EOPNOTSUPP || r == -EPERM;
	if (r == -EPERM)
		log_warn("%s; the interfaces of new pods are not watched", err.msg);
	else if (r < 0 && r != -EOPNOTSUPP && r != -ENODEV)
		log_warn("%s", err.msg);
}

/* A pair whose other end is in another namespace. */
bool node_ifaces_is_pod_side(const struct links_link *link)
{
	return link->peer_elsewhere &&
	       (!strcmp(link->kind, "veth") || !strcmp(link->kind, "netkit"));
}

/* Frames sent on what is stacked above (bridge, bond, VLAN) come by here too. */
static bool is_hardware(const struct links_link *link)
{
	return !link->kind[0] && strcmp(link->name, "lo") != 0;
}

/* Once, as it may be only a moment. The state of each is what status is for. */
static void warn_off(const struct walk *walk, const struct links_link *link)
{
	static bool said;

	if (said || !link->master || walk->off || walk->paths_off != PATHS_OFF_AGENT)
		return;
	said = true;
	log_warn(
		"the agent's address is not the node's own: until it is, connections of pods to "
		"it cross their bridge (%s is on one), where a neighbour with CAP_NET_RAW can read "
		"and take them over",
		link->name);
}

/* The path is written down first, as the program goes by it; the way back is there before the way to. */
static void attach_to_pod(struct walk *walk, const struct links_link *link)
{
	int gateway, r;

	if (walk->paths) {
		if (node_paths_of(walk->paths, link, &gateway) == PATHS_BRIDGE)
			attach_to(walk, KERN_IFACE_GATEWAY, gateway);
		r = node_paths_note(walk->paths, link);
		if (r < 0)
			log_warn("%s: its connections to the agent cross the bridge: "
				 "podcred_paths cannot be written: %s",
				 link->name, strerror(-r));
	}
	attach_to(walk, KERN_IFACE_POD, link->ifindex);
	warn_off(walk, link);
}

static int on_link(void *arg, const struct links_link *link)
{
	if (node_ifaces_is_pod_side(link))
		attach_to_pod(arg, link);
	if (is_hardware(link))
		attach_to(arg, KERN_IFACE_UPLINK, link->ifindex);
	return 0;
}

/* Where a guarded address is reached by, should that be a virtual interface. */
static int on_guard(void *arg, const void *key, const void *value)
{
	const struct podcred_action_value *action = value;
	const struct podcred_guard_key *guard = key;
	int ifindex;

	if (action->action != PODCRED_ACTION_ALLOW &&
	    net_links_route_oif(guard->addr.ip, &ifindex) == 0 && ifindex != LOOPBACK)
		attach_to(arg, KERN_IFACE_UPLINK, ifindex);
	return 0;
}

int node_ifaces_attach_uplinks(const char *pin_dir)
{
	struct walk walk = {.pin_dir = pin_dir};
	struct pc_err err = {};
	int guard_fd = kern_map_open(pin_dir, KERN_MAP_GUARD, &err);

	if (guard_fd < 0) {
		log_warn("%s", err.msg);
		return 0;
	}
	kern_map_each(guard_fd, sizeof(struct podcred_guard_key),
		      sizeof(struct podcred_action_value), on_guard, &walk);
	close(guard_fd);
	return walk.attached;
}

/* For those who ask later, perhaps elsewhere. */
static void note_netns(const char *pin_dir)
{
	struct pc_err err = {};
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_RUNTIME, &err);
	uint64_t inode;

	if (fd >= 0 && net_netns_own(&inode) == 0)
		kern_runtime_write(fd, PODCRED_RUNTIME_NETNS, inode);
}

int node_ifaces_attach(const char *pin_dir)
{
	_cleanup_(paths_freep) struct paths *paths = NULL;
	struct walk walk = {.pin_dir = pin_dir};
	struct pc_err err = {};

	note_netns(pin_dir);
	kern_iface_sweep(pin_dir);
	if (node_paths_read(pin_dir, &paths, &walk.paths_off, &err) < 0)
		log_warn("the way to the agent is not known: %s", err.msg);
	else
		node_paths_sweep(pin_dir, paths);
	walk.paths = paths;
	if (paths)
		node_paths_each_link(paths, on_link, &walk);
	else if (net_links_each(on_link, &walk, &err) < 0)
		log_warn("cannot list the interfaces: %s", err.msg);
	return walk.attached + node_ifaces_attach_uplinks(pin_dir);
}

static void on_event(void *arg, const struct links_link *link, bool gone)
{
	(void)link;
	(void)gone;
	*(bool *)arg = true;
}

void node_ifaces_follow(int watch_fd, const char *pin_dir)
{
	bool changed = false;

	/* Lost or not, the walk finds what is there now. What is no interface was a qdisc or a
	 * filter, perhaps ours. */
	if (net_links_watch_read(watch_fd, on_event, &changed) < 0 || changed ||
	    kern_iface_uses_tc(pin_dir))
		node_ifaces_attach(pin_dir);
}

/* ---- what is not watched ---- */

struct search {
	const char *pin_dir;
	struct podcred_config config;
	int to_agent[2]; /* by which interface its addresses are reached from there */
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

/* An interface that has no program, by the first look. */
struct unwatched {
	enum kern_iface kind;
	int ifindex;
	char name[16];
};

struct unwatched_list {
	const char *pin_dir;
	struct unwatched *v;
	size_t n, room;
};

static void cleanup_unwatched(struct unwatched_list *list)
{
	free(list->v);
}

static int note_unwatched(struct unwatched_list *list, enum kern_iface kind,
			  const struct links_link *link)
{
	struct unwatched *one;

	if (kern_iface_is_attached(list->pin_dir, kind, link->ifindex))
		return 0;
	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct unwatched *grown = reallocarray(list->v, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->v = grown;
		list->room = room;
	}
	one = &list->v[list->n++];
	*one = (struct unwatched){.kind = kind, .ifindex = link->ifindex};
	snprintf(one->name, sizeof(one->name), "%s", link->name);
	return 0;
}

static int look_at_link(void *arg, const struct links_link *link)
{
	struct unwatched_list *list = arg;
	int r = 0;

	if (link->up && node_ifaces_is_pod_side(link))
		r = note_unwatched(list, KERN_IFACE_POD, link);
	if (r == 0 && link->up && is_hardware(link))
		r = note_unwatched(list, KERN_IFACE_UPLINK, link);
	return r;
}

/* The resolver attaches to a new interface within moments: a gap is what stays. All of them are waited
 * for at once, as there may be hundreds. */
static void drop_watched(struct unwatched_list *list)
{
	static const struct timespec a_moment = {.tv_nsec = 50000000};

	for (int looks = 3; looks && list->n; looks--) {
		size_t n = 0;

		nanosleep(&a_moment, NULL);
		for (size_t i = 0; i < list->n; i++)
			if (!kern_iface_is_attached(list->pin_dir, list->v[i].kind,
						    list->v[i].ifindex))
				list->v[n++] = list->v[i];
		list->n = n;
	}
}

int node_ifaces_check_netns(const char *pin_dir, struct pc_err *err)
{
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_RUNTIME, err);
	uint64_t loaded_in = 0, own = 0;
	int r = fd < 0 ? fd : kern_runtime_read(fd, PODCRED_RUNTIME_NETNS, &loaded_in);

	if (r == 0)
		r = net_netns_own(&own);
	if (r < 0)
		return err->msg[0] ? r
				   : pc_err_set(err, r, "cannot tell network namespaces apart: %s",
						strerror(-r));
	return own == loaded_in
		       ? 0
		       : pc_err_set(err, -EXDEV,
				    "the interfaces were not looked at: podcred was loaded in "
				    "another network namespace than this one");
}

static int look_for_xdp(void *arg, const struct links_link *link)
{
	const struct search *search = arg;
	struct ifaces_gap gap = {.kind = IFACES_XDP, .xdp = link->xdp};

	if (!link->up || !link->xdp || !node_ifaces_is_pod_side(link))
		return 0;
	snprintf(gap.name, sizeof(gap.name), "%s", link->name);
	search->fn(search->arg, &gap);
	return 0;
}

int node_ifaces_find_gaps(const char *pin_dir, void (*fn)(void *arg, const struct ifaces_gap *gap),
			  void *arg, struct pc_err *err)
{
	_cleanup_(cleanup_unwatched) struct unwatched_list list = {.pin_dir = pin_dir};
	struct search search = {.pin_dir = pin_dir, .fn = fn, .arg = arg};
	int r = node_ifaces_check_netns(pin_dir, err);

	if (r == 0)
		r = net_links_each(look_at_link, &list, err);
	if (r < 0)
		return r;
	drop_watched(&list);
	for (size_t i = 0; i < list.n; i++)
		found(&search, list.v[i].kind == KERN_IFACE_POD ? IFACES_POD : IFACES_UPLINK,
		      list.v[i].name);
	return net_links_each(look_for_xdp, &search, err);
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

bool node_ifaces_has_no_end(const struct links_link *link)
{
	return is_hardware(link) || sits_on_other(link);
}

static int look_at_pods_link(void *arg, const struct links_link *link)
{
	const struct search *search = arg;

	if (!link->up || !node_ifaces_has_no_end(link))
		return 0;
	if (is_hardware(link) ||
	    !kern_iface_is_attached(search->pin_dir, KERN_IFACE_UPLINK, link->link))
		found(search, IFACES_PAST_NODE, link->name);
	if (link->ifindex == search->to_agent[0] || link->ifindex == search->to_agent[1])
		found(search, IFACES_SHARED, link->name);
	return 0;
}

static int look_inside(void *arg)
{
	struct search *search = arg;

	for (size_t i = 0; i < ARRAY_SIZE(search->to_agent); i++) {
		const struct podcred_endpoint *agent = &search->config.agent[i];

		search->to_agent[i] = 0;
		if (agent->port)
			net_links_route_oif(agent->addr.ip, &search->to_agent[i]);
	}
	return net_links_each(look_at_pods_link, search, search->err);
}

static int look_at_netns(void *arg, const char *path, uint64_t inode)
{
	struct search *search = arg;

	return inode == search->own_netns ? 0 : net_netns_run(path, look_inside, search);
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
	if (pod->flags & PODCRED_POD_HOST_NETWORK || kern_cgroup_path(walk->mount, id, &cgroup) < 0)
		return 0;
	if (pod->flags & PODCRED_POD_NAMED)
		snprintf(name, sizeof(name), "%.32s/%.60s", pod->name_space, pod->name);
	else
		snprintf(name, sizeof(name), "%s", pod->uid);
	walk->search.pod = name;
	r = net_netns_each_below(cgroup, look_at_netns, &walk->search, walk->search.err);
	walk->search.pod = NULL;
	if (r == -EPERM || r == -EACCES || r == -ESRCH)
		walk->r = -EPERM;
	return walk->r;
}

int node_ifaces_find_past_node(const char *pin_dir, const char *mount,
			       void (*fn)(void *arg, const struct ifaces_gap *gap), void *arg,
			       struct pc_err *err)
{
	struct pods_walk walk = {.search = {.pin_dir = pin_dir, .fn = fn, .arg = arg, .err = err},
				 .mount = mount};
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_PODS, err);
	_cleanup_close_ int config_fd = kern_map_open(pin_dir, KERN_MAP_CONFIG, err);

	if (fd < 0 || config_fd < 0)
		return fd < 0 ? fd : config_fd;
	kern_config_read(config_fd, &walk.search.config);
	if (net_netns_own(&walk.search.own_netns) < 0)
		return -EPERM;
	return kern_map_each(fd, sizeof(uint64_t), sizeof(struct podcred_pod), look_at_pod, &walk);
}
