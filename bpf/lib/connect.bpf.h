/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What happens to a connect(2) or sendmsg(2) whose destination is guarded. */
#pragma once

#include "addr.bpf.h"
#include "client.bpf.h"
#include "dest.bpf.h"
#include "flow.bpf.h"
#include "ident.bpf.h"
#include "pass.bpf.h"
#include "verdict.bpf.h"

/*
 * Who calls? Fills *pod. PODCRED_UNDECIDED for a pod, else the reason that ends the matter. Any doubt is a
 * refusal: what is stamped here becomes somebody's credentials. sk is NULL where only the task can
 * be asked (datagrams: those are never stamped, only refused or not).
 */
static __always_inline __u32 caller_of(const struct podcred_config *cfg, struct bpf_sock *sk,
				       __u64 *pod)
{
	struct pod_tree tree = pod_tree_get(cfg);
	__u64 task = pod_of_task(&tree), socket = task;

	*pod = task == POD_UNKNOWN ? POD_NONE : task;
	if (sk) {
		struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
		__u64 id = tp ? cgroup_id_of_sock(tp) : 0;

		if (!id)
			return PODCRED_REASON_unknown_socket;
		/* Same leaf, same pod: the common case skips the walk. */
		if (id != bpf_get_current_cgroup_id())
			socket = pod_of_cgroup(&tree, sock_cgroup((struct sock *)tp));
	}
	return podcred_decide_caller(cfg, task, socket);
}

static __always_inline void stamp_fill(struct bpf_sock_addr *ctx, struct podcred_stamp *stamp,
				       const struct podcred_target_key *dest, __u64 pod)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	stamp->cgroup_id = bpf_get_current_cgroup_id();
	stamp->pod_cgroup_id = pod;
	stamp->netns_cookie = bpf_get_netns_cookie(ctx);
	stamp->time_ns = bpf_ktime_get_boot_ns();
	stamp->addr = dest->addr;
	stamp->tgid = BPF_CORE_READ(task, tgid);
	stamp->uid = (__u32)bpf_get_current_uid_gid();
	stamp->port = bpf_ntohs(dest->port);
	stamp->family = podcred_addr_is_v4(&dest->addr) ? PODCRED_AF_INET : PODCRED_AF_INET6;
}

/* By arrival.bpf.h, which leaves the socket bound to nothing: no connection of it comes anywhere. */
static __always_inline int is_severed(const struct bpf_sock *sk)
{
	return sk->mark == SEVERED_MARK;
}

/* Remember the stamp on the socket, for sockops to announce once the source port is known.
 * flags: PODCRED_PEER_DIRECT, or 0 for a connection that the hook must redirect. */
static __always_inline __u32 stamp_socket(struct bpf_sock_addr *ctx,
					  const struct podcred_config *cfg,
					  const struct podcred_target_key *dest, __u64 pod,
					  __u32 flags)
{
	struct podcred_client *client;
	__u32 reason;

	if (is_severed(ctx->sk))
		return PODCRED_REASON_severed;
	/* Should it not arrive at the agent, it could not be severed (arrival.bpf.h). */
	if (ctx->sk->bound_dev_if)
		return PODCRED_REASON_bound_to_device;
	reason = quota_check(cfg, pod);
	if (reason)
		return reason;
	client = bpf_sk_storage_get(&podcred_client, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!client) /* the client used up its own option memory */
		return PODCRED_REASON_no_storage;
	stamp_fill(ctx, &client->stamp, dest, pod);
	client->stamp.flags = flags;
	client->redirected = !flags;
	client->announce = 1;
	return flags ? PODCRED_REASON_direct : PODCRED_REASON_redirected;
}

/* Let it through to the real address, and have sockops note the connection: the packet filter
 * drops what nobody noted. 0, or the reason why it cannot be. */
static __always_inline __u32 pass_socket(struct bpf_sock_addr *ctx, __u64 pod)
{
	struct podcred_client *client;
	__u32 trouble;

	if (is_severed(ctx->sk))
		return PODCRED_REASON_severed;
	trouble = pass_quota_check(pod);
	if (trouble)
		return trouble;
	client = bpf_sk_storage_get(&podcred_client, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!client)
		return PODCRED_REASON_no_storage;
	client->stamp.pod_cgroup_id = pod;
	client->pass = PODCRED_PASS_WANTED;
	return 0;
}

/* A socket that was stamped once and now goes elsewhere must not carry the stamp there. */
static __always_inline void forget_stamp(struct bpf_sock_addr *ctx)
{
	struct podcred_client *client = client_of(ctx->sk);

	if (client) {
		client->announce = 0;
		client->redirected = 0;
		client->prove = PODCRED_PROOF_NONE;
		if (client->pass == PODCRED_PASS_WANTED)
			client->pass = PODCRED_PASS_NONE;
	}
}

/* A pod's TCP connect(2): what was decided is done. What is let through, by way of exception or of audit, is noted:
 * the latter as far as there is room. */
static __always_inline __u32 judge_stream(struct bpf_sock_addr *ctx,
					  const struct podcred_config *cfg,
					  const struct podcred_target_key *dest, int action,
					  __u64 pod)
{
	__u32 flags = pod_flags(pod), trouble;
	__u32 reason = podcred_decide_stream(flags, action, agent_is_given_up(cfg),
					     podcred_agent_for(cfg, &dest->addr) != NULL);
	int is_note;

	if (reason == PODCRED_REASON_direct)
		return stamp_socket(ctx, cfg, dest, pod, PODCRED_PEER_DIRECT);
	if (reason == PODCRED_REASON_redirected)
		reason = stamp_socket(ctx, cfg, dest, pod, 0);
	if (reason == PODCRED_REASON_redirected)
		return reason;
	is_note = podcred_reason_is(reason, PODCRED_CLASS_note);
	if (!is_note && !podcred_is_audited(cfg, flags, reason))
		return reason;
	trouble = pass_socket(ctx, pod);
	return is_note && trouble ? trouble : reason;
}

/* As report, where the current task is the one that asks. Other hooks may not ask who that is. */
static __noinline void report_call(const struct decision *d, __u32 reason, __u32 verdict)
{
	struct podcred_event *event = report_begin(d, reason, verdict);
	struct task_struct *task = (void *)bpf_get_current_task();

	if (!event)
		return;
	event->tgid = BPF_CORE_READ(task, tgid); /* read, as the helper came later */
	event->uid = (__u32)bpf_get_current_uid_gid();
	BPF_CORE_READ_INTO(&event->comm, task, comm);
	bpf_ringbuf_submit(event, 0);
}

static __always_inline int conclude_call(const struct podcred_config *cfg,
					 const struct podcred_target_key *dest, __u8 hook,
					 __u64 pod, __u32 reason)
{
	struct decision decision = {
		.addr = &dest->addr,
		.port = bpf_ntohs(dest->port),
		.protocol = dest->protocol,
		.cgroup_id = bpf_get_current_cgroup_id(),
		.pod = pod,
		.hook = hook,
		.own = 1,
	};

	if (conclude_with(report_call, cfg, &decision, reason))
		return reason == PODCRED_REASON_redirected ? VERDICT_REDIRECT : VERDICT_ALLOW;
	if (have_set_retval)
		bpf_set_retval(-podcred_reason_errno(reason));
	return VERDICT_REFUSE;
}

/* ctx: of a TCP connect(2), whose socket is a witness and may be stamped; NULL: a datagram's. */
static __always_inline int guard(struct bpf_sock_addr *ctx, const struct podcred_target_key *dest,
				 __u8 hook)
{
	const struct podcred_config *cfg = config_get();
	__u32 reason;
	__u64 pod = 0;
	int action;

	if (!cfg)
		return conclude_call(cfg, dest, hook, pod, PODCRED_REASON_no_config);
	action = dest_action(cfg, dest);
	if (action == PODCRED_NOT_GUARDED || action == PODCRED_ACTION_ALLOW)
		return VERDICT_ALLOW;
	reason = podcred_decide_agent_pod(caller_of(cfg, ctx ? ctx->sk : NULL, &pod), action);
	if (ctx && reason == PODCRED_REASON_direct)
		reason = stamp_socket(ctx, cfg, dest, pod, PODCRED_PEER_DIRECT);
	else if (reason == PODCRED_UNDECIDED && action == PODCRED_ACTION_AUDIT)
		reason = PODCRED_REASON_passed_audit;
	else if (reason == PODCRED_UNDECIDED)
		reason = ctx ? judge_stream(ctx, cfg, dest, action, pod)
			     : podcred_decide_datagram(pod_flags(pod));
	return conclude_call(cfg, dest, hook, pod, reason);
}

/* Functions of their own: what most calls have nothing to do with stays out of their way, and out of
 * the instruction cache. */
static __noinline int guard_stream(struct bpf_sock_addr *ctx, const struct podcred_target_key *dest)
{
	return guard(ctx, dest, PODCRED_HOOK_connect);
}

static __noinline int guard_datagram(const struct podcred_target_key *dest, __u32 hook)
{
	return guard(NULL, dest, (__u8)hook);
}

static __always_inline int is_none_of_ours(const struct podcred_target_key *dest)
{
	const struct podcred_config *cfg = config_get();

	return cfg && dest_is_foreign(cfg, &dest->addr);
}

/* VERDICT_REFUSE or VERDICT_ALLOW; with *agent set, the hook rewrites the address to that first. */
static __always_inline int guard_connect(struct bpf_sock_addr *ctx,
					 const struct podcred_target_key *dest,
					 const struct podcred_endpoint **agent)
{
	const struct podcred_config *cfg;
	int verdict;

	if (dest->protocol == IPPROTO_TCP)
		forget_stamp(ctx);
	if (is_none_of_ours(dest))
		return VERDICT_ALLOW;
	if (dest->protocol != IPPROTO_TCP)
		return guard_datagram(dest, PODCRED_HOOK_connect);
	verdict = guard_stream(ctx, dest);
	if (verdict != VERDICT_REDIRECT)
		return verdict;
	cfg = config_get();
	*agent = cfg ? podcred_agent_for(cfg, &dest->addr) : NULL;
	return *agent ? VERDICT_ALLOW : VERDICT_REFUSE;
}

static __always_inline int guard_sendmsg(const struct podcred_target_key *dest)
{
	if (is_none_of_ours(dest))
		return VERDICT_ALLOW;
	return guard_datagram(dest, PODCRED_HOOK_sendmsg);
}
