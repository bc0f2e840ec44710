// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup/connect4 and connect6, on the guarded cgroup: a pod that connects to a guarded address
 * is identified, its socket stamped and sent to the agent; or it is refused.
 *
 * A v4-mapped destination on an AF_INET6 socket (every JVM) comes through connect6 only.
 */
#include "connect.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("cgroup/connect4")
int podcred_conn4(struct bpf_sock_addr *ctx)
{
	struct podcred_target_key dest = {.port = ctx->user_port, .protocol = ctx->protocol};
	const struct podcred_endpoint *agent = NULL;
	int verdict;

	addr_set_v4(&dest.addr, ctx->user_ip4);
	verdict = guard_connect(ctx, &dest, &agent);
	if (!agent)
		return verdict;
	ctx->user_ip4 = *(const podcred_word *)&agent->addr.ip[12];
	ctx->user_port = agent->port;
	return verdict;
}

SEC("cgroup/connect6")
int podcred_conn6(struct bpf_sock_addr *ctx)
{
	struct podcred_target_key dest = {.port = ctx->user_port, .protocol = ctx->protocol};
	const struct podcred_endpoint *agent = NULL;
	const podcred_word *word;
	int verdict;

	addr_set_words(&dest.addr, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
		       ctx->user_ip6[3]);
	verdict = guard_connect(ctx, &dest, &agent);
	if (!agent)
		return verdict;
	word = (const podcred_word *)agent->addr.ip;
	ctx->user_ip6[0] = word[0];
	ctx->user_ip6[1] = word[1];
	ctx->user_ip6[2] = word[2];
	ctx->user_ip6[3] = word[3];
	ctx->user_port = agent->port;
	return verdict;
}
