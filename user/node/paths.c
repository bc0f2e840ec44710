// SPDX-License-Identifier: Apache-2.0
#include "node/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/load.h"
#include "kernel/maps.h"
#include "kernel/status.h"

#define LOOPBACK 1

struct node_link {
	struct links_link link;
	bool has_address;
	uint16_t pvid; /* of a bridge or its port */
};

struct paths {
	int map_fd;
	struct node_link *links;
	size_t n, room;
};

struct paths *node_paths_free(struct paths *paths)
{
	if (!paths)
		return NULL;
	if (paths->map_fd >= 0)
		close(paths->map_fd);
	free(paths->links);
	free(paths);
	return NULL;
}

static struct node_link *find(const struct paths *paths, int ifindex)
{
	for (size_t i = 0; i < paths->n; i++)
		if (paths->links[i].link.ifindex == ifindex)
			return &paths->links[i];
	return NULL;
}

static int add_link(void *arg, const struct links_link *link)
{
	struct paths *paths = arg;

	if (paths->n == paths->room) {
		size_t room = paths->room ? paths->room * 2 : 64;
		struct node_link *grown = reallocarray(paths->links, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		paths->links = grown;
		paths->room = room;
	}
	paths->links[paths->n++] = (struct node_link){.link = *link};
	return 0;
}

static int add_address(void *arg, int ifindex)
{
	struct node_link *link = find(arg, ifindex);

	if (link)
		link->has_address = true;
	return 0;
}

static int add_pvid(void *arg, int ifindex, uint16_t vlan)
{
	struct node_link *link = find(arg, ifindex);

	if (link)
		link->pvid = vlan;
	return 0;
}

/* 1: an address of the agent is the node's. 0: it is a pod of its own network, and what is for it or from it
 * is not only the node's. -errno: not known; what is written down stays, or pods would be at each other's
 * mercy for want of a descriptor. One of two addresses will do: the other may come late, or its family be
 * off. */
static int is_agent_local(const char *pin_dir, struct pc_err *err)
{
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_CONFIG, err);
	struct podcred_config config;
	int failed = 0, r;

	r = fd < 0 ? fd : kern_config_read(fd, &config);
	if (r < 0)
		return err->msg[0] ? r : pc_err_set(err, r, "podcred_config_v2: %s", strerror(-r));
	for (size_t i = 0; i < ARRAY_SIZE(config.agent); i++) {
		int ifindex;

		if (!config.agent[i].port)
			continue;
		r = net_links_route_oif(config.agent[i].addr.ip, &ifindex);
		if (r == 0 && ifindex == LOOPBACK)
			return 1;
		if (r < 0 && r != -ENETUNREACH)
			failed = pc_err_set(err, r, "cannot ask for the agent's route: %s",
					    strerror(-r));
	}
	return failed;
}

static int read_off(const char *pin_dir, enum paths_off *ret, struct pc_err *err)
{
	int r;

	*ret = PATHS_OFF_WITHOUT;
	if (!kern_uses_path(pin_dir))
		return 0;
	r = is_agent_local(pin_dir, err);
	*ret = r > 0 ? PATHS_ON : PATHS_OFF_AGENT;
	return r < 0 ? r : 0;
}

int node_paths_read(const char *pin_dir, struct paths **ret, enum paths_off *ret_off,
		    struct pc_err *err)
{
	_cleanup_(paths_freep) struct paths *paths = calloc(1, sizeof(*paths));
	enum paths_off off = PATHS_OFF_OLD;
	int r = 0;

	*ret = NULL;
	if (!paths)
		return -ENOMEM;
	paths->map_fd = kern_map_open(pin_dir, KERN_MAP_PATHS, err);
	if (paths->map_fd >= 0)
		r = read_off(pin_dir, &off, err);
	else if (paths->map_fd != -ENOENT)
		r = paths->map_fd;
	if (ret_off)
		*ret_off = off;
	if (r < 0 || off)
		return r;
	r = net_links_each(add_link, paths, err);
	if (!r)
		r = net_links_each_address(add_address, paths, err);
	if (!r)
		r = net_links_each_pvid(add_pvid, paths, err);
	if (r < 0)
		return r;
	*ret = paths;
	paths = NULL;
	return 0;
}

int node_paths_each_link(const struct paths *paths,
			 int (*fn)(void *arg, const struct links_link *link), void *arg)
{
	int r = 0;

	for (size_t i = 0; !r && i < paths->n; i++)
		r = fn(arg, &paths->links[i].link);
	return r;
}

/* The other end of a cable that is plugged into the bridge, as some CNIs make the gateway of a VLAN. */
static bool is_cable_into(const struct paths *paths, const struct node_link *end,
			  const struct node_link *bridge, uint16_t vlan)
{
	const struct node_link *port;

	if (strcmp(end->link.kind, "veth") != 0 || end->link.peer_elsewhere)
		return false;
	port = find(paths, end->link.link);
	return port && port->link.master == bridge->link.ifindex &&
	       (!bridge->link.filters_vlans || port->pvid == vlan);
}

/* Which of the node's devices hears the frames without a tag that come into the bridge at a port. */
static bool hears(const struct paths *paths, const struct node_link *at,
		  const struct node_link *bridge, uint16_t vlan)
{
	const bool filters = bridge->link.filters_vlans;

	if (!at->has_address || (filters && !vlan)) /* a port that takes no such frames */
		return false;
	if (at == bridge)
		return !filters || bridge->pvid == vlan;
	if (filters && !strcmp(at->link.kind, "vlan") && at->link.link == bridge->link.ifindex)
		return at->link.vlan == vlan;
	return is_cable_into(paths, at, bridge, vlan);
}

static const struct node_link *gateway_of(const struct paths *paths, const struct node_link *bridge,
					  uint16_t vlan)
{
	for (size_t i = 0; i < paths->n; i++)
		if (hears(paths, &paths->links[i], bridge, vlan))
			return &paths->links[i];
	return NULL;
}

enum paths_kind node_paths_of(const struct paths *paths, const struct links_link *link,
			      int *ret_gateway)
{
	const struct node_link *master = link->master ? find(paths, link->master) : NULL;
	const struct node_link *port = find(paths, link->ifindex), *gateway;

	*ret_gateway = 0;
	if (!link->master || (master && !strcmp(master->link.kind, "vrf")))
		return PATHS_NO_BRIDGE;
	if (!port || !master || strcmp(master->link.kind, "bridge") != 0)
		return PATHS_UNKNOWN;
	gateway = gateway_of(paths, master, port->pvid);
	if (!gateway)
		return PATHS_UNKNOWN;
	*ret_gateway = gateway->link.ifindex;
	return PATHS_BRIDGE;
}

static struct podcred_path entry_of(const struct paths *paths, const struct links_link *link)
{
	struct podcred_path path = {};
	int gateway;

	if (node_paths_of(paths, link, &gateway) == PATHS_BRIDGE) {
		path.gateway = (uint32_t)gateway;
		memcpy(path.mac, find(paths, gateway)->link.mac, sizeof(path.mac));
	}
	return path;
}

int node_paths_note(const struct paths *paths, const struct links_link *link)
{
	const struct podcred_path path = entry_of(paths, link);

	return kern_path_write(paths->map_fd, (uint32_t)link->ifindex, &path);
}

bool node_paths_is_noted(const struct paths *paths, const struct links_link *link)
{
	const struct podcred_path path = entry_of(paths, link);
	const uint32_t ifindex = (uint32_t)link->ifindex;
	struct podcred_path noted;

	return kern_map_lookup(paths->map_fd, &ifindex, &noted) == 0 &&
	       !memcmp(&noted, &path, sizeof(path));
}

struct sweep {
	const struct paths *paths;
	int map_fd;
};

static int sweep_path(void *arg, const void *key, const void *value)
{
	const struct sweep *sweep = arg;
	uint32_t ifindex;

	(void)value;
	memcpy(&ifindex, key, sizeof(ifindex));
	if (!sweep->paths || !find(sweep->paths, (int)ifindex))
		kern_path_delete(sweep->map_fd, ifindex);
	return 0;
}

void node_paths_sweep(const char *pin_dir, const struct paths *paths)
{
	struct pc_err err = {};
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_PATHS, &err);
	struct sweep sweep = {paths, fd};

	if (fd >= 0)
		kern_map_each(fd, sizeof(uint32_t), sizeof(struct podcred_path), sweep_path,
			      &sweep);
}
