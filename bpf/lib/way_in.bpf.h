/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way from the pod to the agent, at the node's end of the pod's interface (way.bpf.h). */
#pragma once

#include "way.bpf.h"

/* Whose socket sent it: also of packets that the kernel sends by itself, which are nobody's. */
static __always_inline void sender_of(const struct podcred_config *cfg, struct __sk_buff *skb,
				      struct sender *sender)
{
	struct pod_tree tree = pod_tree_get(cfg);

	sender->cgroup_id = bpf_skb_cgroup_id(skb); /* 0: no socket */
	if (!sender->cgroup_id)
		return;
	sender->pod = pod_at(&tree, bpf_skb_ancestor_cgroup_id(skb, tree.level),
			     bpf_skb_ancestor_cgroup_id(skb, tree.level + 1),
			     bpf_skb_ancestor_cgroup_id(skb, tree.level + 2));
	sender->has_socket = sender->pod != POD_NONE;
}

/* The socket that sent the segment, when it is of the connection that this socket announced. NULL: of
 * another's, of a raw or packet socket, of none at all. */
static __always_inline struct podcred_client *announcer_of(struct __sk_buff *skb,
							   const struct segment *s)
{
	struct bpf_sock *sk = skb->sk;
	struct podcred_client *client;

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	client = sk ? client_of(sk) : NULL;
	if (!client || client->flow.client_port != s->source_port ||
	    client->flow.agent_port != s->dest_port ||
	    !podcred_addr_is_same(&client->flow.client, &s->source) ||
	    !podcred_addr_is_same(&client->flow.agent, &s->dest))
		return NULL;
	return client;
}

/*
 * The kernel's own word for a connection that it has forgotten, or that waits out its time: no socket of a
 * pod has sent it. It must come out of the interface that the connection came out of; of a connection that
 * is not known nobody minds it.
 */
static __noinline int is_kernels(struct __sk_buff *skb, const struct segment *s,
				 const struct sender *sender)
{
	struct podcred_peer_key key = {.client = s->source,
				       .agent = s->dest,
				       .client_port = s->source_port,
				       .agent_port = s->dest_port};
	const struct podcred_seal *seal;
	const struct podcred_way *way;

	if (sender->has_socket || !s->bare)
		return 0;
	seal = bpf_map_lookup_elem(&podcred_peers_v2, &key);
	way = seal ? &seal->way : bpf_map_lookup_elem(&podcred_tails, &key);
	return !way || !way->ifindex || way->ifindex == skb->ifindex;
}

/* Into the node's stack, as if it had come by the bridge, and the bridge had found the node. Without a
 * bridge it is there next; behind a tag it is in another network. */
static __always_inline int carry_in(struct __sk_buff *skb, const struct segment *s,
				    const struct podcred_path *path, int is_tagged)
{
	if (!path->gateway || is_tagged)
		return TCX_NEXT;
	if (bpf_skb_store_bytes(skb, 0, path->mac, MAC_LEN, 0))
		return TCX_DROP;
	if (s->flags & TCP_SYN)
		count(PODCRED_REASON_carried);
	return (int)bpf_redirect(path->gateway, BPF_F_INGRESS);
}

static __noinline void way_note(struct __sk_buff *skb, const struct podcred_client *client)
{
	struct podcred_way way = {.ifindex = skb->ifindex};

	if (!bpf_skb_load_bytes(skb, ETH_SOURCE, way.mac, MAC_LEN))
		flow_way(&client->flow, bpf_get_socket_cookie(skb), &way);
}

static __always_inline int is_agents_pod(const struct podcred_config *cfg,
					 const struct sender *sender)
{
	return sender->has_socket && sender->pod == cfg->agent_pod_id;
}

static __noinline int way_refuse(const struct segment *s, const struct sender *sender, __u32 reason)
{
	const struct podcred_config *cfg = config_get();
	struct decision decision = {
		.addr = &s->dest,
		.source = &s->source,
		.port = s->dest_port,
		.source_port = s->source_port,
		.protocol = s->protocol,
		.cgroup_id = sender->cgroup_id,
		.pod = sender->pod == POD_UNKNOWN ? POD_NONE : sender->pod,
		.hook = PODCRED_HOOK_ingress,
	};

	return conclude(cfg, &decision, reason) ? TCX_NEXT : TCX_DROP;
}

/* Of packets of a pod those that are for the agent, or say that they come from there. at: where the IP
 * header is. */
static __noinline int judge_way_in(struct __sk_buff *skb, __u32 at)
{
	const struct podcred_config *cfg = config_get();
	int is_tagged = at != ETH_HLEN || skb->vlan_present;
	const struct podcred_endpoint *agent;
	const struct podcred_path *path;
	struct podcred_client *client;
	__u32 ifindex = skb->ifindex;
	struct sender sender = {};
	struct segment s = {};

	if (!cfg || !segment_addresses(skb, at, &s))
		return TCX_NEXT;
	agent = podcred_agent_at(cfg, &s.dest);
	if (!agent && !podcred_agent_at(cfg, &s.source))
		return TCX_NEXT;
	path = bpf_map_lookup_elem(&podcred_paths, &ifindex);
	if (!path)
		return TCX_NEXT;
	if (agent && s.protocol == IPPROTO_TCP && !s.hidden)
		segment_read(skb, &s);
	client = s.dest_port ? announcer_of(skb, &s) : NULL;
	if (client) {
		if (s.flags & TCP_SYN && !is_tagged)
			way_note(skb, client);
		return carry_in(skb, &s, path, is_tagged);
	}
	sender_of(cfg, skb, &sender);
	if (podcred_agent_at(cfg, &s.source) && !is_agents_pod(cfg, &sender))
		return way_refuse(&s, &sender, PODCRED_REASON_packet_spoofed);
	if (!agent)
		return TCX_NEXT;
	if (s.hidden)
		return way_refuse(&s, &sender, PODCRED_REASON_packet_unreadable);
	if (s.protocol != IPPROTO_TCP || s.dest_port != bpf_ntohs(agent->port))
		return TCX_NEXT;
	if (is_kernels(skb, &s, &sender))
		return carry_in(skb, &s, path, is_tagged);
	return way_refuse(&s, &sender, PODCRED_REASON_packet_forged);
}
