/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What happens to a connect(2) or sendmsg(2) whose destination is guarded. */
#pragma once

#include "addr.bpf.h"
#include "dest.bpf.h"
#include "flow.bpf.h"
#include "ident.bpf.h"
#include "verdict.bpf.h"

enum caller {
	CALLER_POD,
	CALLER_PASS, /* not ours to guard: a host process, or the agent itself */
	CALLER_REFUSE, /* counted, errno set */
};

/*
 * Who calls? Fills *pod only for CALLER_POD. Any doubt is a refusal: what is stamped here becomes
 * somebody's credentials. sk is NULL where only the task can be asked (datagrams: those are never
 * stamped, only refused or not).
 */
static __always_inline enum caller caller_of(const struct podcred_config *cfg, struct bpf_sock *sk,
					     __u64 *pod)
{
	__u64 task = pod_of_task(cfg);

	if (sk) {
		struct cgroup *cgrp = cgroup_of_sock(sk);

		if (!cgrp) {
			refuse(PODCRED_REASON_unknown_socket, EACCES);
			return CALLER_REFUSE;
		}
		/* Same leaf, same pod: the common case skips the walk. */
		if (BPF_CORE_READ(cgrp, kn, id) != bpf_get_current_cgroup_id() &&
		    pod_of_cgroup(cfg, cgrp) != task) {
			refuse(PODCRED_REASON_cross_pod_socket, EACCES);
			return CALLER_REFUSE;
		}
	}
	if (task == POD_UNKNOWN) {
		refuse(PODCRED_REASON_no_pod, EACCES);
		return CALLER_REFUSE;
	}
	if (task == POD_NONE || task == cfg->agent_pod_id) {
		count(task == POD_NONE ? PODCRED_REASON_passed_host : PODCRED_REASON_passed_agent);
		return CALLER_PASS;
	}
	*pod = task;
	return CALLER_POD;
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
	stamp->family = addr_is_v4(&dest->addr) ? PODCRED_AF_INET : PODCRED_AF_INET6;
}

/* Remember the stamp on the socket, for sockops to announce once the source port is known.
 * flags: PODCRED_PEER_DIRECT, or 0 for a connection that the hook must redirect. */
static __always_inline int stamp_socket(struct bpf_sock_addr *ctx, const struct podcred_config *cfg,
					const struct podcred_target_key *dest, __u64 pod,
					__u32 flags)
{
	struct podcred_client *client;
	__u32 reason;

	reason = quota_check(cfg, pod);
	if (reason)
		return refuse(reason, EAGAIN);
	client = bpf_sk_storage_get(&podcred_client, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!client) /* the client used up its own option memory */
		return refuse(PODCRED_REASON_no_storage, ENOBUFS);
	stamp_fill(ctx, &client->stamp, dest, pod);
	client->stamp.flags = flags;
	client->redirected = !flags;
	client->announce = 1;
	count(flags ? PODCRED_REASON_direct : PODCRED_REASON_redirected);
	return flags ? VERDICT_ALLOW : VERDICT_REDIRECT;
}

/* A socket that was stamped once and now goes elsewhere must not carry the stamp there. */
static __always_inline void forget_stamp(struct bpf_sock_addr *ctx)
{
	struct podcred_client *client;

	client = bpf_sk_storage_get(&podcred_client, ctx->sk, NULL, 0);
	if (client) {
		client->announce = 0;
		client->redirected = 0;
	}
}

/* Where a client of this destination is sent: an agent of its own family, or for native IPv6
 * the IPv4 agent as a mapped address. NULL: none is configured. */
static __always_inline const struct podcred_endpoint *agent_for(
	const struct podcred_config *cfg, const struct podcred_target_key *dest)
{
	if (!addr_is_v4(&dest->addr) && cfg->agent[1].port)
		return &cfg->agent[1];
	return cfg->agent[0].port ? &cfg->agent[0] : NULL;
}

/* Returns VERDICT_*; *agent is where VERDICT_REDIRECT leads. */
static __always_inline int guard_connect(struct bpf_sock_addr *ctx,
					 const struct podcred_target_key *dest,
					 const struct podcred_endpoint **agent)
{
	const struct podcred_config *cfg;
	enum caller caller;
	int action;
	__u64 pod = 0;

	forget_stamp(ctx);
	cfg = config_get();
	if (!cfg)
		return refuse(PODCRED_REASON_no_config, EACCES);
	if (dest_is_foreign(cfg, dest))
		return VERDICT_ALLOW;
	action = dest_action(dest);
	if (action == DEST_NOT_GUARDED || action == PODCRED_ACTION_ALLOW)
		return VERDICT_ALLOW;
	caller = caller_of(cfg, dest->protocol == IPPROTO_TCP ? ctx->sk : NULL, &pod);
	if (caller != CALLER_POD)
		return caller == CALLER_PASS ? VERDICT_ALLOW : VERDICT_REFUSE;
	if (action == PODCRED_ACTION_DENY || dest->protocol != IPPROTO_TCP)
		return refuse(PODCRED_REASON_denied_destination, EACCES);
	if (action == PODCRED_ACTION_STAMP)
		return stamp_socket(ctx, cfg, dest, pod, PODCRED_PEER_DIRECT);
	*agent = agent_for(cfg, dest);
	if (!*agent)
		return refuse(PODCRED_REASON_no_agent, EACCES);
	return stamp_socket(ctx, cfg, dest, pod, 0);
}

/* Datagrams are never redirected, only refused or not. */
static __always_inline int guard_sendmsg(const struct podcred_target_key *dest)
{
	const struct podcred_config *cfg = config_get();
	enum caller caller;
	int action;
	__u64 pod;

	if (!cfg)
		return refuse(PODCRED_REASON_no_config, EACCES);
	if (dest_is_foreign(cfg, dest))
		return VERDICT_ALLOW;
	action = dest_action(dest);
	if (action == DEST_NOT_GUARDED || action == PODCRED_ACTION_ALLOW)
		return VERDICT_ALLOW;
	caller = caller_of(cfg, NULL, &pod);
	if (caller != CALLER_POD)
		return caller == CALLER_PASS ? VERDICT_ALLOW : VERDICT_REFUSE;
	return refuse(PODCRED_REASON_denied_destination, EACCES);
}
