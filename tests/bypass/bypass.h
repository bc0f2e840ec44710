/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to a guarded address: one row of the table each. A row is run by a process in the place that
 * it names (main.c); what came of it is judged by what the caller got and by what arrived at the
 * real metadata service (imds.c).
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* guarded */
#define IMDS4 "169.254.169.254"
#define ECS4  "169.254.170.2"
#define POD4  "169.254.170.23"
#define IMDS6 "fd00:ec2::254"
#define POD6  "fd00:ec2::23"
/* not guarded: another address of the same machine, and one that only a DNAT rule leads from */
#define OTHER4	 "10.98.0.2"
#define OTHER6	 "fd98::2"
#define SERVICE4 "10.98.0.77"
#define SERVICE6 "fd98::77"
/* the node (lib/env.sh, bypass/lib.sh) */
#define NODE4	   "10.99.0.1"
#define NODE6	   "fd99::1"
#define UPLINK4	   "10.98.0.1"
#define AGENT_PORT 7777

#define WAIT_MS 250 /* for a packet that is dropped; on a good way it takes less than one */

/* A row's function returns -errno, 0 when it sent and heard nothing, 1 when the answer is in line,
 * or ABSENT with the reason in line. */
#define ABSENT (-100000)

struct row {
	const struct vector *vector;
	const char *device; /* where frames leave */
	const uint8_t *gateway;
	char line[1024];
	int fd; /* from prepare to run */
};

struct vector {
	const char *name;
	int (*run)(struct row *row);
	int (*prepare)(struct row *row); /* before podcred is loaded */
	const char *place; /* lib.sh; NULL: a pod */
	const char *setup; /* setup.sh: what the network needs */
	const char *without; /* without podcred; NULL: reaches the real address */
	const char *want; /* with podcred; NULL: not to reach it. May be a list, with | */
	const char *open; /* may reach it all the same, and why */
	const char *needs; /* may reach it without this feature of the kernel, or these: with | */
	bool answers; /* without podcred the real service is heard */
	bool hijacked; /* not a way to a guarded address, but from one: hijack.c */
};

#define NEEDS_NETFILTER "netfilter-link"
#define NEEDS_TC	"tcx|tc"
#define NEEDS_PACKETS	NEEDS_NETFILTER "|" NEEDS_TC

extern const struct vector tcp_vectors[], tcp_option_vectors[], mptcp_vectors[], udp_vectors[],
	udplite_vectors[], raw_vectors[], raw6_vectors[], packet_vectors[], xdp_vectors[],
	uring_vectors[], descriptor_vectors[], place_vectors[], netns_vectors[], tunnel_vectors[],
	older_vectors[], uplink_vectors[], host_vectors[], agent_vectors[], absent_vectors[],
	hijack_vectors[];

/* A server for ever; COUNTER is where it is asked how many packets have reached it. */
int imds_serve(const char *counter);

/* Carries packets between a tun device tunup of one network namespace and tunfar of the other, for ever. */
int wire(const char *near_netns, const char *far_netns);

/* Connections to the real service, one of each family, for ever. Prints their ports. */
int hold(void);

/* What ethtool -K DEVICE txvlan on|off does. */
int txvlan(const char *device, bool on);

/* netns.c: a TUN device that is up, in the pod. */
int tun_open(struct row *row);

/* hijack.c. A server for ever, in a pod; a program for as long as it runs, on a cgroup. What has come to
 * all of them is counted in the file BYPASS_HIJACKED. */
int hijack_serve(void);
int hijack_connect4(const char *cgroup, const char *host);
uint64_t hijacked_by_now(void);

/* util.c */
const char *setting(const char *name);
int absent(struct row *row, const char *why);
socklen_t address(struct sockaddr_storage *ss, const char *host, int port, bool mapped);
int set_int(int fd, int level, int name, int value);
int socket_timeouts(int fd);
int hear(struct row *row, int fd);
int dial(int fd, const char *host, int port, bool mapped);
int dial_and_hear(struct row *row, int fd, const char *host, int port, bool mapped);
int tcp_to(struct row *row, const char *host, int port, bool mapped);
int send_and_hear(struct row *row, int fd, const char *host, int port, bool mapped);
int join_cgroup(const char *dir);
int join_netns(const char *path);
int write_file(const char *path, const char *text);
int negative(long result);
void reset_all(void);

/* craft.c */
struct packet {
	size_t len;
	uint8_t data[1500];
};
uint16_t checksum(const void *data, size_t len, uint32_t sum);
void put(struct packet *p, const void *data, size_t len);
void put_bytes(struct packet *p, size_t len, ...);
size_t put_ip4(struct packet *p, const char *to, int protocol, const uint8_t *options, size_t len);
void end_ip4(struct packet *p, size_t start, uint16_t frag_off);
size_t put_ip6(struct packet *p, const char *to, int next);
void end_ip6(struct packet *p, size_t start);
void put_syn4(struct packet *p, const char *to);
void put_syn6(struct packet *p, const char *to);
void put_udp(struct packet *p, int port, const void *data, size_t len);
void syn4(struct packet *p, const char *to);
void syn4_from_to(struct packet *p, const char *from, const char *to, int port);
void syn6(struct packet *p, const char *to);
void put_ether(struct packet *p, const struct row *row, int type);
uint16_t source_port(void);
