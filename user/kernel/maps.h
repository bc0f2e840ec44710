/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pinned maps of a running podcred, and cgroups by id. Nothing in this module prints; errors
 * come as -errno and one line in struct pc_err.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podcred_maps.h"

#include "base/err.h"

enum kern_map {
	KERN_MAP_CONFIG,
	KERN_MAP_GUARD,
	KERN_MAP_TARGETS,
	KERN_MAP_PODS,
	KERN_MAP_FLOWS,
	KERN_MAP_PEERS,
	KERN_MAP_QUOTA,
	KERN_MAP_STATS,
	KERN_MAP_CGROUPS,
	KERN_MAP_RUNTIME,
	KERN_MAP_EVENTS,
	KERN_MAP_PASSES,
	KERN_MAP_PASS_QUOTA,
	KERN_MAP_PATHS,
	KERN_MAP_SOURCE,
};

/* An fd of the pinned map, or -errno with a line that says what to do. */
int kern_map_open(const char *pin_dir, enum kern_map map, struct pc_err *err);

/* Calls fn for each entry until it returns non-zero, which is returned. The map may change
 * meanwhile: an entry may be missed or seen twice, never torn keys. */
int kern_map_each(int fd, size_t key_size, size_t value_size,
		  int (*fn)(void *arg, const void *key, const void *value), void *arg);

/* The value of one key; of podcred_guard, that of the longest prefix. -ENOENT: none. */
int kern_map_lookup(int fd, const void *key, void *ret_value);

int kern_config_read(int config_fd, struct podcred_config *ret);

/* One fact of podcred_runtime; each has one writer at a time. -errno. */
int kern_runtime_read(int runtime_fd, enum podcred_runtime slot, uint64_t *ret);
int kern_runtime_write(int runtime_fd, enum podcred_runtime slot, uint64_t value);

/* podcred_source. -errno. */
int kern_source_read(int source_fd, struct podcred_source *ret);
int kern_source_write(int source_fd, const struct podcred_source *source);

/* podcred_pods. -errno; kern_pod_write: -E2BIG: it is full. */
int kern_pod_write(int pods_fd, const struct podcred_pod *pod);
int kern_pod_read(int pods_fd, uint64_t cgroup_id, struct podcred_pod *ret);
int kern_pod_delete(int pods_fd, uint64_t cgroup_id);

/* What the policy makes of a pod, by its PODCRED_POD_*: the word that a rule has for it. */
const char *kern_policy_name(uint32_t flags);

/* The same and why, for people: "exempt by line 7". Returns buf. */
const char *kern_policy_text(uint32_t flags, uint32_t line, char *buf, size_t size);

/* podcred_paths. -errno. */
int kern_path_write(int paths_fd, uint32_t ifindex, const struct podcred_path *path);
int kern_path_delete(int paths_fd, uint32_t ifindex);

/* Delete conflicting flows older than max_age_ns (CLOCK_BOOTTIME). Returns how many, or -errno. */
int kern_flows_sweep(int flows_fd, uint64_t max_age_ns);

/* Set right the counts of pending flows per pod that have been wrong, by the same amount, since
 * the last call; and those of connections that were let through. *memory starts as NULL, one for
 * each. -errno. */
struct kern_quota_memory;
int kern_quota_settle(int flows_fd, int quota_fd, struct kern_quota_memory **memory);
int kern_pass_quota_settle(int passes_fd, int quota_fd, struct kern_quota_memory **memory);
struct kern_quota_memory *kern_quota_memory_free(struct kern_quota_memory *memory);

/* Sum of a per-CPU counter. */
uint64_t kern_stat_read(int stats_fd, enum podcred_reason reason);

/* ---- cgroups by id ---- */

/* Id of the caller's own cgroup2 cgroup, asked from BPF: right in every cgroup namespace, where
 * /proc/self/cgroup may say "/". -errno. */
int kern_self_cgroup_id(uint64_t *ret);

/* Path of a cgroup below a cgroup2 mount, starting with the mount. Without CAP_DAC_READ_SEARCH the
 * tree is walked. -ESTALE when it is gone. */
int kern_cgroup_path(const char *cgroup_mount, uint64_t id, char **ret);
