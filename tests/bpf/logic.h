/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What test_logic.c asks of logic.bpf.c, and the answer: a slot of the map "calls" for each run. */
#ifndef TESTS_BPF_LOGIC_H
#define TESTS_BPF_LOGIC_H

#include "podcred_maps.h"

enum logic_op {
	LOGIC_ADDR_V4 = 1, /* dest.addr := addr_set_v4(words[0]) */
	LOGIC_ADDR_WORDS, /* dest.addr := addr_set_words(words) */
	LOGIC_ADDR_IS_V4, /* ret := podcred_addr_is_v4(dest.addr) */
	LOGIC_DEST, /* ret := dest_action(dest) */
	LOGIC_SENDMSG, /* ret := guard_sendmsg(dest) */
	LOGIC_AGENT_FOR, /* ret := which agent[] serves dest, -1: none */
	LOGIC_ANNOUNCE, /* ret := flow_announce(key, flow): 0 or the reason */
	LOGIC_CLAIM, /* ret := flow_claim(key), flow.stamp := its stamp, way := its way */
	LOGIC_WITHDRAW, /* flow_withdraw(key, flow.owner) */
	LOGIC_CHURN, /* ret := of LOGIC_BATCH own flows, how many were claimed back */
	LOGIC_NEW_PODS, /* asks the quota of LOGIC_BATCH pods and announces a flow of each */
	LOGIC_CLAIM_ALL, /* ret := of the LOGIC_BATCH flows after key, how many were claimed */
	LOGIC_QUOTA, /* ret := quota_check(pod) */
	LOGIC_PASS, /* ret := pass_note(key's addresses and ports, pod, owner) */
	LOGIC_PASS_END, /* pass_end(the same, flow.owner) */
	LOGIC_PASS_QUOTA, /* ret := pass_quota_check(pod) */
	LOGIC_PASS_CHURN, /* ret := of LOGIC_BATCH own connections, how many were noted; all end */
	LOGIC_POD_AT, /* pod := pod_at(first, second) */
	LOGIC_POD_OF_TASK, /* pod := pod_of_task() of who runs the program */
	LOGIC_POD_OF_CGROUP, /* pod := pod_of_cgroup() of its cgroup */
	LOGIC_CALLER, /* ret := caller_of(no socket): reason or UNDECIDED; pod */
	LOGIC_POD_FLAGS, /* ret := pod_flags(pod) */
	LOGIC_WAY, /* flow_way(key, flow.owner, way) */
	LOGIC_WAY_COPY, /* way := flow_way_copy(what is at key, its owner); ret := there is a flow */
	LOGIC_LEVEL, /* ret := depth of its cgroup */
};

#define LOGIC_BATCH 32
#define LOGIC_SLOTS 8 /* runs that may go on at once */

struct logic_ctx {
	__u32 op; /* enum logic_op */
	__s32 ret;
	__u32 words[4];
	struct podcred_flow_key key;
	struct podcred_flow flow;
	__u64 pod;
	__u64 first;
	__u64 second;
	struct podcred_target_key dest;
	__u32 _pad;
	struct podcred_way way;
};

#endif /* TESTS_BPF_LOGIC_H */
