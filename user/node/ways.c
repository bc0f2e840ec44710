// SPDX-License-Identifier: Apache-2.0
#include "node/ways.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "kernel/load.h"
#include "net/netns.h"
#include "node/ifaces.h"

/* ---- of the node ---- */

struct all_links {
	struct links_link *v;
	size_t n, room;
};

static int add_link(void *arg, const struct links_link *link)
{
	struct all_links *all = arg;

	if (all->n == all->room) {
		size_t room = all->room ? 2 * all->room : 64;
		struct links_link *grown = reallocarray(all->v, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		all->v = grown;
		all->room = room;
	}
	all->v[all->n++] = *link;
	return 0;
}

static const struct links_link *find(const struct all_links *all, int ifindex)
{
	for (size_t i = 0; ifindex && i < all->n; i++)
		if (all->v[i].ifindex == ifindex)
			return &all->v[i];
	return NULL;
}

struct reading {
	const char *pin_dir;
	const struct paths *paths; /* NULL: there are none */
	const struct all_links *all;
};

static enum ways_kind kind_of(const struct reading *reading, const struct links_link *link,
			      int *ret_gateway)
{
	const struct links_link *master = find(reading->all, link->master);
	enum paths_kind kind = PATHS_UNKNOWN;

	*ret_gateway = 0;
	if (reading->paths)
		kind = node_paths_of(reading->paths, link, ret_gateway);
	else if (!link->master || (master && !strcmp(master->kind, "vrf")))
		return WAYS_DIRECT;
	if (kind == PATHS_UNKNOWN)
		return WAYS_BRIDGED;
	if (!node_paths_is_noted(reading->paths, link) ||
	    !kern_iface_is_attached(reading->pin_dir, KERN_IFACE_POD, link->ifindex))
		return WAYS_LACKING;
	if (kind == PATHS_NO_BRIDGE)
		return WAYS_DIRECT;
	return kern_iface_is_attached(reading->pin_dir, KERN_IFACE_GATEWAY, *ret_gateway)
		       ? WAYS_CARRIED
		       : WAYS_LACKING;
}

static void put_name(char buf[16], const struct links_link *link)
{
	snprintf(buf, 16, "%s", link ? link->name : "");
}

static void read_way(const struct reading *reading, const struct links_link *link,
		     struct ways_way *ret)
{
	int gateway;
	enum ways_kind kind = kind_of(reading, link, &gateway);

	*ret = (struct ways_way){.kind = kind,
				 .ifindex = link->ifindex,
				 .gateway_ifindex = gateway,
				 .peer = link->link};
	put_name(ret->name, link);
	if (ret->kind != WAYS_DIRECT)
		put_name(ret->bridge, find(reading->all, link->master));
	put_name(ret->gateway, find(reading->all, gateway));
}

static int read_once(const char *pin_dir, struct ways *ret, struct pc_err *err)
{
	_cleanup_(paths_freep) struct paths *paths = NULL;
	struct reading reading = {.pin_dir = pin_dir};
	struct all_links all = {};
	int r = node_paths_read(pin_dir, &paths, &ret->off, err);

	if (r == 0)
		r = net_links_each(add_link, &all, err);
	reading.paths = paths;
	reading.all = &all;
	ret->n = 0;
	ret->v = r == 0 ? calloc(all.n, sizeof(*ret->v)) : NULL;
	if (r == 0 && !ret->v)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < all.n; i++)
		if (all.v[i].up && node_ifaces_is_pod_side(&all.v[i]))
			read_way(&reading, &all.v[i], &ret->v[ret->n++]);
	free(all.v);
	return r;
}

/* The resolver notes and attaches within moments: what counts is what stays. */
int node_ways_read(const char *pin_dir, struct ways *ret, struct pc_err *err)
{
	static const struct timespec a_moment = {.tv_nsec = 50000000};
	int r;

	*ret = (struct ways){};
	r = node_ifaces_check_netns(pin_dir, err);
	for (int looks = 4; r == 0 && looks; looks--) {
		node_ways_done(ret);
		r = read_once(pin_dir, ret, err);
		if (!node_ways_count(ret, WAYS_LACKING))
			break;
		if (looks > 1)
			nanosleep(&a_moment, NULL);
	}
	return r;
}

void node_ways_done(struct ways *ways)
{
	free(ways->v);
	*ways = (struct ways){};
}

size_t node_ways_count(const struct ways *ways, enum ways_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < ways->n; i++)
		n += ways->v[i].kind == kind;
	return n;
}

/* ---- of a pod ---- */

struct pod_search {
	const struct ways *ways;
	const uint8_t *agent;
	int to_agent; /* by which interface of the pod */
	uint64_t own_netns;
	struct ways_way *ret;
	struct pc_err err;
};

static int match_link(void *arg, const struct links_link *link)
{
	struct pod_search *search = arg;

	if (link->ifindex != search->to_agent)
		return 0;
	for (size_t i = 0; i < search->ways->n; i++) {
		const struct ways_way *way = &search->ways->v[i];

		if (way->ifindex != link->link || way->peer != link->ifindex)
			continue;
		*search->ret = *way;
		return 1;
	}
	if (!node_ifaces_has_no_end(link))
		return 0;
	*search->ret = (struct ways_way){.kind = WAYS_SHARED, .peer = link->ifindex};
	put_name(search->ret->name, link);
	return 1;
}

static int look_inside(void *arg)
{
	struct pod_search *search = arg;

	if (net_links_route_oif(search->agent, &search->to_agent) < 0)
		return 0;
	return net_links_each(match_link, search, &search->err);
}

static int look_at_netns(void *arg, const char *path, uint64_t inode)
{
	struct pod_search *search = arg;

	return inode == search->own_netns ? 0 : net_netns_run(path, look_inside, search);
}

int node_ways_of_pod(const struct ways *ways, const char *cgroup, const uint8_t agent[16],
		     struct ways_way *ret)
{
	struct pod_search search = {.ways = ways, .agent = agent, .ret = ret};
	int r = net_netns_own(&search.own_netns);

	if (r == 0)
		r = net_netns_each_below(cgroup, look_at_netns, &search, &search.err);
	return r == -EACCES || r == -ESRCH ? -EPERM : r;
}

/* ---- in words ---- */

const char *node_ways_kind_name(enum ways_kind kind)
{
	return kind == WAYS_DIRECT ? "direct" : kind == WAYS_CARRIED ? "carried" : "bridged";
}

#define DANGER "a neighbour there with CAP_NET_RAW can read and take over its connections"

const char *node_ways_text(const struct ways_way *way, char *buf, size_t size)
{
	const char *name = way->name, *bridge = way->bridge;

	switch (way->kind) {
	case WAYS_DIRECT:
		snprintf(buf, size, "by interface %s to the node: nobody is in between", name);
		break;
	case WAYS_CARRIED:
		snprintf(buf, size, "by interface %s to the node and back, past the bridge %s",
			 name, bridge);
		break;
	case WAYS_BRIDGED:
		snprintf(buf, size, "by interface %s across %s: " DANGER, name, bridge);
		break;
	case WAYS_LACKING:
		snprintf(buf, size,
			 "by interface %s, which podcred resolve has not set up: " DANGER, name);
		break;
	case WAYS_SHARED:
		snprintf(buf, size,
			 "by interface %s of the pod, which has no end on the node: " DANGER, name);
		break;
	}
	return buf;
}

const char *node_ways_off_text(enum paths_off off)
{
	static const char *const texts[] = {
		[PATHS_ON] = NULL,
		[PATHS_OFF_AGENT] = "the agent's address is not the node's own",
		[PATHS_OFF_OLD] = "the load is of an older version",
		[PATHS_OFF_WITHOUT] = "the load did without the feature path",
	};

	return texts[off];
}
