/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces of the calling thread's network namespace, and which of them lead outside. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pc_err;

struct links_link {
	int ifindex;
	int link; /* ifindex of the other end, or of what it sits on, as numbered there; or 0 */
	int master; /* ifindex of the bridge, bond, ... it belongs to, or 0 */
	char name[16];
	char kind[16]; /* "veth", "netkit", "bridge", ...; empty for hardware and lo */
	uint8_t mac[6]; /* zeros where there is none, or it is of another length */
	uint16_t vlan; /* of kind "vlan" (802.1Q): its number, or 0 */
	uint32_t xdp; /* id of the XDP program in the driver (native mode), or 0 */
	bool filters_vlans; /* of kind "bridge" */
	bool up; /* IFF_UP: switched on; there may be no carrier */
	bool peer_elsewhere; /* the other end, or what it sits on, is in another namespace */
};

/* Every interface. What fn returns other than 0 ends the walk and is returned. -errno. */
int net_links_each(int (*fn)(void *arg, const struct links_link *link), void *arg,
		   struct pc_err *err);

/* An interface that has an IP address, other than a link-local one; as often as it has any. */
int net_links_each_address(int (*fn)(void *arg, int ifindex), void *arg, struct pc_err *err);

/* Bridges and their ports, with the VLAN that frames without a tag belong to there. */
int net_links_each_pvid(int (*fn)(void *arg, int ifindex, uint16_t vlan), void *arg,
			struct pc_err *err);

/* A non-blocking descriptor that is readable when interfaces appear, change or go, or an address, a
 * VLAN of a bridge's port, a qdisc or a filter on them. To miss none, open it before net_links_each. -errno. */
int net_links_watch_open(void);

/*
 * Take all that waits in fd. link: NULL when an address came or went, or a bridge's port changed. gone: the interface was removed,
 * or moved to another namespace, where it has another number. 0, or -errno. -ENOBUFS: events were lost: call net_links_each again; those that
 * were not lost are still delivered by the next call.
 */
int net_links_watch_read(int fd, void (*fn)(void *arg, const struct links_link *link, bool gone),
			 void *arg);

/* The interface by which packets to that address leave (lo for an own address).
 * -ENETUNREACH: no route, or one that refuses. */
int net_links_route_oif(const uint8_t ip[16], int *ret_ifindex);

/* Every interface that a default route of IPv4 or IPv6 uses, in any routing table, once. */
int net_links_uplinks(int (*fn)(void *arg, int ifindex), void *arg, struct pc_err *err);
