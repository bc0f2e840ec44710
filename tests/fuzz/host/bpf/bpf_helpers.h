/* SPDX-License-Identifier: Apache-2.0 */
/* In place of libbpf's header: helpers are functions, which a fuzz target defines as it likes. */
#pragma once

#include "vmlinux.h"

#define SEC(name) __attribute__((used))
#define __weak	  __attribute__((weak))
#undef __always_inline /* of <linux/stddef.h> */
#define __always_inline	     inline __attribute__((always_inline, unused))
#define __noinline	     __attribute__((noinline, unused))
#define __uint(name, value)  int(*name)[value]
#define __type(name, value)  value *name
#define __array(name, value) value *name[]

void *bpf_map_lookup_elem(const void *map, const void *key);
long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags);
long bpf_map_delete_elem(const void *map, const void *key);
long bpf_skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 len);
long bpf_skb_load_bytes_relative(const void *skb, __u32 offset, void *to, __u32 len, __u32 start);
long bpf_skb_store_bytes(const void *skb, __u32 offset, const void *from, __u32 len, __u64 flags);
long bpf_redirect(__u32 ifindex, __u64 flags);
__u64 bpf_get_socket_cookie(const void *ctx);
__u64 bpf_skb_cgroup_id(const void *skb);
__u64 bpf_skb_ancestor_cgroup_id(const void *skb, int level);
__u64 bpf_get_current_ancestor_cgroup_id(int level);
__u64 bpf_get_current_uid_gid(void);
__u64 bpf_get_current_task(void);
__u64 bpf_ktime_get_boot_ns(void);
long bpf_probe_read_kernel(void *to, __u32 size, const void *from);
void *bpf_ringbuf_reserve(const void *map, __u64 size, __u64 flags);
void bpf_ringbuf_submit(void *data, __u64 flags);
struct bpf_sock *bpf_sk_fullsock(struct bpf_sock *sk);
void *bpf_sk_storage_get(const void *map, const void *sk, const void *value, __u64 flags);
struct bpf_sock *bpf_sk_lookup_tcp(void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
				   __u64 flags);
long bpf_sk_release(void *sk);
struct tcp_sock *bpf_skc_to_tcp_sock(const void *sk);
