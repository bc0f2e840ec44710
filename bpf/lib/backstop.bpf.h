/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What happens to a packet for a guarded address. None should exist: connect and sendmsg have sent
 * the traffic to the agent or refused it. So the packet has bypassed them, or its sender is allowed
 * to send it.
 */
#pragma once

#include "dest.bpf.h"
#include "ident.bpf.h"
#include "packet.bpf.h"
#include "pass.bpf.h"
#include "verdict.bpf.h"

/* Whose packet it is. */
struct sender {
	__u64 cgroup_id, pod; /* of the packet's socket */
	int has_socket; /* 0: forwarded, from another network namespace; or nobody knows whose */
};

/* The head's first 20 (IPv4) or 40 bytes say that the packet is none of our business. */
static __always_inline int packet_is_foreign(const struct podcred_config *cfg, const __u8 *head,
					     int v6)
{
	struct podcred_addr dest;

	packet_addr(head, v6 ? 24 : 16, v6, &dest);
	return packet_is_plain(head, v6) && podcred_is_foreign(cfg, &dest);
}

/* Of an address with exceptions by port, a packet that hides its port gets the worst. */
static __always_inline int target_is_guarded(const struct podcred_config *cfg,
					     const struct packet *p,
					     const struct podcred_target_key *key)
{
	int action = dest_action(cfg, key);

	return p->ports_hidden ? action != PODCRED_NOT_GUARDED : !podcred_action_lets_pass(action);
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
	/* the policy is a lookup more, for those that would not pass without */
	return podcred_sender_may(cfg, sender->pod, 0) ||
	       podcred_sender_may(cfg, sender->pod, pod_flags(sender->pod));
}

#define INTERFACE_NONE 0 /* cannot be told by it */
#define INTERFACE_ANY  (~0U) /* the pod's interface may not be watched: anybody's */

/* ifindex: of the pod's interface, which is learnt here. */
static __always_inline int is_noted_in(void *passes, const struct podcred_peer_key *key,
				       const struct sender *sender, __u32 ifindex)
{
	struct podcred_pass pass, *entry = pass_find(passes, key, &pass);

	if (!entry)
		return 0;
	if (sender->has_socket) {
		if (sender->pod != pass.pod_cgroup_id)
			return 0;
		if (ifindex && pass.ifindex != ifindex)
			entry->ifindex = ifindex;
	} else if (ifindex != INTERFACE_ANY && (!ifindex || pass.ifindex != ifindex)) {
		return 0;
	}
	return !pass.closed_ns || bpf_ktime_get_boot_ns() - pass.closed_ns < PODCRED_PASS_GRACE_NS;
}

/*
 * Of a connection that connect(2) let through: of an exempt pod, or while the agent was away. The
 * packet's socket must be the same pod's, or else its interface: addresses can be borrowed. So another
 * pod's live connection does not hide one that has ended.
 */
static __always_inline int packet_is_noted(const struct packet *p, const struct sender *sender,
					   __u32 ifindex)
{
	struct podcred_peer_key key = {.client = p->source,
				       .agent = p->dest,
				       .client_port = p->source_port,
				       .agent_port = p->dest_port};

	if (p->protocol != IPPROTO_TCP || p->n_via || p->unreadable)
		return 0;
	return is_noted_in(&podcred_passes_v3, &key, sender, ifindex) ||
	       is_noted_in(&podcred_ended, &key, sender, ifindex);
}

static __always_inline __u32 segment_word(const __u8 *head, const struct packet *p, __u32 at)
{
	at += p->segment;
	return (__u32)packet_byte(head, at) << 24 | packet_byte(head, at + 1) << 16 |
	       packet_byte(head, at + 2) << 8 | packet_byte(head, at + 3);
}

/* 0: no TCP segment that could have a ticket. */
static __always_inline int ticket_key(const __u8 *head, const struct packet *p,
				      struct podcred_ticket_key *key)
{
	if (!p->segment || p->n_via || p->unreadable)
		return 0;
	key->dest = p->dest;
	key->dest_port = p->dest_port;
	key->seq = segment_word(head, p, 4);
	key->ack = segment_word(head, p, 8);
	key->rest = segment_word(head, p, 12);
	return 1;
}

static __always_inline void ticket_issue(const __u8 *head, const struct packet *p)
{
	struct podcred_ticket_key key = {};
	__u64 now = bpf_ktime_get_boot_ns();

	if (ticket_key(head, p, &key))
		bpf_map_update_elem(&podcred_tickets, &key, &now, BPF_ANY);
}

/* It stays: the packet may come by another hook of ours. */
static __always_inline int ticket_is_valid(const __u8 *head, const struct packet *p)
{
	struct podcred_ticket_key key = {};
	const __u64 *issued;

	if (!ticket_key(head, p, &key))
		return 0;
	issued = bpf_map_lookup_elem(&podcred_tickets, &key);
	return issued && bpf_ktime_get_boot_ns() - *issued < PODCRED_TICKET_NS;
}

/*
 * Of a packet that has lost its socket: podcred_veth let it pass. Or the agent is given up. Then the
 * resolver may be away, too, and a new pod's interface have no program; as connect(2) lets every pod
 * through by then, the addresses of a noted connection will do.
 */
static __always_inline int forwarded_may(const struct podcred_config *cfg, const __u8 *head,
					 const struct packet *p, const struct sender *sender)
{
	if (ticket_is_valid(head, p))
		return 1;
	if (!agent_is_given_up(cfg) || !packet_is_noted(p, sender, INTERFACE_ANY))
		return 0;
	ticket_issue(head, p);
	return 1;
}

/* PACKET_DROP, or what mode audit makes of it; counted and reported. */
static __always_inline int packet_refuse(const struct podcred_config *cfg, const struct packet *p,
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
		.own = 1,
	};
	__u32 reason = podcred_decide_packet(p->unreadable, sender->has_socket);

	return conclude(cfg, &decision, reason) ? PACKET_PASS : PACKET_DROP;
}
