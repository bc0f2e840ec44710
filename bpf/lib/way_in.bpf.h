/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way from the pod to the agent, at the node's end of the pod's interface (way.bpf.h). */
#pragma once

#include "way.bpf.h"

/* The verdicts of judge_way_in beside those of tcx. */
#define WAY_CARRY (-2)
#define WAY_ASK	  (-3) /* the same, when the guard has nothing against it */

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

/*
 * Whether the connection came out of this interface. One that is not known nobody minds, nor when the
 * interface is gone: the pod's address may be another's by now, whose kernel ends what the agent still has of
 * the first.
 */
static __noinline int is_from_here(struct __sk_buff *skb, const struct segment *s)
{
	struct podcred_peer_key key = {.client = s->source,
				       .agent = s->dest,
				       .client_port = s->source_port,
				       .agent_port = s->dest_port};
	const struct podcred_seal *seal = bpf_map_lookup_elem(&podcred_peers_v2, &key);
	const struct podcred_way *way =
		seal ? &seal->way : bpf_map_lookup_elem(&podcred_tails, &key);

	return !way || !way->ifindex || way->ifindex == skb->ifindex || way_is_gone(way);
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
	/* One that was cut off may have made itself free again (CAP_NET_ADMIN), and the connection that has
	 * its addresses be another pod's. What closed may still send a reset. */
	if (!client->has_flow && (!s->bare || !is_from_here(skb, s)))
		return NULL;
	return client;
}

/* The kernel's own word for a connection that it has forgotten, or that waits out its time: no socket of a
 * pod has sent it. */
static __always_inline int is_kernels(struct __sk_buff *skb, const struct segment *s,
				      const struct sender *sender)
{
	return !sender->has_socket && s->bare && is_from_here(skb, s);
}

/* Without a bridge it is there next; behind a tag it is in another network. */
static __always_inline int carry_verdict(const struct segment *s, const struct podcred_path *path,
					 int is_tagged)
{
	if (!path->gateway || is_tagged)
		return TCX_NEXT;
	if (s->options)
		return WAY_ASK;
	if (s->flags & TCP_SYN)
		count(PODCRED_REASON_carried);
	return WAY_CARRY;
}

/* Into the node's stack, as if it had come by the bridge, and the bridge had found the node. */
static __always_inline int carry_in(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	const struct podcred_path *path = bpf_map_lookup_elem(&podcred_paths, &ifindex);

	if (!path || !path->gateway || bpf_skb_store_bytes(skb, 0, path->mac, MAC_LEN, 0))
		return TCX_DROP;
	return (int)bpf_redirect(path->gateway, BPF_F_INGRESS);
}

static __always_inline int way_here(struct __sk_buff *skb, struct podcred_way *way)
{
	way->ifindex = skb->ifindex;
	return !bpf_skb_load_bytes(skb, ETH_SOURCE, way->mac, MAC_LEN);
}

static __noinline void way_note(struct __sk_buff *skb, struct podcred_client *client)
{
	struct podcred_way way = {};

	if (!way_here(skb, &way))
		return;
	flow_way(&client->flow, bpf_get_socket_cookie(skb), &way);
	client->interface = (__u16)skb->ifindex;
}

/* The agent's socket of the connection, to be released. */
static __always_inline struct bpf_sock *agents_socket(struct __sk_buff *skb,
						      const struct podcred_flow_key *flow)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = sizeof(tuple.ipv6);

	if (podcred_addr_is_v4(&flow->agent)) {
		size = sizeof(tuple.ipv4);
		__builtin_memcpy(&tuple.ipv4.saddr, &flow->client.ip[12], sizeof(tuple.ipv4.saddr));
		__builtin_memcpy(&tuple.ipv4.daddr, &flow->agent.ip[12], sizeof(tuple.ipv4.daddr));
		tuple.ipv4.sport = bpf_htons(flow->client_port);
		tuple.ipv4.dport = bpf_htons(flow->agent_port);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, flow->client.ip, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, flow->agent.ip, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = bpf_htons(flow->client_port);
		tuple.ipv6.dport = bpf_htons(flow->agent_port);
	}
	return bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
}

/*
 * The pod's interface was made again, or it has another, and the connection goes on there. The segment is
 * of the socket that announced it; but somebody who had that address and port before may have kept a socket,
 * so the agent's must be the same pod's.
 */
static __noinline void way_move(struct __sk_buff *skb, struct podcred_client *client)
{
	struct podcred_peer_key key = {.client = client->flow.client,
				       .agent = client->flow.agent,
				       .client_port = client->flow.client_port,
				       .agent_port = client->flow.agent_port};
	struct podcred_seal *live = bpf_map_lookup_elem(&podcred_peers_v2, &key), *seal;
	struct podcred_way way = {};
	struct bpf_sock *sk;

	if (!live || live->stamp.pod_cgroup_id != client->stamp.pod_cgroup_id ||
	    !way_here(skb, &way))
		return;
	sk = agents_socket(skb, &client->flow);
	if (!sk)
		return;
	seal = bpf_sk_storage_get(&podcred_sealed_v2, sk, NULL, 0);
	if (seal && seal->stamp.pod_cgroup_id == client->stamp.pod_cgroup_id) {
		seal->way = live->way = way;
		client->interface = (__u16)skb->ifindex;
	}
	bpf_sk_release(sk);
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
	const struct podcred_endpoint *agent, *spoofed;
	const struct podcred_path *path;
	struct podcred_client *client;
	__u32 ifindex = skb->ifindex;
	struct sender sender = {};
	struct segment s = {};

	if (!cfg || !segment_addresses(skb, at, &s))
		return TCX_NEXT;
	agent = podcred_agent_at(cfg, &s.dest);
	spoofed = podcred_agent_at(cfg, &s.source);
	if (!agent && !spoofed)
		return TCX_NEXT;
	path = bpf_map_lookup_elem(&podcred_paths, &ifindex);
	if (!path)
		return TCX_NEXT;
	if (agent && s.protocol == IPPROTO_TCP && !s.hidden)
		segment_read(skb, &s);
	/* Nor may a socket that a pod has bound to the agent's address speak in its name. */
	client = s.dest_port && !spoofed ? announcer_of(skb, &s) : NULL;
	if (client) {
		if (s.flags & TCP_SYN && !is_tagged)
			way_note(skb, client);
		else if (client->interface && client->interface != (__u16)ifindex && !is_tagged)
			way_move(skb, client);
		return carry_verdict(&s, path, is_tagged);
	}
	sender_of(cfg, skb, &sender);
	if (spoofed && !is_agents_pod(cfg, &sender))
		return way_refuse(&s, &sender, PODCRED_REASON_packet_spoofed);
	if (!agent)
		return TCX_NEXT;
	if (s.hidden)
		return way_refuse(&s, &sender, PODCRED_REASON_packet_unreadable);
	if (s.protocol != IPPROTO_TCP || s.dest_port != bpf_ntohs(agent->port))
		return TCX_NEXT;
	if (is_kernels(skb, &s, &sender))
		return carry_verdict(&s, path, is_tagged);
	return way_refuse(&s, &sender, PODCRED_REASON_packet_forged);
}
