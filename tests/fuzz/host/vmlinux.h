/* SPDX-License-Identifier: Apache-2.0 */
/* In place of the kernel's types: what the packet programs name, so that they compile for the host. */
#pragma once

#include <linux/bpf.h>
#include <netinet/in.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u64 u64;

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[8];
};

struct net;

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	possible_net_t skc_net;
};

struct net_device {
	unsigned short type, hard_header_len;
	const void *header_ops;
	possible_net_t nd_net;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	__u16 transport_header, network_header;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	void *sk_bpf_storage;
};

struct tcp_sock {
	struct {
		struct {
			struct sock sk;
		} icsk_inet;
	} inet_conn;
};

struct task_struct {
	int tgid;
	char comm[16];
};
