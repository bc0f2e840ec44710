/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What podcred keeps on a client's socket, and which data that lets pass. */
#pragma once

#include "maps.bpf.h"
#include <bpf/bpf_core_read.h>

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

/* ---- data of a connection that has not yet proved that it reaches the agent (arrival.bpf.h) ---- */

#define TCP_DATA_OFFSET 12 /* where the header says how long it is; its flags are next */
#define TCP_FLAG_SYN	0x02

enum syn { SYN_COUNTS, SYN_PASSES };

/* Behind options and extension headers the kernel knows where the TCP header is. What cannot be read
 * counts as data. */
static __noinline int has_payload(struct __sk_buff *skb, enum syn syn)
{
	struct sk_buff *kernel_skb = (void *)skb;
	__u32 at;
	__u8 word[2];

	at = (__u16)(BPF_CORE_READ(kernel_skb, transport_header) -
		     BPF_CORE_READ(kernel_skb, network_header));
	if (bpf_skb_load_bytes(skb, at + TCP_DATA_OFFSET, word, sizeof(word)))
		return 1;
	if (syn == SYN_PASSES && word[1] & TCP_FLAG_SYN)
		return 0;
	return skb->len > at + (word[0] >> 4) * 4;
}

/* By the socket, not by the addresses, which may be translated: in the pod's own network, too. */
static __always_inline int is_unproved_data(struct __sk_buff *skb, struct bpf_sock *sk,
					    enum syn syn)
{
	struct podcred_client *client;

	sk = bpf_sk_fullsock(sk);
	client = sk ? client_of(sk) : NULL;
	return client && client->prove != PODCRED_PROOF_NONE && has_payload(skb, syn);
}
