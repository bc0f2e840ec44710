// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * cgroup_skb/ingress, on the guarded cgroup: what arrives for pods' sockets. Whoever answers a SYN
 * in the agent's place may send data right behind. While connect(2) holds the socket, both wait in
 * its backlog, and the socket is cut off too late for those data. So they are kept out of the
 * backlog. The agent's data come later: it learns of the connection from an ACK that is sent after
 * the proof.
 */
#include "client.bpf.h"
#include "verdict.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* As the socket has it: address translation does not change that, and a connect hook that did was found
 * out before the SYN. To look for the storage of each socket would cost ten times as much, as that is far
 * from what the packet has touched. */
static __always_inline int may_be_redirected(const struct bpf_sock *sk)
{
	const struct podcred_config *cfg = config_get();
	__be16 port = sk->dst_port;

	return cfg && port && (port == cfg->agent[0].port || port == cfg->agent[1].port);
}

SEC("cgroup_skb/ingress")
int podcred_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	/* From a SYN the kernel takes no data, and a false one is to be found out. */
	if (sk && may_be_redirected(sk) && is_unproved_data(skb, sk, SYN_PASSES))
		return PACKET_DROP;
	return PACKET_PASS;
}
