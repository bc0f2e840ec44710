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
#define STS4  "169.254.170.83"
#define STS6  "fd70:6f64:6372::83"
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
/* who else is on the bridge (bypass/lib.sh) */
#define NODE_MAC  "\x02\x00\x00\x00\x99\x01"
#define OTHER_MAC "\x02\x00\x00\x00\x95\x01"
#define WEB_MAC	  "\x02\x00\x00\x00\x95\x02"
#define RELAY_MAC "\x02\x00\x00\x00\x95\x03"

#define WAIT_MS	   250 /* for a packet that is dropped; on a good way it takes less than one */
#define PATIENT_MS 10000 /* for an answer that has to come, however busy the machine is */

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

/* What a hostile neighbour on the bridge does: spoof.c */
enum neighbour_mode {
	NEIGHBOUR_QUIET, /* only looks */
	NEIGHBOUR_RELAY, /* poisons both, reads, hands on */
	NEIGHBOUR_COMPLETE, /* keeps the SYN-ACK, and ends the handshake himself */
	NEIGHBOUR_ANSWER, /* hands the handshake on, and answers in the agent's name */
};

enum spoof_kind {
	SPOOF_NONE,
	SPOOF_SYN,
	SPOOF_SYNACK,
	SPOOF_DATA,
	SPOOF_RST,
	/* by a socket that TCP_REPAIR has put into the victim's place */
	SPOOF_REPAIR_DATA,
	SPOOF_REPAIR_FIN,
	SPOOF_REPAIR_RST,
};

enum spoof_carrier {
	PLAIN,
	THROUGH_POD, /* to the link layer address of a pod that forwards */
	TAG_8021Q,
	TAG_8021AD,
	FRAGMENTS,
	OPTIONS, /* IPv6: destination options */
	HOP_BY_HOP,
};

struct spoof {
	bool as_agent; /* to the victim; else as the victim, to the agent */
	bool v6;
	enum spoof_kind kind;
	enum spoof_carrier carrier;
	uint16_t port; /* the victim's */
	uint32_t seq, ack;
};

/* A TCP segment between victim and agent, in a frame. */
struct segment {
	bool v6, to_agent, syn, ack_set, rst;
	uint16_t port; /* the victim's */
	uint32_t seq, ack, next; /* next: the number after it */
	const uint8_t *payload;
	size_t len;
};

enum neighbour_what { ORDER_SEEN, ORDER_RESET, ORDER_MODE, ORDER_SPOOF, ORDER_STEAL };

struct neighbour_order {
	enum neighbour_what what;
	enum neighbour_mode mode;
	struct spoof spoof;
};

/* Of connections between the victim and the agent, since the last ORDER_RESET. */
struct neighbour_seen {
	uint64_t frames, asked, answered; /* the latter two: bytes */
	bool taken; /* the agent took him for the victim */
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
	bool neighbour; /* the same, and it is a neighbour on the bridge: neighbour.c */
	enum neighbour_mode mode;
	struct spoof spoof;
};

#define NEEDS_NETFILTER "netfilter-link"
#define NEEDS_TC	"tcx|tc"
#define NEEDS_PACKETS	NEEDS_NETFILTER "|" NEEDS_TC

extern const struct vector tcp_vectors[], tcp_option_vectors[], mptcp_vectors[], udp_vectors[],
	udplite_vectors[], raw_vectors[], raw6_vectors[], packet_vectors[], xdp_vectors[],
	uring_vectors[], descriptor_vectors[], place_vectors[], netns_vectors[], tunnel_vectors[],
	older_vectors[], uplink_vectors[], host_vectors[], agent_vectors[], absent_vectors[],
	hijack_vectors[], neighbour_vectors[];

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

/* spoof.c. For ever, in a pod; takes orders at the UNIX socket BYPASS_NEIGHBOUR. What he says is what the
 * kernel has delivered to him by then, however late he is. */
int neighbour_serve(void);
struct neighbour_seen neighbour(const struct neighbour_order *order);
/* The same to all whose addresses are in the file, until SIGTERM. Reads and hands on. */
int neighbour_crowd(const char *path);
bool is_of_victim(const uint8_t *frame, size_t len, struct segment *ret);
uint64_t neighbour_frames_by_now(void);

/* neighbour.c: what a row of that kind came to, when the neighbour had a part in it */
const char *neighbour_outcome(const char *line);

/* util.c */
const char *setting(const char *name);
int absent(struct row *row, const char *why);
socklen_t address(struct sockaddr_storage *ss, const char *host, int port, bool mapped);
int set_int(int fd, int level, int name, int value);
void expect_answer(bool due);
int wait_ms(int usual);
int set_receive_timeout(int fd, int ms);
int socket_timeouts(int fd);
int hear(struct row *row, int fd);
int dial(int fd, const char *host, int port, bool mapped);
int dial_and_hear(struct row *row, int fd, const char *host, int port, bool mapped);
int tcp_to(struct row *row, const char *host, int port, bool mapped);
int send_and_hear(struct row *row, int fd, const char *host, int port, bool mapped);
int join_cgroup(const char *dir);
int join_netns(const char *path);
int write_file(const char *path, const char *text);
int wait_factor(void);
int64_t now_ms(void);
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
