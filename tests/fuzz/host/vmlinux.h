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

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_cgroup_data sk_cgrp_data;
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
