/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A redirected connection ends at the agent or nowhere. Anything that changes its destination after
 * connect(2) (address translation on the node, a CNI's programs, a sidecar, a connect hook that
 * runs after ours) would give the pod's token to somebody else, and somebody else's credentials to
 * the pod.
 *
 * So the agent's side records in the flow the sequence number that it answers the SYN with, before
 * the answer is sent. The client's side compares it with the answer that its socket received,
 * before the socket sends or accepts a byte. The number is needed, and a flag would not do: whoever
 * answers in the agent's place may also send the agent a copy of the SYN.
 */
#pragma once

#include "client.bpf.h"
#include "flow.bpf.h"
#include "verdict.bpf.h"

#define SOL_SOCKET	 1
#define SO_KEEPALIVE	 9
#define SO_BINDTODEVICE	 25
#define SO_MARK		 36
#define SO_BINDTOIFINDEX 62
#define TCP_KEEPIDLE	 4
#define TCP_KEEPINTVL	 5
#define TCP_KEEPCNT	 6
#define TCP_USER_TIMEOUT 18

#define NO_INTERFACE	0x7fffffff
#define REPORT_EVERY_NS 1000000000ULL

/* In the kernel's own structures, whose fields every supported kernel has; the context has a typed
 * pointer to full sockets only. */
static __always_inline struct tcp_request_sock *request_of(struct bpf_sock_ops *ctx)
{
	struct tcp_request_sock *req = NULL;

	bpf_probe_read_kernel(&req, sizeof(req),
			      (void *)ctx + bpf_core_field_offset(struct bpf_sock_ops_kern, sk));
	return req;
}

static __always_inline int set_option(struct bpf_sock_ops *ctx, int level, int name, int value)
{
	return (int)bpf_setsockopt(ctx, level, name, &value, sizeof(value));
}

/* Nothing that is sent from an interface which does not exist goes out, and nothing that comes in finds
 * the socket. Before Linux 6.1 the loopback does nearly the same: nothing comes in there for an address
 * outside. A socket that is bound already would take CAP_NET_RAW of whoever runs at the moment; connect
 * refuses those, but it may be bound after that. */
static __always_inline int bind_to_nothing(struct bpf_sock_ops *ctx)
{
	char loopback[] = "lo";

	if (!set_option(ctx, SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE))
		return 1;
	return !bpf_setsockopt(ctx, SOL_SOCKET, SO_BINDTODEVICE, loopback, sizeof(loopback));
}

/*
 * Cut a client's socket off, from here on and for good. In connect(2) that ends the call with
 * EHOSTUNREACH before a SYN leaves, as the kernel looks for a route after this. Later the timers tell
 * the application: some 200 ms after it has written, some 2 s if it only reads. What is in the socket's
 * backlog by then has found the socket already: podcred_ingress has kept data out of there.
 */
static __noinline void sever(struct bpf_sock_ops *ctx, struct podcred_client *client)
{
	client->prove = PODCRED_PROOF_FAILED;
	if (!bind_to_nothing(ctx))
		count(PODCRED_REASON_not_severed);
	set_option(ctx, SOL_SOCKET, SO_MARK, SEVERED_MARK);
	set_option(ctx, IPPROTO_TCP, TCP_USER_TIMEOUT, 1);
	set_option(ctx, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(ctx, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set_option(ctx, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set_option(ctx, IPPROTO_TCP, TCP_KEEPCNT, 1);
}

/* Once in a while for each pod: with such a rule on the node every connection of every pod ends so, and
 * would leave no room for other events. All are counted. */
static __noinline void report_seldom(const struct decision *d, __u32 reason, __u32 verdict)
{
	__u64 now = bpf_ktime_get_boot_ns(), pod = d->pod;
	__u64 *last = bpf_map_lookup_elem(&podcred_told, &pod);

	if (last && now - *last < REPORT_EVERY_NS)
		return;
	bpf_map_update_elem(&podcred_told, &pod, &now, BPF_ANY);
	report(d, reason, verdict);
}

/* 1: go on, as conclude. Whoever it has come to instead, it is the pod's own token that is at stake. */
static __always_inline int conclude_diverted(const struct podcred_config *cfg, struct decision *d)
{
	d->own = 1;
	return conclude_with(report_seldom, cfg, d, PODCRED_REASON_diverted);
}
