// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup/sendmsg4 and sendmsg6, on the guarded cgroup: an unconnected datagram to a guarded
 * address fails at once with an errno, where a packet filter could only drop it.
 */
#include "connect.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("cgroup/sendmsg4")
int podcred_smsg4(struct bpf_sock_addr *ctx)
{
	struct podcred_target_key dest = {.port = ctx->user_port, .protocol = ctx->protocol};

	addr_set_v4(&dest.addr, ctx->user_ip4);
	return guard_sendmsg(&dest);
}

SEC("cgroup/sendmsg6")
int podcred_smsg6(struct bpf_sock_addr *ctx)
{
	struct podcred_target_key dest = {.port = ctx->user_port, .protocol = ctx->protocol};

	addr_set_words(&dest.addr, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
		       ctx->user_ip6[3]);
	return guard_sendmsg(&dest);
}
