/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * podcred_decide.h - the decisions. Pure: values in, an action or a reason out. The BPF programs
 * look the values up when they need them, and only those that they need; `podcred explain` reads
 * them from the maps and narrates the steps. Neither decides anything by itself.
 */
#ifndef PODCRED_DECIDE_H
#define PODCRED_DECIDE_H

#include "podcred_maps.h"

#define PODCRED_TCP 6 /* IPPROTO_TCP, which comes from another header in each world */

#define PODCRED_DECIDE static inline __attribute__((always_inline))

#define PODCRED_NOT_GUARDED (-1) /* in place of an enum podcred_action */
#define PODCRED_UNDECIDED                                                                          \
	(~0U) /* in place of an enum podcred_reason: nothing ends the matter yet */

/* What a cgroup makes of a caller, in place of a pod's cgroup id. */
#define PODCRED_POD_NONE    0ULL /* not below kubepods: a process of the host */
#define PODCRED_POD_UNKNOWN (~0ULL) /* below kubepods, but in no pod's cgroup */

/* ---- where to ---- */

/* Ruled out by the filter alone, which does not know the agent's own addresses. */
PODCRED_DECIDE int podcred_is_foreign(const struct podcred_config *config,
				      const struct podcred_addr *addr)
{
	__u32 bit = podcred_filter_bit(addr);

	return !(config->guard_filter[(bit >> 6) & 15] & 1ULL << (bit & 63));
}

/* At the address of an agent: whoever dials its port is stamped; its other ports are none of our business. */
PODCRED_DECIDE int podcred_agent_action(const struct podcred_endpoint *agent,
					const struct podcred_target_key *dest)
{
	return dest->port == agent->port && dest->protocol == PODCRED_TCP ? PODCRED_ACTION_STAMP
									  : PODCRED_NOT_GUARDED;
}

/* Packets may go there: it is open, or what goes there is only counted. */
PODCRED_DECIDE int podcred_action_lets_pass(int action)
{
	return action != PODCRED_ACTION_REDIRECT && action != PODCRED_ACTION_DENY;
}

/* Where a client of this destination is sent: an agent of its own family, or for native IPv6 the IPv4 agent as a
 * mapped address. NULL: none is configured. */
PODCRED_DECIDE const struct podcred_endpoint *podcred_agent_for(const struct podcred_config *config,
								const struct podcred_addr *dest)
{
	if (!podcred_addr_is_v4(dest) && config->agent[1].port)
		return &config->agent[1];
	return config->agent[0].port ? &config->agent[0] : NULL;
}

/* The agent has not been seen alive for a while, and the operator wants the real address then. Times are of
 * CLOCK_BOOTTIME, in ns. */
PODCRED_DECIDE int podcred_is_given_up(const struct podcred_config *config, __u64 now_ns,
				       __u64 lease_ns)
{
	return config->fail_open && now_ns >= lease_ns;
}

/* ---- who ---- */

/* task, socket: the pods of the two witnesses; PODCRED_UNDECIDED for a pod. */
PODCRED_DECIDE __u32 podcred_decide_caller(const struct podcred_config *config, __u64 task,
					   __u64 socket)
{
	if (socket != task)
		return PODCRED_REASON_cross_pod_socket;
	if (task == PODCRED_POD_UNKNOWN)
		return PODCRED_REASON_no_pod;
	if (task == PODCRED_POD_NONE)
		return PODCRED_REASON_passed_host;
	return task == config->agent_pod_id ? PODCRED_REASON_passed_agent : PODCRED_UNDECIDED;
}

/* The agent's pod is left alone, but for the agent's own address: that is stamped, as with any pod, so that it
 * can find out whether a stamp arrives. */
PODCRED_DECIDE __u32 podcred_decide_agent_pod(__u32 reason, int action)
{
	return reason == PODCRED_REASON_passed_agent && action == PODCRED_ACTION_STAMP
		       ? PODCRED_REASON_direct
		       : reason;
}

/* Whether a socket of that pod may send packets to guarded addresses. flags: PODCRED_POD_* of it. */
PODCRED_DECIDE int podcred_sender_may(const struct podcred_config *config, __u64 pod, __u32 flags)
{
	return pod == PODCRED_POD_NONE || pod == config->agent_pod_id ||
	       (flags & PODCRED_POD_EXEMPT);
}

/*
 * Whether what refuses is let through, and counted: for all pods by mode audit, or for that pod by its policy. Its
 * policy does not speak for others, whose sockets and addresses these reasons are about; nor may it undo what is
 * denied.
 */
PODCRED_DECIDE int podcred_pods_own(__u32 reason)
{
	return reason != PODCRED_REASON_cross_pod_socket &&
	       reason != PODCRED_REASON_unknown_socket && reason != PODCRED_REASON_denied_policy &&
	       reason != PODCRED_REASON_packet_forwarded;
}

PODCRED_DECIDE int podcred_is_audited(const struct podcred_config *config, __u32 flags,
				      __u32 reason)
{
	return config->audit || (flags & PODCRED_POD_AUDIT && podcred_pods_own(reason));
}

/* ---- what comes of it ---- */

/*
 * A pod's TCP connect(2), by the pod's policy, the destination's action and the agent's state. What is stamped
 * (direct, redirected) and what is let through (passed_exempt, passed_open) has its quota to pass yet.
 */
PODCRED_DECIDE __u32 podcred_decide_stream(__u32 flags, int action, int given_up, int has_agent)
{
	if (flags & PODCRED_POD_DENIED)
		return PODCRED_REASON_denied_policy;
	if (action == PODCRED_ACTION_STAMP)
		return PODCRED_REASON_direct;
	if (flags & PODCRED_POD_EXEMPT)
		return PODCRED_REASON_passed_exempt;
	if (action == PODCRED_ACTION_DENY)
		return PODCRED_REASON_denied_destination;
	if (given_up)
		return PODCRED_REASON_passed_open;
	return has_agent ? PODCRED_REASON_redirected : PODCRED_REASON_no_agent;
}

/* Datagrams are never redirected, only refused or not. */
PODCRED_DECIDE __u32 podcred_decide_datagram(__u32 flags)
{
	return flags & PODCRED_POD_EXEMPT ? PODCRED_REASON_passed_exempt
					  : PODCRED_REASON_denied_destination;
}

/* A pod's connections that the agent has not accepted; NULL: there is no room to count them. 0: it may have one
 * more. */
PODCRED_DECIDE __u32 podcred_decide_quota(const struct podcred_config *config,
					  const struct podcred_quota *quota)
{
	if (!quota)
		return PODCRED_REASON_quota_map_full;
	return quota->pending >= (__s64)config->max_flows_per_pod ? PODCRED_REASON_quota : 0;
}

/* The same of its connections to real addresses. */
PODCRED_DECIDE __u32 podcred_decide_pass_quota(const struct podcred_pass_quota *quota)
{
	if (!quota)
		return PODCRED_REASON_quota_map_full;
	return quota->open >= PODCRED_PASSES_PER_POD ? PODCRED_REASON_pass_quota : 0;
}

/* Why a packet for a guarded address is dropped. */
PODCRED_DECIDE __u32 podcred_decide_packet(int unreadable, int has_socket)
{
	if (unreadable)
		return PODCRED_REASON_packet_unreadable;
	return has_socket ? PODCRED_REASON_packet_socket : PODCRED_REASON_packet_forwarded;
}

#endif /* PODCRED_DECIDE_H */
