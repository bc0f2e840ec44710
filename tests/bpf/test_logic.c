// SPDX-License-Identifier: Apache-2.0
/*
 * The BPF logic, run in the kernel: decisions, pending flows, quota and identity. Every table is
 * the production one, only smaller, so that it can be filled.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "base/cleanup.h"
#include "logic.h"
#include "logic.skel.h"
#include "tap.h"

/* As in verdict.bpf.h, dest.bpf.h, ident.bpf.h and connect.bpf.h, which only BPF can include. */
enum { REFUSE = 0, ALLOW = 1, NOT_GUARDED = -1 };
#define UNDECIDED   (~0U)
#define POD_NONE    0ULL
#define POD_UNKNOWN (~0ULL)

#define FLOWS	 256
#define PODS	 64
#define POD_A	 1001ULL
#define POD_B	 1002ULL
#define THREADS	 4
#define RACES	 400
#define CGROUP_V 10 /* cgroups of the identity tests */

static struct logic *skel;

static struct logic_ctx *calls; /* the map, mapped */
static __thread __u64 slot;

static int logic(struct logic_ctx *ctx)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &slot, .ctx_size_in = sizeof(slot));

	calls[slot] = *ctx;
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.podcred_logic), &opts) ||
	    opts.retval)
		tap_bail("cannot run podcred_logic");
	*ctx = calls[slot];
	return ctx->ret;
}

static bool filter_on;

static __u64 runtime[PODCRED_RUNTIME_SLOTS];

/* With a filter that rules nothing out, unless the test has set one; and what runtime has. */
static void configure(const struct podcred_config *config)
{
	struct podcred_config value = *config;
	__u32 zero = 0;

	if (!filter_on)
		memset(value.guard_filter, 0xff, sizeof(value.guard_filter));
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.podcred_config_v2), &zero, &value, BPF_ANY))
		tap_bail("cannot write podcred_config_v2");
	for (__u32 i = 0; i < PODCRED_RUNTIME_SLOTS; i++)
		if (bpf_map_update_elem(bpf_map__fd(skel->maps.podcred_runtime), &i, &runtime[i],
					BPF_ANY))
			tap_bail("cannot write podcred_runtime");
}

static unsigned long long counter(__u32 reason)
{
	__u64 sum = 0, value[256];

	if (libbpf_num_possible_cpus() > 256 ||
	    bpf_map_lookup_elem(bpf_map__fd(skel->maps.podcred_stats), &reason, value))
		tap_bail("cannot read podcred_stats");
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += value[i];
	return sum;
}

/* ---- addresses and destinations ---- */

static struct podcred_addr addr_of(const char *text)
{
	struct podcred_addr addr = {};
	char mapped[64];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	if (inet_pton(AF_INET6, mapped, addr.ip) != 1)
		tap_bail(text);
	return addr;
}

static struct logic_ctx to(const char *addr, unsigned port, unsigned protocol)
{
	struct logic_ctx ctx = {.op = LOGIC_DEST};

	ctx.dest.addr = addr_of(addr);
	ctx.dest.port = htons((uint16_t)port);
	ctx.dest.protocol = (__u8)protocol;
	return ctx;
}

static int dest(const char *addr, unsigned port, unsigned protocol)
{
	struct logic_ctx ctx = to(addr, port, protocol);

	return logic(&ctx);
}

static void guard(const char *addr, unsigned prefix, enum podcred_action action)
{
	struct podcred_guard_key key = {.prefixlen = prefix, .addr = addr_of(addr)};
	struct podcred_action_value value = {.action = action};

	if (bpf_map_update_elem(bpf_map__fd(skel->maps.podcred_guard), &key, &value, BPF_ANY))
		tap_bail("cannot write podcred_guard");
}

static void target(const char *addr, unsigned port, unsigned protocol, enum podcred_action action)
{
	struct logic_ctx ctx = to(addr, port, protocol);
	struct podcred_action_value value = {.action = action};

	if (bpf_map_update_elem(bpf_map__fd(skel->maps.podcred_targets), &ctx.dest, &value,
				BPF_ANY))
		tap_bail("cannot write podcred_targets");
}

static int is_v4(const char *text)
{
	struct logic_ctx ctx = {.op = LOGIC_ADDR_IS_V4};

	ctx.dest.addr = addr_of(text);
	return logic(&ctx);
}

static void test_addr(void)
{
	struct podcred_addr v4 = addr_of("169.254.169.254"), v6 = addr_of("fd00:ec2::254");
	struct logic_ctx ctx = {.op = LOGIC_ADDR_V4, .words = {inet_addr("169.254.169.254")}};

	logic(&ctx);
	tap_check(!memcmp(&ctx.dest.addr, &v4, sizeof(v4)), "addr: IPv4 becomes ::ffff:a.b.c.d");
	ctx = (struct logic_ctx){.op = LOGIC_ADDR_WORDS};
	memcpy(ctx.words, v6.ip, sizeof(v6));
	logic(&ctx);
	tap_check(!memcmp(&ctx.dest.addr, &v6, sizeof(v6)), "addr: IPv6 keeps its bytes");
	tap_same(1, is_v4("169.254.169.254"), "addr: mapped address is IPv4");
	tap_same(1, is_v4("0.0.0.0"), "addr: mapped zero is IPv4");
	tap_same(0, is_v4("::1"), "addr: ::1 is not IPv4");
	tap_same(0, is_v4("::10.0.0.1"), "addr: an IPv4-compatible address is not IPv4");
	tap_same(0, is_v4("1::ffff:10.0.0.1"), "addr: first word counts");
	tap_same(0, is_v4("::1:0:ffff:10.0.0.1"), "addr: second word counts");
	tap_same(0, is_v4("::ffff:0:10.0.0.1"), "addr: ffff in the wrong place is not IPv4");
}

static void fill_destinations(void)
{
	guard("169.254.169.254", 128, PODCRED_ACTION_DENY);
	target("169.254.169.254", 80, IPPROTO_TCP, PODCRED_ACTION_REDIRECT);
	guard("fd00:ec2::254", 128, PODCRED_ACTION_DENY);
	target("fd00:ec2::254", 80, IPPROTO_TCP, PODCRED_ACTION_REDIRECT);
	guard("10.0.0.0", 96 + 8, PODCRED_ACTION_DENY);
	guard("10.1.0.0", 96 + 16, PODCRED_ACTION_ALLOW);
	guard("10.1.2.3", 128, PODCRED_ACTION_STAMP);
	target("10.1.0.9", 22, IPPROTO_TCP, PODCRED_ACTION_DENY);
	guard("169.254.170.0", 96 + 30, PODCRED_ACTION_REDIRECT);
	guard("fd77::", 16, PODCRED_ACTION_DENY);
	target("192.0.2.1", 80, IPPROTO_TCP, PODCRED_ACTION_REDIRECT);
}

static void test_dest(void)
{
	const int tcp = IPPROTO_TCP, udp = IPPROTO_UDP;

	tap_same(PODCRED_ACTION_REDIRECT, dest("169.254.169.254", 80, tcp), "dest: IPv4 target");
	tap_same(PODCRED_ACTION_REDIRECT, dest("fd00:ec2::254", 80, tcp), "dest: IPv6 target");
	tap_same(PODCRED_ACTION_REDIRECT, dest("::ffff:169.254.169.254", 80, tcp),
		 "dest: mapped form of an IPv4 target");
	tap_same(PODCRED_ACTION_DENY, dest("169.254.169.254", 81, tcp), "dest: other port, IPv4");
	tap_same(PODCRED_ACTION_DENY, dest("fd00:ec2::254", 81, tcp), "dest: other port, IPv6");
	tap_same(PODCRED_ACTION_DENY, dest("169.254.169.254", 80, udp), "dest: other protocol");
	tap_same(PODCRED_ACTION_DENY, dest("169.254.169.254", 0, IPPROTO_ICMP), "dest: ICMP");
	tap_same(NOT_GUARDED, dest("169.254.169.253", 53, udp), "dest: neighbour address");
	tap_same(NOT_GUARDED, dest("::169.254.169.254", 80, tcp), "dest: compatible is not mapped");
	tap_same(NOT_GUARDED, dest("fd00:ec2::253", 80, tcp), "dest: IPv6 neighbour address");
	tap_same(PODCRED_ACTION_REDIRECT, dest("192.0.2.1", 80, tcp), "dest: target without guard");
	tap_same(PODCRED_ACTION_DENY, dest("10.9.9.9", 1, tcp), "dest: short prefix");
	tap_same(PODCRED_ACTION_ALLOW, dest("10.1.9.9", 1, tcp), "dest: longer prefix wins");
	tap_same(PODCRED_ACTION_STAMP, dest("10.1.2.3", 1, tcp), "dest: longest prefix wins");
	tap_same(PODCRED_ACTION_DENY, dest("10.1.0.9", 22, tcp), "dest: port before prefix");
	tap_same(PODCRED_ACTION_ALLOW, dest("10.1.0.9", 23, tcp), "dest: prefix for other ports");
	tap_same(NOT_GUARDED, dest("11.0.0.0", 1, tcp), "dest: past the end of 10.0.0.0/8");
	tap_same(PODCRED_ACTION_REDIRECT, dest("169.254.170.3", 1, tcp), "dest: last of a /30");
	tap_same(NOT_GUARDED, dest("169.254.170.4", 1, tcp), "dest: first past a /30");
	tap_same(PODCRED_ACTION_DENY, dest("fd77:1::1", 1, tcp), "dest: IPv6 prefix");
	tap_same(NOT_GUARDED, dest("fd78::1", 1, tcp), "dest: past an IPv6 prefix");
}

static int agent_for(const char *addr)
{
	struct logic_ctx ctx = to(addr, 80, IPPROTO_TCP);

	ctx.op = LOGIC_AGENT_FOR;
	return logic(&ctx);
}

/* Known without a table, and stronger than a prefix that covers it. */
static void test_agents_own(void)
{
	struct podcred_config config = {
		.agent[0] = {.addr = addr_of("10.9.0.1"), .port = htons(7777)},
		.agent[1] = {.addr = addr_of("fd99::1"), .port = htons(7778)},
	};

	configure(&config);
	tap_same(PODCRED_ACTION_STAMP, dest("10.9.0.1", 7777, IPPROTO_TCP), "own: IPv4");
	tap_same(PODCRED_ACTION_STAMP, dest("fd99::1", 7778, IPPROTO_TCP), "own: IPv6");
	tap_same(NOT_GUARDED, dest("10.9.0.1", 7778, IPPROTO_TCP), "own: the other one's port");
	tap_same(NOT_GUARDED, dest("10.9.0.1", 7777, IPPROTO_UDP), "own: another protocol");
	tap_same(PODCRED_ACTION_DENY, dest("10.9.0.2", 7777, IPPROTO_TCP),
		 "own: not its neighbour");
	config.agent[0].port = config.agent[1].port = 0;
	configure(&config);
	tap_same(PODCRED_ACTION_DENY, dest("10.9.0.1", 7777, IPPROTO_TCP), "own: no such agent");
	tap_same(NOT_GUARDED, dest("fd99::1", 0, IPPROTO_TCP), "own: no such agent, IPv6");
}

static void test_agent(void)
{
	struct podcred_config config = {};

	configure(&config);
	tap_same(-1, agent_for("169.254.169.254"), "agent: none configured, IPv4");
	tap_same(-1, agent_for("fd00:ec2::254"), "agent: none configured, IPv6");
	config.agent[0].port = htons(7777);
	configure(&config);
	tap_same(0, agent_for("169.254.169.254"), "agent: IPv4 to the IPv4 agent");
	tap_same(0, agent_for("fd00:ec2::254"), "agent: IPv6 to the IPv4 agent when alone");
	config.agent[1].port = htons(7777);
	configure(&config);
	tap_same(0, agent_for("169.254.169.254"), "agent: IPv4 not to the IPv6 agent");
	tap_same(1, agent_for("fd00:ec2::254"), "agent: IPv6 to the IPv6 agent");
	config.agent[0].port = 0;
	configure(&config);
	tap_same(-1, agent_for("169.254.169.254"), "agent: IPv4 with an IPv6 agent alone");
}

/* ---- pending flows ---- */

static struct logic_ctx flow(unsigned isn, __u64 pod, __u64 owner)
{
	struct logic_ctx ctx = {};

	ctx.key.client = addr_of("10.99.1.2");
	ctx.key.agent = addr_of("10.99.0.1");
	ctx.key.client_port = 40000;
	ctx.key.agent_port = 7777;
	ctx.key.isn = isn;
	ctx.flow.owner = owner;
	ctx.flow.stamp.pod_cgroup_id = pod;
	ctx.flow.stamp.tgid = (__u32)owner;
	return ctx;
}

static int flow_op(enum logic_op op, unsigned isn, __u64 pod, __u64 owner)
{
	struct logic_ctx ctx = flow(isn, pod, owner);

	ctx.op = op;
	return logic(&ctx);
}

/* 0: recorded. */
static __u32 reason_of(unsigned isn, __u64 pod, __u64 owner)
{
	return (__u32)flow_op(LOGIC_ANNOUNCE, isn, pod, owner);
}

static int announce(unsigned isn, __u64 pod, __u64 owner)
{
	return reason_of(isn, pod, owner) == 0;
}

/* The pod that the claim names, 0: nobody. */
static __u64 claim(unsigned isn)
{
	struct logic_ctx ctx = flow(isn, 0, 0);

	ctx.op = LOGIC_CLAIM;
	return logic(&ctx) ? ctx.flow.stamp.pod_cgroup_id : 0;
}

static bool present(unsigned isn)
{
	struct logic_ctx ctx = flow(isn, 0, 0);
	struct podcred_flow value;

	return !bpf_map_lookup_elem(bpf_map__fd(skel->maps.podcred_flows_v2), &ctx.key, &value);
}

static void remove_flow(unsigned isn)
{
	struct logic_ctx ctx = flow(isn, 0, 0);

	bpf_map_delete_elem(bpf_map__fd(skel->maps.podcred_flows_v2), &ctx.key);
}

static int quota(__u64 pod)
{
	struct logic_ctx ctx = {.op = LOGIC_QUOTA, .pod = pod};

	return logic(&ctx);
}

static long long pending(__u64 pod)
{
	struct podcred_quota value = {.pending = -1000000};

	bpf_map_lookup_elem(bpf_map__fd(skel->maps.podcred_quota), &pod, &value);
	return value.pending;
}

static void remove_quota(__u64 pod)
{
	bpf_map_delete_elem(bpf_map__fd(skel->maps.podcred_quota), &pod);
}

static void test_flow_normal(void)
{
	struct logic_ctx ctx = flow(1, 0, 0);

	tap_same(0, (long long)claim(1), "flow: nothing announced, nobody claimed");
	tap_same(1, announce(1, POD_A, 7), "flow: announced");
	tap_same(1, pending(POD_A), "flow: counted for its pod");
	tap_same(0, pending(POD_B), "flow: not counted for another pod");
	ctx.op = LOGIC_CLAIM;
	tap_same(1, logic(&ctx), "flow: claimed");
	tap_check(ctx.flow.stamp.pod_cgroup_id == POD_A && ctx.flow.stamp.tgid == 7,
		  "flow: the claim has the stamp of the announcement");
	tap_same(0, present(1), "flow: the claim deletes the entry");
	tap_same(0, pending(POD_A), "flow: the claim gives the quota back");
	tap_same(0, (long long)claim(1), "flow: a second claim gets nothing");
	tap_same(0, pending(POD_A), "flow: a second claim gives nothing back");
}

static void test_flow_keys(void)
{
	struct logic_ctx other = flow(1, POD_B, 8);

	announce(1, POD_A, 7);
	tap_same(1, announce(2, POD_B, 8), "flow: same addresses, other ISN is another flow");
	tap_same(0, (long long)claim(3), "flow: an ISN that nobody announced names nobody");
	tap_same(POD_B, (long long)claim(2), "flow: the ISN decides, second");
	tap_same(POD_A, (long long)claim(1), "flow: the ISN decides, first");
	other.key.client_port++;
	other.op = LOGIC_CLAIM;
	announce(1, POD_A, 7);
	tap_same(0, logic(&other), "flow: another client port is another flow");
	other = flow(1, POD_B, 8);
	other.key.client = addr_of("10.99.1.3");
	other.op = LOGIC_CLAIM;
	tap_same(0, logic(&other), "flow: another client address is another flow");
	claim(1);
	tap_same(0, pending(POD_A) + pending(POD_B), "flow: both pods end at zero");
}

static void test_flow_withdraw(void)
{
	flow_op(LOGIC_WITHDRAW, 1, POD_A, 7);
	tap_same(0, pending(POD_A), "withdraw: of nothing changes nothing");
	announce(1, POD_A, 7);
	flow_op(LOGIC_WITHDRAW, 1, POD_B, 8);
	tap_same(1, present(1), "withdraw: by another socket leaves the entry");
	tap_same(1, pending(POD_A), "withdraw: by another socket gives nothing back");
	flow_op(LOGIC_WITHDRAW, 1, POD_B, 7);
	tap_same(0, present(1), "withdraw: by the owner deletes the entry");
	tap_same(0, pending(POD_A), "withdraw: gives back to the pod in the entry");
	tap_same(0, pending(POD_B), "withdraw: and to no other");
	tap_same(0, (long long)claim(1), "withdraw: nothing is left to claim");
	flow_op(LOGIC_WITHDRAW, 1, POD_A, 7);
	tap_same(0, pending(POD_A), "withdraw: twice gives back once");
}

static void test_flow_conflict(void)
{
	announce(1, POD_A, 7);
	tap_same(PODCRED_REASON_flow_conflict, reason_of(1, POD_B, 8),
		 "conflict: the second announcement is not recorded");
	tap_same(0, pending(POD_B), "conflict: the second pays no quota");
	tap_same(0, (long long)claim(1), "conflict: nobody is stamped");
	tap_same(1, present(1), "conflict: the claim leaves the entry");
	flow_op(LOGIC_WITHDRAW, 1, POD_A, 7);
	tap_same(1, present(1), "conflict: the owner cannot withdraw it");
	flow_op(LOGIC_WITHDRAW, 1, POD_B, 8);
	tap_same(1, present(1), "conflict: nor can the other");
	tap_same(1, pending(POD_A), "conflict: the first keeps paying for it");
	tap_same(0, announce(1, POD_A, 7), "conflict: it cannot be announced anew");
	tap_same(0, (long long)claim(1), "conflict: still nobody");
	tap_same(1, announce(2, POD_A, 7), "conflict: another ISN is not affected");
	tap_same(POD_A, (long long)claim(2), "conflict: and is stamped");
	remove_flow(1);
	tap_same(1, announce(1, POD_B, 8), "conflict: over when the entry is swept");
	tap_same(POD_B, (long long)claim(1), "conflict: and the flow is stamped again");
	remove_quota(POD_A);
	quota(POD_A);
}

static void test_flow_full(void)
{
	int recorded = 0, claimed = 0;

	for (unsigned i = 0; i < FLOWS; i++)
		recorded += announce(100 + i, POD_A, 7);
	tap_same(FLOWS, recorded, "full: as many flows as the map holds");
	tap_same(PODCRED_REASON_flow_map_full, reason_of(99, POD_B, 8),
		 "full: one more is not recorded");
	tap_same(0, pending(POD_B), "full: not counted for the pod");
	tap_same(FLOWS, pending(POD_A), "full: pending is exact");
	tap_same(0, announce(100, POD_A, 9), "full: a known key is a conflict even then");
	remove_flow(100);
	tap_same(1, announce(99, POD_B, 8), "full: room again after one is gone");
	claim(99);
	for (unsigned i = 1; i < FLOWS; i++)
		claimed += claim(100 + i) == POD_A;
	tap_same(FLOWS - 1, claimed, "full: all others are claimed as usual");
	tap_same(1, pending(POD_A), "full: only the swept conflict is still counted");
	tap_same(0, pending(POD_B), "full: the other pod ends at zero");
	remove_quota(POD_A);
	quota(POD_A);
}

static void note_way(unsigned isn, __u64 owner, __u32 ifindex)
{
	struct logic_ctx ctx = flow(isn, 0, owner);

	ctx.op = LOGIC_WAY;
	ctx.way.ifindex = ifindex;
	memset(ctx.way.mac, (int)ifindex, sizeof(ctx.way.mac));
	logic(&ctx);
}

/* Its interface; 0: none is known. -1: nor the flow. */
static long long way_by(enum logic_op op, unsigned isn)
{
	struct logic_ctx ctx = flow(isn, 0, 0);

	ctx.op = op;
	if (!logic(&ctx))
		return -1;
	if (ctx.way.ifindex &&
	    (ctx.way.mac[0] != ctx.way.ifindex || ctx.way.mac[5] != ctx.way.ifindex))
		return -2; /* of another */
	return ctx.way.ifindex;
}

/* As if it had been written while the entry was another flow's. */
static void forge_way(unsigned isn, __u64 word)
{
	int fd = bpf_map__fd(skel->maps.podcred_flows_v2);
	struct logic_ctx ctx = flow(isn, 0, 0);
	struct podcred_flow value;

	if (bpf_map_lookup_elem(fd, &ctx.key, &value))
		tap_bail("no such flow");
	value.way = word;
	if (bpf_map_update_elem(fd, &ctx.key, &value, BPF_EXIST))
		tap_bail("cannot write podcred_flows_v2");
}

#define FAR (1ULL << 32) /* owners that share the half that is in the word */

static void test_flow_way(void)
{
	note_way(1, 7, 5);
	tap_same(-1, way_by(LOGIC_WAY_COPY, 1), "way: of no flow is noted nowhere");
	announce(1, POD_A, 7);
	tap_same(0, way_by(LOGIC_WAY_COPY, 1), "way: not known before the SYN");
	note_way(1, 8, 5);
	tap_same(0, way_by(LOGIC_WAY_COPY, 1), "way: another socket's word does not count");
	note_way(1, 7 + FAR, 5);
	tap_same(0, way_by(LOGIC_WAY_COPY, 1), "way: nor one with the same low half");
	note_way(1, 7, 5);
	tap_same(5, way_by(LOGIC_WAY_COPY, 1), "way: the owner's does");
	note_way(1, 8, 6);
	tap_same(5, way_by(LOGIC_WAY_COPY, 1), "way: and is not overwritten by another");
	note_way(1, 7, 6);
	tap_same(6, way_by(LOGIC_WAY_COPY, 1), "way: but by the SYN that is sent again");
	tap_same(6, way_by(LOGIC_CLAIM, 1), "way: the claim has it");
	tap_same(-1, way_by(LOGIC_CLAIM, 1), "way: once");

	announce(1, POD_B, 8);
	tap_same(0, way_by(LOGIC_WAY_COPY, 1), "way: the next flow of that key begins without");
	note_way(1, 7, 5);
	tap_same(0, way_by(LOGIC_CLAIM, 1), "way: nor has it that of the one before");
	announce(1, POD_A, 7);
	note_way(1, 7, 5);
	flow_op(LOGIC_WITHDRAW, 1, POD_A, 7);
	announce(2, POD_B, 8); /* in the same memory */
	tap_same(0, way_by(LOGIC_CLAIM, 2), "way: nor has a recycled entry");
	announce(1, POD_A, 7);
	forge_way(1, PODCRED_FLOW_WAY(5, 8));
	tap_same(0, way_by(LOGIC_WAY_COPY, 1), "way: written by the entry's last owner, late");
	tap_same(0, way_by(LOGIC_CLAIM, 1), "way: nor does the claim take it");
	tap_same(0, pending(POD_A) + pending(POD_B), "way: changes no quota");
}

/* ---- connections that were let through ---- */

static struct logic_ctx pass(__u32 op, unsigned port, __u64 pod, __u64 owner)
{
	struct logic_ctx ctx = flow(0, 0, owner);

	ctx.op = op;
	ctx.pod = pod;
	ctx.key.client_port = (__u16)port;
	return ctx;
}

static int pass_logic(__u32 op, unsigned port, __u64 pod, __u64 owner)
{
	struct logic_ctx ctx = pass(op, port, pod, owner);

	return logic(&ctx);
}

/* The entry of that port: its owner, 0: none. */
static __u64 pass_owner(const struct bpf_map *map, unsigned port, struct podcred_pass *ret)
{
	struct logic_ctx ctx = flow(0, 0, 0);
	struct podcred_peer_key key = {.client = ctx.key.client,
				       .agent = ctx.key.agent,
				       .client_port = (__u16)port,
				       .agent_port = ctx.key.agent_port};

	*ret = (struct podcred_pass){};
	bpf_map_lookup_elem(bpf_map__fd(map), &key, ret);
	return ret->owner;
}

static long long open_of(__u64 pod)
{
	struct podcred_pass_quota value = {.open = -1000000};

	bpf_map_lookup_elem(bpf_map__fd(skel->maps.podcred_pass_quota), &pod, &value);
	return value.open;
}

static unsigned count_ended(__u64 pod, unsigned from, unsigned n)
{
	unsigned known = 0;

	for (unsigned i = 0; i < n; i++) {
		struct podcred_pass entry;

		pass_owner(skel->maps.podcred_ended, from + i, &entry);
		known += entry.pod_cgroup_id == pod;
	}
	return known;
}

static void test_pass(void)
{
	const struct bpf_map *live = skel->maps.podcred_passes_v3;
	const struct bpf_map *ended = skel->maps.podcred_ended;
	struct podcred_pass entry;

	tap_same(0, pass_logic(LOGIC_PASS_QUOTA, 0, POD_A, 0), "pass: a new pod may connect");
	pass_logic(LOGIC_PASS_QUOTA, 0, POD_B, 0);
	tap_same(0, pass_logic(LOGIC_PASS, 1, POD_A, 7), "pass: noted");
	tap_same(1, open_of(POD_A), "pass: counted");
	tap_same(PODCRED_REASON_pass_conflict, pass_logic(LOGIC_PASS, 1, POD_B, 8),
		 "pass: another pod with its addresses and ports is not noted");
	tap_same(0, open_of(POD_B), "pass: nor counted");
	tap_same(7, (long long)pass_owner(live, 1, &entry), "pass: the first keeps it");
	tap_same(0, pass_logic(LOGIC_PASS, 1, POD_A, 9), "pass: the same pod takes it over");
	tap_same(1, open_of(POD_A), "pass: and it counts once");
	pass_logic(LOGIC_PASS_END, 1, POD_A, 7);
	tap_same(9, (long long)pass_owner(live, 1, &entry), "pass: only its owner ends it");
	pass_logic(LOGIC_PASS_END, 1, POD_A, 9);
	tap_same(0, (long long)pass_owner(live, 1, &entry), "pass: ended");
	tap_same(0, open_of(POD_A), "pass: ended, not counted");
	tap_same(9, (long long)pass_owner(ended, 1, &entry), "pass: known as ended");
	tap_check(entry.pod_cgroup_id == POD_A && entry.closed_ns, "pass: with pod and time");
	tap_same(0, pass_logic(LOGIC_PASS, 1, POD_B, 8), "pass: the next pod may have it");
	pass_logic(LOGIC_PASS_END, 1, POD_B, 8);
}

static void test_pass_limits(void)
{
	const __u64 full = 2101, ends = 2102, fresh = 2103;
	int noted = 0;

	pass_logic(LOGIC_PASS_QUOTA, 0, full, 0);
	for (unsigned i = 0; i < PODCRED_PASSES_PER_POD; i++)
		noted += !pass_logic(LOGIC_PASS_QUOTA, 0, full, 0) &&
			 !pass_logic(LOGIC_PASS, 1000 + i, full, 7);
	tap_same(PODCRED_PASSES_PER_POD, noted, "pass: as many as the quota");
	tap_same(PODCRED_REASON_pass_quota, pass_logic(LOGIC_PASS_QUOTA, 0, full, 0),
		 "pass: one more is refused");
	tap_same(0, pass_logic(LOGIC_PASS_QUOTA, 0, fresh, 0), "pass: another pod's is not");
	pass_logic(LOGIC_PASS_END, 1000, full, 7);
	tap_same(0, pass_logic(LOGIC_PASS_QUOTA, 0, full, 0), "pass: room again after an end");
	for (unsigned i = 1; i < PODCRED_PASSES_PER_POD; i++)
		pass_logic(LOGIC_PASS_END, 1000 + i, full, 7);
	tap_same(0, open_of(full), "pass: ends at zero");

	pass_logic(LOGIC_PASS_QUOTA, 0, ends, 0);
	for (unsigned i = 0; i < 4 * PODCRED_ENDED_PER_POD; i++) {
		pass_logic(LOGIC_PASS, 2000 + i, ends, 7);
		pass_logic(LOGIC_PASS_END, 2000 + i, ends, 7);
	}
	tap_same(PODCRED_ENDED_PER_POD, count_ended(ends, 2000, 4 * PODCRED_ENDED_PER_POD),
		 "pass: of those that have ended so many are known");
	pass_logic(LOGIC_PASS, 3000, fresh, 7);
	pass_logic(LOGIC_PASS_END, 3000, fresh, 7);
	tap_same(1, count_ended(fresh, 3000, 1), "pass: and each pod's apart");
}

/* ---- quota ---- */

static void test_quota(void)
{
	struct podcred_config config = {.max_flows_per_pod = 3};
	const __u64 pod = 2001;
	int refused = 0;

	configure(&config);
	tap_same(0, quota(pod), "quota: a new pod may connect");
	tap_same(0, pending(pod), "quota: asking creates its count, at zero");
	for (unsigned i = 0; i < 2; i++)
		announce(i, pod, 7);
	tap_same(0, quota(pod), "quota: one below the limit");
	announce(2, pod, 7);
	tap_same(PODCRED_REASON_quota, quota(pod), "quota: refused at the limit");
	tap_same(3, pending(pod), "quota: asking does not count");
	tap_same(0, quota(POD_A), "quota: another pod is not affected");
	claim(0);
	tap_same(0, quota(pod), "quota: room again after a claim");
	announce(0, pod, 7);
	tap_same(PODCRED_REASON_quota, quota(pod), "quota: refused again");
	flow_op(LOGIC_WITHDRAW, 0, pod, 7);
	tap_same(0, quota(pod), "quota: room again after a close");
	claim(1);
	claim(2);
	tap_same(0, pending(pod), "quota: ends at zero");
	config.max_flows_per_pod = 0;
	configure(&config);
	tap_same(PODCRED_REASON_quota, quota(pod), "quota: a limit of zero refuses all");
	config.max_flows_per_pod = 3;
	configure(&config);
	for (unsigned i = 3; i < PODS; i++) /* POD_A, POD_B and this one are in */
		refused += quota(4000 + i) != 0;
	tap_same(0, refused, "quota: as many pods as the map holds");
	tap_same(PODCRED_REASON_quota_map_full, quota(5000), "quota: map full is refused");
	tap_same(0, quota(pod), "quota: a known pod is served when the map is full");
	remove_quota(4003);
	tap_same(0, quota(5000), "quota: a new pod again when there is room");
}

/* ---- many CPUs ---- */

static pthread_barrier_t barrier;

/* One of THREADS threads; round 0 to RACES - 1 starts for all of them at once. */
struct racer {
	pthread_t thread;
	unsigned n;
	int won;
};

static void race_batch(struct racer *self, enum logic_op op, unsigned isn, __u64 pod)
{
	struct logic_ctx ctx = flow(isn, pod, 7);

	ctx.op = op;
	self->won += logic(&ctx);
}

static void body_churn(struct racer *self, unsigned round)
{
	(void)round;
	race_batch(self, LOGIC_CHURN, self->n << 16, POD_A);
}

static void body_pass_churn(struct racer *self, unsigned round)
{
	struct logic_ctx ctx = pass(LOGIC_PASS_CHURN, self->n << 12, POD_A, self->n);

	(void)round;
	self->won += logic(&ctx);
}

static void body_claim(struct racer *self, unsigned round)
{
	(void)round;
	race_batch(self, LOGIC_CLAIM_ALL, 0, 0);
}

static void body_new_pods(struct racer *self, unsigned round)
{
	(void)round;
	race_batch(self, LOGIC_NEW_PODS, self->n << 16, 3000);
}

/* Odd ones claim, even ones withdraw as the owner: all want the one entry. */
static void body_close(struct racer *self, unsigned round)
{
	if (self->n % 2)
		self->won += claim(round) == POD_A;
	else
		flow_op(LOGIC_WITHDRAW, round, POD_A, 7);
}

static void before_claim(unsigned round)
{
	(void)round;
	for (unsigned i = 1; i <= LOGIC_BATCH; i++)
		announce(i, POD_A, 7);
}

static void before_close(unsigned round)
{
	announce(round, POD_A, 7);
}

/* As many flows of each new pod as there are threads, else a count was lost. */
static int lost_counts;

static void after_new_pods(unsigned round)
{
	(void)round;
	for (unsigned i = 1; i <= LOGIC_BATCH; i++) {
		lost_counts += pending(3000 + i) != THREADS;
		for (unsigned n = 1; n <= THREADS; n++)
			remove_flow((n << 16) + i);
		remove_quota(3000 + i);
	}
}

static void (*race_body)(struct racer *self, unsigned round);

static void *race_thread(void *arg)
{
	struct racer *self = arg;

	slot = self->n;
	for (unsigned round = 0; round < RACES; round++) {
		pthread_barrier_wait(&barrier);
		race_body(self, round);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static int race(void (*before)(unsigned), void (*body)(struct racer *, unsigned),
		void (*after)(unsigned))
{
	struct racer racers[THREADS] = {};
	int won = 0;

	race_body = body;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (unsigned i = 0; i < THREADS; i++) {
		racers[i].n = i + 1;
		if (pthread_create(&racers[i].thread, NULL, race_thread, &racers[i]))
			tap_bail("cannot start a thread");
	}
	for (unsigned round = 0; round < RACES; round++) {
		if (before)
			before(round);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		if (after)
			after(round);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		won += racers[i].won;
	}
	pthread_barrier_destroy(&barrier);
	return won;
}

static void test_races(void)
{
	int won = race(NULL, body_churn, NULL);

	tap_same(THREADS * RACES * LOGIC_BATCH, won, "race: everybody claims their own flows");
	tap_same(0, pending(POD_A), "race: quota is exact with several CPUs");
	won = race(before_claim, body_claim, NULL);
	tap_same(RACES * LOGIC_BATCH, won, "race: of many claims of one flow, one wins");
	tap_same(0, pending(POD_A), "race: and gives the quota back once");
	won = race(before_close, body_close, NULL);
	tap_check(won <= RACES, "race: claims against closes, at most one wins");
	printf("# %d of %d flows went to a claim\n", won, RACES);
	tap_same(0, pending(POD_A), "race: whoever wins gives the quota back once");
	race(NULL, body_new_pods, after_new_pods);
	tap_same(0, lost_counts, "race: a pod's first connections at once are all counted");
	pass_logic(LOGIC_PASS_QUOTA, 0, POD_A, 0);
	won = race(NULL, body_pass_churn, NULL);
	tap_same(THREADS * RACES * LOGIC_BATCH, won, "race: every connection is noted");
	tap_same(0, open_of(POD_A), "race: and ends once");
}

/* ---- identity ---- */

static void test_pod_at(void)
{
	static const struct {
		__u64 first, second, want;
		const char *what;
	} cases[] = {
		{500, 0, 500, "pod_at: first level is the pod (Guaranteed)"},
		{500, 600, 500, "pod_at: what is below the pod does not matter"},
		{101, 600, 600, "pod_at: second level below burstable"},
		{102, 600, 600, "pod_at: second level below besteffort"},
		{101, 0, POD_UNKNOWN, "pod_at: burstable itself is no pod"},
		{102, 0, POD_UNKNOWN, "pod_at: besteffort itself is no pod"},
		{0, 0, POD_UNKNOWN, "pod_at: kubepods itself is no pod"},
		{103, 600, 103, "pod_at: an id that is no QoS cgroup is a pod"},
	};
	struct podcred_config config = {};
	struct logic_ctx ctx = {.op = LOGIC_POD_AT, .first = 101, .second = 600};

	runtime[PODCRED_RUNTIME_KUBEPODS] = 100;
	runtime[PODCRED_RUNTIME_BURSTABLE] = 101;
	runtime[PODCRED_RUNTIME_BESTEFFORT] = 102;
	configure(&config);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ctx.first = cases[i].first;
		ctx.second = cases[i].second;
		logic(&ctx);
		tap_same((long long)cases[i].want, (long long)ctx.pod, cases[i].what);
	}
	runtime[PODCRED_RUNTIME_BURSTABLE] = runtime[PODCRED_RUNTIME_BESTEFFORT] = 0;
	configure(&config);
	ctx.first = 101;
	logic(&ctx);
	tap_same(101, (long long)ctx.pod, "pod_at: QoS ids unknown, first level counts");
	ctx.first = 0;
	logic(&ctx);
	tap_same((long long)POD_UNKNOWN, (long long)ctx.pod, "pod_at: QoS ids zero match nothing");
}

static const char *const tree[CGROUP_V] = {
	"",
	"/kubepods",
	"/kubepods/burstable",
	"/kubepods/burstable/podb",
	"/kubepods/burstable/podb/c",
	"/kubepods/podg",
	"/kubepods/podg/c",
	"/kubepods/podg/c/deep",
	"/host",
	"/kubepods2",
};
enum { ROOT, KUBEPODS, BURSTABLE, POD_BU, POD_BU_C, POD_G, POD_G_C, POD_G_DEEP, HOST, KUBEPODS2 };
static char tree_path[CGROUP_V][256];
static __u64 tree_id[CGROUP_V];

static void tree_remove(void)
{
	for (int i = CGROUP_V - 1; i >= 0; i--)
		rmdir(tree_path[i]);
}

static void tree_make(void)
{
	char line[512], mount[128] = "", type[64];
	_cleanup_fclose_ FILE *mounts = fopen("/proc/mounts", "re");
	struct stat st;

	while (mounts && fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%*s %127s %63s", mount, type) == 2 && !strcmp(type, "cgroup2"))
			break;
	for (int i = 0; i < CGROUP_V; i++) {
		snprintf(tree_path[i], sizeof(tree_path[i]), "%s/pclogic%d%s", mount, getpid(),
			 tree[i]);
		if (mkdir(tree_path[i], 0755) || stat(tree_path[i], &st))
			tap_bail(tree_path[i]);
		tree_id[i] = st.st_ino;
	}
}

/* A child in that cgroup runs the program; the slot, which is shared memory, has the answer. */
static struct logic_ctx logic_in(int where, struct logic_ctx ctx)
{
	char path[300];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", tree_path[where]);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(1);
		logic(&ctx);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status) {
		tree_remove();
		tap_bail(path);
	}
	return calls[slot];
}

static __u64 pod_in(int where, enum logic_op op)
{
	return logic_in(where, (struct logic_ctx){.op = op}).pod;
}

static struct podcred_config tree_config(void)
{
	int level = logic_in(KUBEPODS, (struct logic_ctx){.op = LOGIC_LEVEL}).ret;

	runtime[PODCRED_RUNTIME_KUBEPODS] = tree_id[KUBEPODS];
	runtime[PODCRED_RUNTIME_BURSTABLE] = tree_id[BURSTABLE];
	return (struct podcred_config){
		.kubepods_level = (__u32)level,
		.max_flows_per_pod = FLOWS,
	};
}

static void test_pod_of(void)
{
	const struct {
		int where;
		__u64 want;
		const char *what;
	} cases[] = {
		{ROOT, POD_NONE, "above kubepods: host"},
		{HOST, POD_NONE, "beside kubepods: host"},
		{KUBEPODS2, POD_NONE, "another cgroup of that level: host"},
		{KUBEPODS, POD_UNKNOWN, "kubepods itself: no pod"},
		{BURSTABLE, POD_UNKNOWN, "a QoS cgroup itself: no pod"},
		{POD_BU, tree_id[POD_BU], "pod below a QoS cgroup"},
		{POD_BU_C, tree_id[POD_BU], "its container"},
		{POD_G, tree_id[POD_G], "Guaranteed pod"},
		{POD_G_C, tree_id[POD_G], "its container"},
		{POD_G_DEEP, tree_id[POD_G], "a cgroup nested in its container"},
	};
	struct podcred_config config = tree_config();

	configure(&config);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		__u64 task = pod_in(cases[i].where, LOGIC_POD_OF_TASK);
		__u64 cgroup = pod_in(cases[i].where, LOGIC_POD_OF_CGROUP);

		tap_check(task == cases[i].want, "pod_of_task: %s", cases[i].what);
		tap_check(cgroup == cases[i].want, "pod_of_cgroup: %s", cases[i].what);
	}
	runtime[PODCRED_RUNTIME_BURSTABLE] = 0;
	configure(&config);
	tap_same((long long)tree_id[BURSTABLE], (long long)pod_in(POD_BU_C, LOGIC_POD_OF_TASK),
		 "pod_of_task: QoS ids not known yet, all below is one pod");
	runtime[PODCRED_RUNTIME_KUBEPODS] = 0;
	configure(&config);
	tap_same(POD_NONE, (long long)pod_in(POD_G_C, LOGIC_POD_OF_TASK),
		 "pod_of_task: no kubepods yet, no pods");
	tap_same(POD_NONE, (long long)pod_in(POD_G_C, LOGIC_POD_OF_CGROUP),
		 "pod_of_cgroup: no kubepods yet, no pods");
	config.kubepods_level += 10; /* no cgroup is that deep: an id of 0 on both sides */
	configure(&config);
	tap_same(POD_NONE, (long long)pod_in(POD_G_C, LOGIC_POD_OF_TASK),
		 "pod_of_task: an unknown kubepods equals nothing");
	tap_same(POD_NONE, (long long)pod_in(POD_G_C, LOGIC_POD_OF_CGROUP),
		 "pod_of_cgroup: an unknown kubepods equals nothing");
}

/* ---- a record that is rewritten while it is read ---- */

#define CLERK	 3001ULL /* the pod that is asked for */
#define TRUSTED	 3002ULL /* an exempt one, which gets the memory of the other's record */
#define REWRITES 3 /* POD_LOOKS of ident.bpf.h */

static void pod_write(__u64 id, __u32 flags)
{
	struct podcred_pod pod = {
		.cgroup_id = id, .generation = 1, .flags = PODCRED_POD_NAMED | flags};

	if (bpf_map_update_elem(bpf_map__fd(skel->maps.podcred_pods), &id, &pod, BPF_ANY))
		tap_bail("cannot write podcred_pods");
}

/* now: what CLERK's record becomes each time, -1: it goes. */
static int flags_while_rewritten(__u32 times, int now)
{
	struct logic_ctx ctx = {.op = LOGIC_POD_FLAGS, .pod = CLERK};

	pod_write(CLERK, 0);
	pod_write(TRUSTED, PODCRED_POD_EXEMPT);
	skel->bss->recycle_pod = CLERK;
	skel->bss->recycle_new = (struct podcred_pod){
		.cgroup_id = now < 0 ? 0 : CLERK, .generation = 2, .flags = (__u32)now};
	skel->bss->recycle_other = (struct podcred_pod){
		.cgroup_id = TRUSTED, .generation = 3, .flags = PODCRED_POD_EXEMPT};
	skel->bss->recycle_times = times;
	skel->bss->recycled = 0;
	return logic(&ctx);
}

/* Since Linux 6.1; before, what is freed rests until no program can be reading it. */
static bool memory_is_recycled_at_once(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found = btf && btf__find_by_name_kind(btf, "bpf_mem_alloc", BTF_KIND_STRUCT) > 0;

	btf__free(btf);
	return found;
}

static void test_pod_flags(void)
{
	const int named = PODCRED_POD_NAMED;
	unsigned long long before;

	tap_same(named, flags_while_rewritten(0, named), "flags: as they stand");
	tap_same(0, flags_while_rewritten(1, -1), "flags: a record that goes says nothing");
	tap_same(memory_is_recycled_at_once(), skel->bss->recycled,
		 "flags: and was another pod's by then, where the kernel recycles at once");
	tap_same(named, flags_while_rewritten(1, named),
		 "flags: a rewritten record is read again, not as another pod's");
	tap_same(named | PODCRED_POD_DENIED, flags_while_rewritten(1, named | PODCRED_POD_DENIED),
		 "flags: with what it says now");
	skel->bss->recycle_back = 1;
	tap_same(named, flags_while_rewritten(1, named), "flags: nor when its memory comes back");
	tap_same(0, skel->bss->recycle_back && memory_is_recycled_at_once(), "flags: as it did");
	skel->bss->recycle_back = 0;
	before = counter(PODCRED_REASON_name_changing);
	tap_same(PODCRED_POD_DENIED, flags_while_rewritten(2 * REWRITES, named),
		 "flags: rewritten on and on, nothing is allowed");
	tap_same(before + 1, counter(PODCRED_REASON_name_changing), "flags: and that is counted");
	skel->bss->recycle_times = 0;
}

static void check_caller(int where, __u32 want, __u64 pod, const char *what)
{
	struct logic_ctx ctx = logic_in(where, (struct logic_ctx){.op = LOGIC_CALLER});

	tap_same(want, (__u32)ctx.ret, what);
	tap_check(ctx.pod == pod, "%s, pod", what);
}

static void check_sendmsg(int where, const char *addr, int want, __u32 reason, const char *what)
{
	unsigned long long before = counter(reason);
	struct logic_ctx ctx = to(addr, 80, IPPROTO_UDP);

	ctx.op = LOGIC_SENDMSG;
	tap_same(want, logic_in(where, ctx).ret, what);
	if (reason < PODCRED_REASON_MAX - 1)
		tap_check(counter(reason) == before + 1, "%s, counted", what);
}

/* The filter is asked first; its bit is that of the address. */
static void test_filter(struct podcred_config *config)
{
	const __u32 none = PODCRED_REASON_MAX - 1;
	struct logic_ctx ctx = to("169.254.169.254", 80, IPPROTO_UDP);
	__u32 bit = podcred_filter_bit(&ctx.dest.addr);

	filter_on = true;
	memset(config->guard_filter, 0, sizeof(config->guard_filter));
	configure(config);
	check_sendmsg(POD_G_C, "169.254.169.254", ALLOW, none,
		      "filter: empty, nothing is looked up");
	config->guard_filter[bit / 64] |= 1ULL << bit % 64;
	configure(config);
	check_sendmsg(POD_G_C, "169.254.169.254", REFUSE, PODCRED_REASON_denied_destination,
		      "filter: with the bit of the address");
	filter_on = false;
}

static void test_caller(void)
{
	struct podcred_config config = tree_config();
	const __u32 none = PODCRED_REASON_MAX - 1;

	config.agent_pod_id = tree_id[POD_BU];
	configure(&config);
	check_caller(POD_G_C, UNDECIDED, tree_id[POD_G], "caller: a pod");
	check_caller(HOST, PODCRED_REASON_passed_host, 0, "caller: the host");
	check_caller(POD_BU_C, PODCRED_REASON_passed_agent, tree_id[POD_BU], "caller: the agent");
	check_caller(KUBEPODS, PODCRED_REASON_no_pod, 0, "caller: in no pod");

	check_sendmsg(POD_G_C, "169.254.169.254", REFUSE, PODCRED_REASON_denied_destination,
		      "sendmsg: a pod to a guarded address");
	check_sendmsg(POD_G_C, "169.254.169.253", ALLOW, none, "sendmsg: a pod to another address");
	check_sendmsg(POD_G_C, "10.1.9.9", ALLOW, none, "sendmsg: a pod to an allowed one");
	check_sendmsg(HOST, "169.254.169.254", ALLOW, PODCRED_REASON_passed_host,
		      "sendmsg: the host to a guarded address");
	check_sendmsg(POD_BU, "169.254.169.254", ALLOW, PODCRED_REASON_passed_agent,
		      "sendmsg: the agent to a guarded address");
	check_sendmsg(BURSTABLE, "169.254.169.254", REFUSE, PODCRED_REASON_no_pod,
		      "sendmsg: in no pod to a guarded address");
	test_filter(&config);
}

/* What would be refused for one pod is let through; for no other, and whoever has no pod has no policy. */
static void test_audit(void)
{
	struct podcred_config config = tree_config();
	unsigned long long before = counter(PODCRED_REASON_audited);

	configure(&config);
	pod_write(tree_id[POD_G], PODCRED_POD_AUDIT);
	pod_write(tree_id[POD_BU], 0);
	pod_write(0, PODCRED_POD_AUDIT);
	check_sendmsg(POD_G_C, "169.254.169.254", ALLOW, PODCRED_REASON_denied_destination,
		      "audit of a pod: it passes");
	tap_same(before + 1, counter(PODCRED_REASON_audited), "audit of a pod: and is counted");
	check_sendmsg(POD_BU_C, "169.254.169.254", REFUSE, PODCRED_REASON_denied_destination,
		      "audit of a pod: another is refused");
	pod_write(tree_id[POD_G], PODCRED_POD_DENIED);
	check_sendmsg(POD_G_C, "169.254.169.254", REFUSE, PODCRED_REASON_denied_destination,
		      "audit of a pod: no longer");
	tap_same(before + 1, counter(PODCRED_REASON_audited), "audit of a pod: nothing else is");
}

static void load(void)
{
	skel = logic__open();
	if (!skel || bpf_map__set_max_entries(skel->maps.podcred_flows_v2, FLOWS) ||
	    bpf_map__set_max_entries(skel->maps.podcred_quota, PODS) || logic__load(skel))
		tap_bail("cannot load logic.bpf.o");
	calls = mmap(NULL, LOGIC_SLOTS * sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED,
		     bpf_map__fd(skel->maps.calls), 0);
	if (calls == MAP_FAILED)
		tap_bail("cannot map the calls");
}

int main(void)
{
	struct podcred_config config = {.max_flows_per_pod = FLOWS};

	setvbuf(stdout, NULL, _IOLBF, 0);
	load();
	test_addr();
	fill_destinations();
	configure(&config);
	test_dest();
	test_agents_own();
	test_agent();

	configure(&config);
	tap_same(0, quota(POD_A) + quota(POD_B), "quota: two pods known");
	test_flow_normal();
	test_flow_keys();
	test_flow_withdraw();
	test_flow_conflict();
	test_flow_full();
	test_flow_way();
	test_pass();
	test_pass_limits();
	test_races();
	test_quota();

	test_pod_at();
	tree_make();
	test_pod_of();
	test_pod_flags();
	test_caller();
	test_audit();
	tree_remove();
	munmap(calls, LOGIC_SLOTS * sizeof(*calls));
	logic__destroy(skel);
	return tap_done();
}
