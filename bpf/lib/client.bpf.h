/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What podcred keeps on a client's socket. */
#pragma once

#include "maps.bpf.h"

#define SEVERED_MARK 0x70637376 /* of a socket that is cut off: podcred_egress drops what has it */

/* Nearly no socket has any, and to look costs less than to ask the helper. */
static __always_inline int may_have_storage(struct bpf_sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	return !tp || ((struct sock *)tp)->sk_bpf_storage;
}

/* NULL: none of ours. */
static __always_inline struct podcred_client *client_of(struct bpf_sock *sk)
{
	return may_have_storage(sk) ? bpf_sk_storage_get(&podcred_client, sk, NULL, 0) : NULL;
}
