/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What happens to a packet for a guarded address. None should exist: connect and sendmsg have sent
 * those to the agent or refused them. So it went around them, or it belongs to somebody who may.
 */
#pragma once

#include "dest.bpf.h"
#include "ident.bpf.h"
#include "packet.bpf.h"
#include "verdict.bpf.h"

#define PACKET_PASS 1
#define PACKET_DROP 0

/* Whose packet it is. */
struct sender {
	__u64 cgroup_id, pod; /* of the packet's socket */
	int has_socket; /* 0: forwarded, from another network namespace */
};

static __always_inline int action_lets_pass(int action)
{
	return action != PODCRED_ACTION_REDIRECT && action != PODCRED_ACTION_DENY;
}

/* The head's first 20 (IPv4) or 40 bytes say that the packet is none of our business. */
static __always_inline int packet_is_foreign(const struct podcred_config *cfg, const __u8 *head,
					     int v6)
{
	struct podcred_addr dest;

	packet_addr(head, v6 ? 24 : 16, v6, &dest);
	return packet_is_plain(head, v6) && addr_is_foreign(cfg, &dest);
}

/* Of an address with exceptions by port, a packet that hides its port gets the worst. */
static __always_inline int target_is_guarded(const struct podcred_config *cfg,
					     const struct packet *p,
					     const struct podcred_target_key *key)
{
	int action = dest_action(cfg, key);

	return p->ports_hidden ? action != DEST_NOT_GUARDED : !action_lets_pass(action);
}

static __always_inline int via_is_guarded(const struct podcred_config *cfg, const __u8 *head,
					  const struct packet *p)
{
	struct podcred_target_key key = {.port = bpf_htons(p->dest_port), .protocol = p->protocol};

	for (__u32 i = 0; i < PACKET_MAX_VIA; i++) {
		if (i >= p->n_via)
			return 0;
		packet_addr(head, p->via + i * (p->v6 ? 16 : 4), p->v6, &key.addr);
		if (target_is_guarded(cfg, p, &key))
			return 1;
	}
	return 0;
}

static __always_inline int packet_is_guarded(const struct podcred_config *cfg, const __u8 *head,
					     const struct packet *p)
{
	struct podcred_target_key key = {
		.addr = p->dest, .port = bpf_htons(p->dest_port), .protocol = p->protocol};

	return p->unreadable || target_is_guarded(cfg, p, &key) || via_is_guarded(cfg, head, p);
}

static __always_inline int sender_may(const struct podcred_config *cfg, const struct sender *sender)
{
	if (!sender->has_socket || sender->pod == POD_UNKNOWN)
		return 0;
	return sender->pod == POD_NONE || sender->pod == cfg->agent_pod_id ||
	       (pod_flags(sender->pod) & PODCRED_POD_EXEMPT);
}

/* Of a connection that connect(2) let through: of an exempt pod, or while the agent was away. Where
 * the packet still has its socket, that must be the same pod's: addresses can be borrowed. */
static __always_inline int packet_is_noted(const struct packet *p, const struct sender *sender)
{
	struct podcred_peer_key key = {.client = p->source,
				       .agent = p->dest,
				       .client_port = p->source_port,
				       .agent_port = p->dest_port};
	const struct podcred_pass *pass;

	if (p->protocol != IPPROTO_TCP || p->n_via || p->unreadable)
		return 0;
	pass = bpf_map_lookup_elem(&podcred_passes, &key);
	if (!pass || (sender->cgroup_id && sender->pod != pass->pod_cgroup_id))
		return 0;
	return !pass->closed_ns ||
	       bpf_ktime_get_boot_ns() - pass->closed_ns < PODCRED_PASS_GRACE_NS;
}

/* PACKET_PASS or PACKET_DROP, counted and reported, for a packet that is guarded. */
static __always_inline int packet_judge(const struct podcred_config *cfg, const struct packet *p,
					const struct sender *sender, __u8 hook)
{
	struct decision decision = {
		.addr = &p->dest,
		.source = &p->source,
		.port = p->dest_port,
		.source_port = p->source_port,
		.protocol = p->protocol,
		.cgroup_id = sender->cgroup_id,
		.pod = sender->pod == POD_UNKNOWN ? POD_NONE : sender->pod,
		.hook = hook,
	};
	__u32 reason = PODCRED_REASON_packet_forwarded;

	if (sender_may(cfg, sender) || packet_is_noted(p, sender))
		return PACKET_PASS;
	if (p->unreadable)
		reason = PODCRED_REASON_packet_unreadable;
	else if (sender->has_socket)
		reason = PODCRED_REASON_packet_socket;
	return conclude(cfg, &decision, reason) ? PACKET_PASS : PACKET_DROP;
}
