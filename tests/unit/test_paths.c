// SPDX-License-Identifier: Apache-2.0
/* MODULES: node base */
/* Which device of the node a bridge leads to. The interfaces, and what is written down, are the test's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "kernel/load.h"
#include "kernel/maps.h"
#include "kernel/status.h"
#include "node/paths.h"

#define LOOPBACK 1

/* ---- the node ---- */

static struct links_link links[16];
static size_t n_links;

static struct {
	int ifindex;
	uint16_t vlan;
} pvids[16];
static size_t n_pvids;

static int addresses[16];
static size_t n_addresses;

static int agent_oif; /* by which the agent's address is reached */
static int map_error, listing_error, config_error, route_error;
static bool without_path;

static struct links_link *add(int ifindex, const char *kind)
{
	struct links_link *link = &links[n_links++];

	*link = (struct links_link){.ifindex = ifindex, .up = true};
	snprintf(link->kind, sizeof(link->kind), "%s", kind);
	snprintf(link->name, sizeof(link->name), "if%d", ifindex);
	memset(link->mac, ifindex, sizeof(link->mac));
	return link;
}

static void has_address(int ifindex)
{
	addresses[n_addresses++] = ifindex;
}

static void has_pvid(int ifindex, uint16_t vlan)
{
	pvids[n_pvids].ifindex = ifindex;
	pvids[n_pvids++].vlan = vlan;
}

int net_links_each(int (*fn)(void *arg, const struct links_link *link), void *arg,
		   struct pc_err *err)
{
	int r = listing_error;

	if (r)
		return pc_err_set(err, r, "cannot list");
	for (size_t i = 0; !r && i < n_links; i++)
		r = fn(arg, &links[i]);
	return r;
}

int net_links_each_address(int (*fn)(void *arg, int ifindex), void *arg, struct pc_err *err)
{
	int r = 0;

	(void)err;
	for (size_t i = 0; !r && i < n_addresses; i++)
		r = fn(arg, addresses[i]);
	return r;
}

int net_links_each_pvid(int (*fn)(void *arg, int ifindex, uint16_t vlan), void *arg,
			struct pc_err *err)
{
	int r = 0;

	(void)err;
	for (size_t i = 0; !r && i < n_pvids; i++)
		r = fn(arg, pvids[i].ifindex, pvids[i].vlan);
	return r;
}

int net_links_route_oif(const uint8_t ip[16], int *ret_ifindex)
{
	(void)ip;
	*ret_ifindex = agent_oif;
	return agent_oif ? route_error : -ENETUNREACH;
}

/* ---- the maps ---- */

static struct podcred_config config;
static struct podcred_path written[16]; /* by ifindex; what is not there is ABSENT */
#define ABSENT 0xffff

int kern_map_open(const char *pin_dir, enum kern_map map, struct pc_err *err)
{
	(void)pin_dir;
	if (map_error && map == KERN_MAP_PATHS)
		return pc_err_set(err, map_error, "no map");
	return dup(STDIN_FILENO);
}

bool kern_uses_path(const char *pin_dir)
{
	(void)pin_dir;
	return !without_path;
}

int kern_config_read(int fd, struct podcred_config *ret)
{
	(void)fd;
	*ret = config;
	return config_error;
}

int kern_path_write(int fd, uint32_t ifindex, const struct podcred_path *path)
{
	(void)fd;
	written[ifindex] = *path;
	return 0;
}

int kern_map_lookup(int fd, const void *key, void *ret_value)
{
	uint32_t ifindex;

	(void)fd;
	memcpy(&ifindex, key, sizeof(ifindex));
	memcpy(ret_value, &written[ifindex], sizeof(written[0]));
	return written[ifindex].gateway == ABSENT ? -ENOENT : 0;
}

int kern_path_delete(int fd, uint32_t ifindex)
{
	(void)fd;
	written[ifindex].gateway = ABSENT;
	return 0;
}

int kern_map_each(int fd, size_t key_size, size_t value_size,
		  int (*fn)(void *arg, const void *key, const void *value), void *arg)
{
	int r = 0;

	(void)fd;
	assert_int_equal(key_size, sizeof(uint32_t));
	assert_int_equal(value_size, sizeof(struct podcred_path));
	for (uint32_t i = 0; !r && i < ARRAY_SIZE(written); i++)
		if (written[i].gateway != ABSENT)
			r = fn(arg, &i, &written[i]);
	return r;
}

/* ---- tests ---- */

#define BRIDGE	4
#define PORT	5 /* the node's end of a pod's interface */
#define GATEWAY 6
#define PLUG	7 /* the other end of a cable from the gateway into the bridge */

static int reset(void **state)
{
	(void)state;
	n_links = n_pvids = n_addresses = 0;
	agent_oif = LOOPBACK;
	map_error = listing_error = config_error = route_error = 0;
	without_path = false;
	config = (struct podcred_config){.agent[0] = {.port = 80}};
	for (size_t i = 0; i < ARRAY_SIZE(written); i++)
		written[i].gateway = ABSENT;
	return 0;
}

static struct links_link *add_port(int ifindex, int master)
{
	struct links_link *port = add(ifindex, "veth");

	port->master = master;
	port->peer_elsewhere = true;
	return port;
}

/* The kind of PORT's path, which also comes to be written down. */
static enum paths_kind kind_of_port(int *ret_gateway)
{
	_cleanup_(paths_freep) struct paths *paths = NULL;
	const struct links_link *port = NULL;
	enum paths_kind kind;
	struct pc_err err = {};

	for (size_t i = 0; i < n_links; i++)
		if (links[i].ifindex == PORT)
			port = &links[i];
	assert_int_equal(node_paths_read("", &paths, NULL, &err), 0);
	assert_non_null(paths);
	kind = node_paths_of(paths, port, ret_gateway);
	assert_int_equal(node_paths_note(paths, port), 0);
	assert_true(node_paths_is_noted(paths, port));
	written[port->ifindex].mac[5] ^= 1; /* the gateway had another one */
	assert_false(node_paths_is_noted(paths, port));
	written[port->ifindex].mac[5] ^= 1;
	assert_int_equal(written[PORT].gateway, *ret_gateway);
	if (*ret_gateway)
		assert_int_equal(written[PORT].mac[0], *ret_gateway);
	return kind;
}

static void expect(enum paths_kind kind, int gateway)
{
	int found = -1;

	assert_int_equal(kind_of_port(&found), kind);
	assert_int_equal(found, gateway);
}

static void no_bridge(void **state)
{
	(void)state;
	add_port(PORT, 0);
	expect(PATHS_NO_BRIDGE, 0);
}

/* A vrf is the node's own stack, with another table. */
static void vrf(void **state)
{
	(void)state;
	add(BRIDGE, "vrf");
	add_port(PORT, BRIDGE);
	has_address(BRIDGE);
	expect(PATHS_NO_BRIDGE, 0);
}

static void bridge_with_address(void **state)
{
	(void)state;
	add_port(PORT, BRIDGE);
	add(BRIDGE, "bridge");
	has_address(BRIDGE);
	expect(PATHS_BRIDGE, BRIDGE);
}

static void bridge_without_address(void **state)
{
	(void)state;
	add(BRIDGE, "bridge");
	add_port(PORT, BRIDGE);
	expect(PATHS_UNKNOWN, 0);
}

/* Another device has the address, and nothing to do with the bridge. */
static void address_elsewhere(void **state)
{
	(void)state;
	add(BRIDGE, "bridge");
	add_port(PORT, BRIDGE);
	add(GATEWAY, "dummy");
	has_address(GATEWAY);
	expect(PATHS_UNKNOWN, 0);
}

static void vlan_filtering(void **state)
{
	(void)state;
	add(BRIDGE, "bridge")->filters_vlans = true;
	add_port(PORT, BRIDGE);
	has_address(BRIDGE);
	has_pvid(BRIDGE, 1);
	has_pvid(PORT, 1);
	expect(PATHS_BRIDGE, BRIDGE);
	pvids[1].vlan = 10;
	expect(PATHS_UNKNOWN, 0);
}

/* Of a bridge that does not filter they mean nothing. */
static void pvids_without_filtering(void **state)
{
	(void)state;
	add(BRIDGE, "bridge");
	add_port(PORT, BRIDGE);
	has_address(BRIDGE);
	has_pvid(BRIDGE, 1);
	has_pvid(PORT, 10);
	expect(PATHS_BRIDGE, BRIDGE);
}

static void no_pvid(void **state)
{
	(void)state;
	add(BRIDGE, "bridge")->filters_vlans = true;
	add_port(PORT, BRIDGE);
	has_address(BRIDGE);
	has_pvid(BRIDGE, 1);
	has_pvid(PORT, 0); /* takes no frames without a tag */
	expect(PATHS_UNKNOWN, 0);
	pvids[0].vlan = 0; /* nor does the bridge itself */
	expect(PATHS_UNKNOWN, 0);
	links[0].filters_vlans = false;
	expect(PATHS_BRIDGE, BRIDGE);
}

static struct links_link *add_vlan_device(int on, uint16_t vlan)
{
	struct links_link *link = add(GATEWAY, "vlan");

	link->link = on;
	link->vlan = vlan;
	has_address(GATEWAY);
	return link;
}

static void vlan_device(void **state)
{
	struct links_link *device;

	(void)state;
	add(BRIDGE, "bridge")->filters_vlans = true;
	add_port(PORT, BRIDGE);
	has_pvid(BRIDGE, 1);
	has_pvid(PORT, 10);
	device = add_vlan_device(BRIDGE, 10);
	expect(PATHS_BRIDGE, GATEWAY);
	device->vlan = 11;
	expect(PATHS_UNKNOWN, 0);
	device->vlan = 10;
	device->link = LOOPBACK; /* of another bridge */
	expect(PATHS_UNKNOWN, 0);
}

/* Frames without a tag are the bridge's, not the VLAN device's. */
static void vlan_device_without_filtering(void **state)
{
	(void)state;
	add(BRIDGE, "bridge");
	add_port(PORT, BRIDGE);
	has_pvid(PORT, 10);
	add_vlan_device(BRIDGE, 10);
	expect(PATHS_UNKNOWN, 0);
}

static struct links_link *add_cable(void)
{
	struct links_link *end = add(GATEWAY, "veth"), *plug = add(PLUG, "veth");

	end->link = PLUG;
	plug->link = GATEWAY;
	plug->master = BRIDGE;
	has_address(GATEWAY);
	return end;
}

static void cable(void **state)
{
	struct links_link *end;

	(void)state;
	add(BRIDGE, "bridge");
	add_port(PORT, BRIDGE);
	end = add_cable();
	expect(PATHS_BRIDGE, GATEWAY);
	/* The same number in another namespace is another interface. */
	end->peer_elsewhere = true;
	expect(PATHS_UNKNOWN, 0);
	end->peer_elsewhere = false;
	end[1].master = 0;
	expect(PATHS_UNKNOWN, 0);
}

static void cable_of_a_vlan(void **state)
{
	(void)state;
	add(BRIDGE, "bridge")->filters_vlans = true;
	add_port(PORT, BRIDGE);
	add_cable();
	has_pvid(PORT, 10);
	has_pvid(PLUG, 10);
	expect(PATHS_BRIDGE, GATEWAY);
	pvids[1].vlan = 11;
	expect(PATHS_UNKNOWN, 0);
}

/* A switch whose device is not known: Open vSwitch, a bond. */
static void other_master(void **state)
{
	(void)state;
	add(BRIDGE, "openvswitch");
	add_port(PORT, BRIDGE);
	has_address(BRIDGE);
	expect(PATHS_UNKNOWN, 0);
}

static void master_not_listed(void **state)
{
	(void)state;
	add_port(PORT, BRIDGE);
	expect(PATHS_UNKNOWN, 0);
}

/* A pod that came after the list was made. */
static void port_not_listed(void **state)
{
	_cleanup_(paths_freep) struct paths *paths = NULL;
	struct links_link port = {.ifindex = PORT, .master = BRIDGE};
	struct pc_err err = {};
	int gateway;

	(void)state;
	add(BRIDGE, "bridge");
	has_address(BRIDGE);
	assert_int_equal(node_paths_read("", &paths, NULL, &err), 0);
	assert_int_equal(node_paths_of(paths, &port, &gateway), PATHS_UNKNOWN);
	assert_int_equal(gateway, 0);
}

/* No path is known where it would be none. */
static void not_read(void **state)
{
	_cleanup_(paths_freep) struct paths *paths = NULL;
	struct pc_err err = {};

	(void)state;
	add(BRIDGE, "bridge");
	agent_oif = GATEWAY; /* the agent is a pod, or elsewhere */
	assert_int_equal(node_paths_read("", &paths, NULL, &err), 0);
	assert_null(paths);
	agent_oif = 0;
	assert_int_equal(node_paths_read("", &paths, NULL, &err), 0);
	assert_null(paths);
	agent_oif = LOOPBACK;
	config.agent[0].port = 0; /* there is no agent */
	assert_int_equal(node_paths_read("", &paths, NULL, &err), 0);
	assert_null(paths);
	config.agent[1].port = 80;
	without_path = true;
	assert_int_equal(node_paths_read("", &paths, NULL, &err), 0);
	assert_null(paths);
	without_path = false;
	map_error = -ENOENT; /* an older load */
	assert_int_equal(node_paths_read("", &paths, NULL, &err), 0);
	assert_null(paths);
	map_error = -EPERM;
	assert_int_equal(node_paths_read("", &paths, NULL, &err), -EPERM);
	map_error = 0;
	listing_error = -ENOBUFS;
	assert_int_equal(node_paths_read("", &paths, NULL, &err), -ENOBUFS);
	assert_null(paths);
}

/* What cannot be asked is not known: no reason to forget the paths that are written down. */
static void not_known(void **state)
{
	_cleanup_(paths_freep) struct paths *paths = NULL;
	struct pc_err err = {};

	(void)state;
	route_error = -EMFILE;
	assert_int_equal(node_paths_read("", &paths, NULL, &err), -EMFILE);
	assert_string_not_equal(err.msg, "");
	route_error = 0;
	config_error = -EPERM;
	assert_int_equal(node_paths_read("", &paths, NULL, &err), -EPERM);
	assert_null(paths);
}

static void sweep(void **state)
{
	_cleanup_(paths_freep) struct paths *paths = NULL;
	struct pc_err err = {};

	(void)state;
	add_port(PORT, 0);
	written[PORT].gateway = written[PLUG].gateway = BRIDGE;
	assert_int_equal(node_paths_read("", &paths, NULL, &err), 0);
	node_paths_sweep("", paths);
	assert_int_equal(written[PORT].gateway, BRIDGE);
	assert_int_equal(written[PLUG].gateway, ABSENT);
	node_paths_sweep("", NULL);
	assert_int_equal(written[PORT].gateway, ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_bridge, reset),
		cmocka_unit_test_setup(vrf, reset),
		cmocka_unit_test_setup(bridge_with_address, reset),
		cmocka_unit_test_setup(bridge_without_address, reset),
		cmocka_unit_test_setup(address_elsewhere, reset),
		cmocka_unit_test_setup(vlan_filtering, reset),
		cmocka_unit_test_setup(pvids_without_filtering, reset),
		cmocka_unit_test_setup(no_pvid, reset),
		cmocka_unit_test_setup(vlan_device, reset),
		cmocka_unit_test_setup(vlan_device_without_filtering, reset),
		cmocka_unit_test_setup(cable, reset),
		cmocka_unit_test_setup(cable_of_a_vlan, reset),
		cmocka_unit_test_setup(other_master, reset),
		cmocka_unit_test_setup(master_not_listed, reset),
		cmocka_unit_test_setup(port_not_listed, reset),
		cmocka_unit_test_setup(not_read, reset),
		cmocka_unit_test_setup(not_known, reset),
		cmocka_unit_test_setup(sweep, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
