// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sockops on both ends of a redirected connection. podcred_sockops, on the guarded cgroup,
 * announces the client's flow, and cuts the client's socket off when the connection does not reach
 * the agent. podcred_claim, on the agent's cgroup, notes the arrival, claims the flow and seals the
 * stamp on the accepted socket, before accept(2) can return it.
 */
#include "addr.bpf.h"
#include "arrival.bpf.h"
#include "client.bpf.h"
#include "flow.bpf.h"
#include "ident.bpf.h"
#include "pass.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set by the loader over an older load that has them. */
const volatile __u8 have_flows_v1 = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, struct podcred_flow_key);
	__type(value, struct podcred_flow_v1);
} podcred_flows SEC(".maps");

/* A load that clang leaves where it is. */
#define CTX(field) (*(volatile typeof(ctx->field) *)&ctx->field)

static __always_inline void set_addr(struct podcred_addr *addr, __u32 family, __u32 ip4, __u32 a,
				     __u32 b, __u32 c, __u32 d)
{
	if (family == PODCRED_AF_INET)
		addr_set_v4(addr, ip4);
	else
		addr_set_words(addr, a, b, c, d);
}

/* All words are loaded before the family decides: clang 14 would make the loads of two branches
 * one load from a moved context pointer, which the verifier refuses. */
static __always_inline void local_addr(struct bpf_sock_ops *ctx, __u32 family,
				       struct podcred_addr *addr)
{
	__u32 ip4 = CTX(local_ip4);
	__u32 a = CTX(local_ip6[0]), b = CTX(local_ip6[1]);
	__u32 c = CTX(local_ip6[2]), d = CTX(local_ip6[3]);

	set_addr(addr, family, ip4, a, b, c, d);
}

static __always_inline void remote_addr(struct bpf_sock_ops *ctx, __u32 family,
					struct podcred_addr *addr)
{
	__u32 ip4 = CTX(remote_ip4);
	__u32 a = CTX(remote_ip6[0]), b = CTX(remote_ip6[1]);
	__u32 c = CTX(remote_ip6[2]), d = CTX(remote_ip6[3]);

	set_addr(addr, family, ip4, a, b, c, d);
}

/* The context has the local port in host order, the remote one in network order, as 32 bits. */
static __always_inline __u16 remote_port(struct bpf_sock_ops *ctx)
{
	return (__u16)bpf_ntohl(CTX(remote_port));
}

static __always_inline __u16 local_port(struct bpf_sock_ops *ctx)
{
	return (__u16)CTX(local_port);
}

static __always_inline void flags_change(struct bpf_sock_ops *ctx, __u32 off, __u32 on)
{
	bpf_sock_ops_cb_flags_set(ctx, (int)((ctx->bpf_sock_ops_cb_flags & ~off) | on));
}

static __always_inline void watch_close(struct bpf_sock_ops *ctx)
{
	flags_change(ctx, 0, BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* What is known of a connection at either end. */
static __always_inline struct decision decision_of(const struct podcred_flow_key *flow,
						   const struct podcred_stamp *stamp, __u8 hook)
{
	struct decision decision = {
		.addr = &flow->agent,
		.port = flow->agent_port,
		.source = &flow->client,
		.source_port = flow->client_port,
		.protocol = IPPROTO_TCP,
		.cgroup_id = stamp->cgroup_id,
		.pod = stamp->pod_cgroup_id,
		.hook = hook,
	};

	return decision;
}

static __always_inline void tuple_fill(struct bpf_sock_ops *ctx, struct podcred_flow_key *flow)
{
	__u32 family = CTX(family);

	remote_addr(ctx, family, &flow->agent);
	local_addr(ctx, family, &flow->client);
	flow->agent_port = remote_port(ctx);
	flow->client_port = local_port(ctx);
}

static __always_inline void pass_key(const struct podcred_flow_key *flow,
				     struct podcred_peer_key *key)
{
	key->client = flow->client;
	key->agent = flow->agent;
	key->client_port = flow->client_port;
	key->agent_port = flow->agent_port;
}

static __always_inline void client_passes(struct bpf_sock_ops *ctx, struct podcred_client *client)
{
	struct podcred_pass pass = {.pod_cgroup_id = client->stamp.pod_cgroup_id,
				    .owner = bpf_get_socket_cookie(ctx)};
	struct podcred_peer_key key = {};
	struct decision decision;
	__u32 reason;

	client->pass = PODCRED_PASS_NONE;
	tuple_fill(ctx, &client->flow);
	pass_key(&client->flow, &key);
	reason = pass_quota_check(pass.pod_cgroup_id); /* once more, see announce_check */
	if (!reason)
		reason = pass_note(&key, &pass);
	if (!reason) {
		client->pass = PODCRED_PASS_NOTED;
		watch_close(ctx);
		return;
	}
	decision = decision_of(&client->flow, &client->stamp, PODCRED_HOOK_announce);
	if (!conclude(config_get(), &decision, reason))
		sever(ctx, client);
}

/* What stands in the way of a connection. Not only connect(2) asks for the quota, where the caller
 * hears of it: a deferred Fast Open separates the two, and many connects may have passed before the
 * first of them comes here. */
static __always_inline __u32 announce_check(const struct podcred_config *cfg,
					    const struct podcred_client *client)
{
	const struct podcred_endpoint *agent = podcred_agent_at(cfg, &client->flow.agent);

	if (!agent || bpf_ntohs(agent->port) != client->flow.agent_port)
		return PODCRED_REASON_diverted; /* by a connect hook that ran after ours */
	return quota_check(cfg, client->stamp.pod_cgroup_id);
}

static __always_inline int announce_concludes(const struct podcred_config *cfg,
					      struct decision *decision, __u32 reason)
{
	return reason == PODCRED_REASON_diverted ? conclude_diverted(cfg, decision)
						 : conclude(cfg, decision, reason);
}

static __always_inline void client_announces(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
					     struct podcred_client *client)
{
	const struct podcred_config *cfg = config_get();
	struct podcred_flow flow = {};
	struct decision decision;
	struct tcp_sock *tp;
	__u32 reason;

	client->announce = 0;
	tuple_fill(ctx, &client->flow);
	decision = decision_of(&client->flow, &client->stamp, PODCRED_HOOK_announce);
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || !cfg) { /* neither is known to happen; it could only arrive without a stamp */
		conclude(NULL, &decision,
			 cfg ? PODCRED_REASON_unknown_socket : PODCRED_REASON_no_config);
		sever(ctx, client);
		return;
	}
	client->flow.isn = tp->write_seq;
	reason = announce_check(cfg, client);
	if (reason && !announce_concludes(cfg, &decision, reason)) {
		sever(ctx, client);
		return;
	}
	flow.stamp = client->stamp;
	flow.owner = bpf_get_socket_cookie(ctx);
	reason = flow_announce(&client->flow, &flow);
	client->has_flow = !reason;
	client->prove = reason ? PODCRED_PROOF_NONE : PODCRED_PROOF_AWAITED;
	watch_close(ctx);
	if (reason && !conclude(cfg, &decision, reason))
		sever(ctx, client);
}

static __always_inline void client_connects(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
					    struct podcred_client *client)
{
	if (client->pass == PODCRED_PASS_WANTED)
		client_passes(ctx, client);
	else if (client->announce)
		client_announces(ctx, sk, client);
}

/*
 * Whether the answer to the SYN is the agent's. The flow is there until the client's ACK, which is yet to
 * come, lets the agent's side claim it. With Fast Open the SYN alone may have done that: the claim took
 * the same key.
 */
static __always_inline int has_arrived(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
				       const struct podcred_client *client)
{
	const struct podcred_flow *flow;
	struct tcp_sock *tp;

	if (!client->has_flow)
		return 0;
	flow = bpf_map_lookup_elem(&podcred_flows_v2, &client->flow);
	if (flow)
		return flow->answer == (PODCRED_FLOW_ANSWERED | (ctx->rcv_nxt - 1));
	tp = bpf_skc_to_tcp_sock(sk);
	return tp && BPF_CORE_READ_BITFIELD_PROBED(tp, syn_fastopen);
}

/* answered: by a SYN with an ACK. A bare SYN (two that cross) is never the agent's, which only listens;
 * its connection must end before the segment that completes it, as that may carry data. */
static __always_inline void client_proves(struct bpf_sock_ops *ctx, struct bpf_sock *sk,
					  struct podcred_client *client, int answered)
{
	const struct podcred_config *cfg = config_get();
	struct decision decision;

	if (client->prove != PODCRED_PROOF_AWAITED)
		return;
	decision = decision_of(&client->flow, &client->stamp, PODCRED_HOOK_announce);
	if ((answered && has_arrived(ctx, sk, client)) || conclude_diverted(cfg, &decision)) {
		client->prove = PODCRED_PROOF_NONE;
		return;
	}
	/* Now, and not when it closes: its FIN cannot leave, so that takes a while. */
	client->has_flow = 0;
	flow_withdraw(&client->flow, bpf_get_socket_cookie(ctx));
	sever(ctx, client);
}

static __always_inline void client_closes(struct bpf_sock_ops *ctx, struct podcred_client *client)
{
	__u64 owner = bpf_get_socket_cookie(ctx);

	if (client->prove == PODCRED_PROOF_AWAITED) /* nobody answered; it may listen next */
		client->prove = PODCRED_PROOF_NONE;
	if (client->has_flow) {
		client->has_flow = 0;
		flow_withdraw(&client->flow, owner);
	}
	if (client->pass == PODCRED_PASS_NOTED) {
		struct podcred_peer_key key = {};

		client->pass = PODCRED_PASS_NONE;
		pass_key(&client->flow, &key);
		pass_end(&key, owner);
	}
}

SEC("sockops")
int podcred_sockops(struct bpf_sock_ops *ctx)
{
	struct podcred_client *client;
	struct bpf_sock *sk;
	__u32 op = ctx->op;

	if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
	    op != BPF_SOCK_OPS_STATE_CB)
		return 1;
	sk = ctx->sk;
	client = sk ? client_of(sk) : NULL;
	if (!client)
		return 1;
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		client_connects(ctx, sk, client);
	else if (op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || ctx->args[1] == BPF_TCP_SYN_RECV)
		client_proves(ctx, sk, client, op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB);
	else if (ctx->args[1] == BPF_TCP_CLOSE)
		client_closes(ctx, client);
	return 1;
}

static __always_inline void peer_key(struct bpf_sock_ops *ctx, __u32 family,
				     struct podcred_peer_key *key)
{
	remote_addr(ctx, family, &key->client);
	local_addr(ctx, family, &key->agent);
	key->client_port = remote_port(ctx);
	key->agent_port = local_port(ctx);
}

static __always_inline void flow_key(const struct podcred_peer_key *peer, __u32 isn,
				     struct podcred_flow_key *flow)
{
	flow->client = peer->client;
	flow->agent = peer->agent;
	flow->client_port = peer->client_port;
	flow->agent_port = peer->agent_port;
	flow->isn = isn;
}

/*
 * A SYN has come, and the kernel has chosen the number that it answers with. It says so twice, by
 * RWND_INIT and by HDR_OPT_LEN_CB: the first not under SYN cookies, the second only for listeners that
 * have the flag, which those that are older than the program have not. The family is the packet's; a
 * listener of both has the other one.
 */
static __always_inline void agent_hears(struct bpf_sock_ops *ctx)
{
	struct podcred_flow_key flow = {};
	struct podcred_peer_key peer = {};
	struct tcp_request_sock *req;

	if (ctx->is_fullsock || ctx->state != BPF_TCP_NEW_SYN_RECV)
		return;
	req = request_of(ctx);
	peer_key(ctx, (__u32)BPF_CORE_READ(req, req.req.rsk_ops, family), &peer);
	flow_key(&peer, BPF_CORE_READ(req, rcv_isn), &flow);
	flow_answer(&flow, BPF_CORE_READ(req, snt_isn));
}

static __always_inline void agent_accepts(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct podcred_flow_key flow = {};
	struct podcred_peer_key peer = {};
	struct podcred_seal seal = {};
	__u32 reason = PODCRED_REASON_claimed;
	struct decision decision;

	flags_change(ctx, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG, 0); /* inherited of the listener */
	peer_key(ctx, CTX(family), &peer);
	flow_key(&peer, ctx->rcv_nxt - 1, &flow);
	if (!flow_claim(&flow, &seal) &&
	    (!have_flows_v1 || !flow_claim_from(&podcred_flows, &flow, &seal, 0))) {
		/* A process of the node, perhaps a health check: getsockopt counts those that want more. */
		if (podcred_addr_is_same(&peer.client, &peer.agent))
			return;
		reason = PODCRED_REASON_unstamped;
	} else if (!bpf_sk_storage_get(&podcred_sealed_v2, sk, &seal,
				       BPF_SK_STORAGE_GET_F_CREATE)) {
		reason = PODCRED_REASON_seal_failed;
	}
	decision = decision_of(&flow, &seal.stamp, PODCRED_HOOK_accept);
	conclude(NULL, &decision, reason);
	if (reason != PODCRED_REASON_claimed)
		return;
	if (bpf_map_update_elem(&podcred_peers_v2, &peer, &seal, BPF_ANY))
		count(PODCRED_REASON_peers_map_full);
	watch_close(ctx);
}

static __always_inline void agent_closes(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct podcred_peer_key peer = {};
	struct podcred_seal *seal;

	seal = bpf_sk_storage_get(&podcred_sealed_v2, sk, NULL, 0);
	if (!seal)
		return;
	peer_key(ctx, CTX(family), &peer);
	if (seal->way.ifindex)
		bpf_map_update_elem(&podcred_tails, &peer, &seal->way, BPF_ANY);
	bpf_map_delete_elem(&podcred_peers_v2, &peer);
}

SEC("sockops")
int podcred_claim(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk;
	__u32 op = ctx->op;

	if (op == BPF_SOCK_OPS_RWND_INIT || op == BPF_SOCK_OPS_HDR_OPT_LEN_CB)
		agent_hears(ctx);
	else if (op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		flags_change(ctx, 0, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
	if (op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && op != BPF_SOCK_OPS_STATE_CB)
		return 1;
	sk = ctx->sk;
	if (!sk)
		return 1;
	if (op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		agent_accepts(ctx, sk);
	else if (ctx->args[1] == BPF_TCP_CLOSE)
		agent_closes(ctx, sk);
	return 1;
}
