/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map, declared once. __weak, because each .bpf.c that includes this file brings a copy and
 * the linker keeps one. The loader pins them under their own names, the two socket storages too,
 * so that sockets stamped before an upgrade keep their stamp.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "podcred_maps.h"
#include "podcred_decide.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct podcred_config);
} podcred_config_v2 SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PODCRED_RUNTIME_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} podcred_runtime SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct podcred_source);
} podcred_source SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, PODCRED_GUARD_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct podcred_guard_key);
	__type(value, struct podcred_action_value);
} podcred_guard SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PODCRED_TARGETS_MAX);
	__type(key, struct podcred_target_key);
	__type(value, struct podcred_action_value);
} podcred_targets SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PODCRED_PODS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct podcred_pod);
} podcred_pods SEC(".maps") __weak;

/* Plain hash, no LRU: with an LRU one pod could flush another's entries. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768); /* 256 pods at the default quota of 128 */
	__type(key, struct podcred_flow_key);
	__type(value, struct podcred_flow);
} podcred_flows_v2 SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct podcred_peer_key);
	__type(value, struct podcred_seal);
} podcred_peers_v2 SEC(".maps") __weak;

/* LRU: without its entry a segment goes by the bridge, and it has no payload. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct podcred_peer_key);
	__type(value, struct podcred_way);
} podcred_tails SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct podcred_path);
} podcred_paths SEC(".maps") __weak;

/* Plain hash, as podcred_flows_v2. Only exempt pods have any, and with failureMode open those whose
 * agent is away: most nodes need none of that memory. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PODCRED_PASSES_MAX); /* 128 pods at their quota */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct podcred_peer_key);
	__type(value, struct podcred_pass);
} podcred_passes_v3 SEC(".maps") __weak;

/* LRU, as entries are left to be overwritten: nobody need be there to sweep them. What a pod may add in
 * the time that they are good for is limited instead. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PODCRED_ENDED_MAX);
	__type(key, struct podcred_peer_key);
	__type(value, struct podcred_pass);
} podcred_ended SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct podcred_pass_quota);
} podcred_pass_quota SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct podcred_ticket_key);
	__type(value, __u64);
} podcred_tickets SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct podcred_quota);
} podcred_quota SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PODCRED_STATS_SIZE);
	__type(key, __u32);
	__type(value, __u64);
} podcred_stats SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} podcred_cgroups SEC(".maps") __weak;

/* Apart from podcred_cgroups: a ring buffer has one reader, and a flood of refusals must not push
 * out the event of a new pod. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} podcred_events SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} podcred_told SEC(".maps") __weak;

/* On the client's socket, from connect(2) to its end. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct podcred_client);
} podcred_client SEC(".maps") __weak;

/* On the agent's accepted socket, from the claim on: the truth that getsockopt answers from. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct podcred_seal);
} podcred_sealed_v2 SEC(".maps") __weak;

static __always_inline void count(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&podcred_stats, &reason);

	if (n)
		*n += 1;
}

static __always_inline const struct podcred_config *config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&podcred_config_v2, &zero);
}

static __always_inline __u64 runtime_get(__u32 slot)
{
	__u64 *value = bpf_map_lookup_elem(&podcred_runtime, &slot);

	return value ? *value : 0;
}

static __always_inline void runtime_set(__u32 slot, __u64 value)
{
	bpf_map_update_elem(&podcred_runtime, &slot, &value, BPF_ANY);
}

static __always_inline int agent_is_given_up(const struct podcred_config *cfg)
{
	/* the clock and the lease are not looked at for nothing */
	return cfg->fail_open && podcred_is_given_up(cfg, bpf_ktime_get_boot_ns(),
						     runtime_get(PODCRED_RUNTIME_LEASE));
}
