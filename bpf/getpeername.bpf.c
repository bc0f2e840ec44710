// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup/getpeername4 and getpeername6, on the guarded cgroup: the client of a redirected
 * connection sees the address that it dialled. Some SDKs check it.
 */
#include "addr.bpf.h"
#include "maps.bpf.h"
#include "verdict.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline const struct podcred_stamp *dialled(struct bpf_sock_addr *ctx)
{
	const struct podcred_client *client;

	client = bpf_sk_storage_get(&podcred_client, ctx->sk, NULL, 0);
	return client && client->redirected ? &client->stamp : NULL;
}

SEC("cgroup/getpeername4")
int podcred_peern4(struct bpf_sock_addr *ctx)
{
	const struct podcred_stamp *stamp = dialled(ctx);

	if (stamp) {
		ctx->user_ip4 = *(const podcred_word *)&stamp->addr.ip[12];
		ctx->user_port = bpf_htons(stamp->port);
	}
	return VERDICT_ALLOW;
}

SEC("cgroup/getpeername6")
int podcred_peern6(struct bpf_sock_addr *ctx)
{
	const struct podcred_stamp *stamp = dialled(ctx);

	if (stamp) {
		const podcred_word *word = (const podcred_word *)stamp->addr.ip;

		ctx->user_ip6[0] = word[0];
		ctx->user_ip6[1] = word[1];
		ctx->user_ip6[2] = word[2];
		ctx->user_ip6[3] = word[3];
		ctx->user_port = bpf_htons(stamp->port);
	}
	return VERDICT_ALLOW;
}
