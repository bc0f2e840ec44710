// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tc ingress of a pod: answers a SYN to its port with a SYN-ACK and data right behind. On one machine that
 * is in the very softirq that the SYN is sent in, so both are back while connect(2) holds the socket. IPv4,
 * without options of IP.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PORT	     8084
#define ANSWER	     "HIJACK\n"
#define ANSWER_LEN   (sizeof(ANSWER) - 1)
#define ETH_P_IP     0x0800
#define TC_ACT_OK    0
#define TC_ACT_SHOT  2
#define FIRST_NUMBER 1000

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct pseudo {
	__be32 from, to;
	__u8 zero, protocol;
	__be16 len;
};

static __always_inline __u16 folded(__s64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* What is sent next, to whoever sent this. */
static __always_inline int put(struct __sk_buff *skb, struct headers *h, __u32 payload)
{
	__u8 data[8] = ANSWER; /* ends in a zero, as a checksum has it */
	struct pseudo pseudo = {.from = h->ip.saddr, .to = h->ip.daddr};
	__s64 sum;

	h->ip.tot_len = bpf_htons(sizeof(h->ip) + sizeof(h->tcp) + payload);
	h->ip.check = 0;
	h->ip.check = folded(bpf_csum_diff(NULL, 0, (void *)&h->ip, sizeof(h->ip), 0));
	pseudo.protocol = IPPROTO_TCP;
	pseudo.len = bpf_htons(sizeof(h->tcp) + payload);
	h->tcp.check = 0;
	sum = bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (void *)&h->tcp, sizeof(h->tcp), sum);
	if (payload)
		sum = bpf_csum_diff(NULL, 0, (void *)data, sizeof(data), sum);
	h->tcp.check = folded(sum);
	if (bpf_skb_change_tail(skb, sizeof(*h) + payload, 0) ||
	    bpf_skb_store_bytes(skb, 0, h, sizeof(*h), 0))
		return -1;
	return payload ? bpf_skb_store_bytes(skb, sizeof(*h), data, ANSWER_LEN, 0) : 0;
}

static __always_inline void turn_round(struct headers *h)
{
	struct headers old = *h;

	__builtin_memcpy(h->eth.h_dest, old.eth.h_source, sizeof(h->eth.h_dest));
	__builtin_memcpy(h->eth.h_source, old.eth.h_dest, sizeof(h->eth.h_source));
	h->ip.saddr = old.ip.daddr;
	h->ip.daddr = old.ip.saddr;
	h->tcp.source = old.tcp.dest;
	h->tcp.dest = old.tcp.source;
	h->tcp.ack_seq = bpf_htonl(bpf_ntohl(old.tcp.seq) + 1);
	h->tcp.ack = 1;
	h->tcp.doff = sizeof(h->tcp) / 4;
	h->tcp.window = bpf_htons(60000);
}

SEC("tc")
int answer(struct __sk_buff *skb)
{
	struct headers h;

	if (bpf_skb_load_bytes(skb, 0, &h, sizeof(h)) || h.eth.h_proto != bpf_htons(ETH_P_IP) ||
	    h.ip.protocol != IPPROTO_TCP || h.tcp.dest != bpf_htons(PORT))
		return TC_ACT_OK;
	if (!h.tcp.syn)
		return TC_ACT_SHOT; /* the kernel would answer with a reset */
	turn_round(&h);
	h.tcp.seq = bpf_htonl(FIRST_NUMBER);
	if (put(skb, &h, 0) || bpf_clone_redirect(skb, skb->ifindex, 0))
		return TC_ACT_SHOT;
	h.tcp.syn = 0;
	h.tcp.psh = 1;
	h.tcp.seq = bpf_htonl(FIRST_NUMBER + 1);
	return put(skb, &h, ANSWER_LEN) ? TC_ACT_SHOT : (int)bpf_redirect(skb->ifindex, 0);
}
