// SPDX-License-Identifier: Apache-2.0
/* The pinned maps of a running podcred, read and written one entry at a time. */
#include "kernel/internal.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

static const char *const map_names[] = {
	[KERN_MAP_CONFIG] = "podcred_config_v2",      [KERN_MAP_GUARD] = "podcred_guard",
	[KERN_MAP_TARGETS] = "podcred_targets",	      [KERN_MAP_PODS] = "podcred_pods",
	[KERN_MAP_FLOWS] = "podcred_flows_v2",	      [KERN_MAP_PEERS] = "podcred_peers_v2",
	[KERN_MAP_QUOTA] = "podcred_quota",	      [KERN_MAP_STATS] = "podcred_stats",
	[KERN_MAP_CGROUPS] = "podcred_cgroups",	      [KERN_MAP_RUNTIME] = "podcred_runtime",
	[KERN_MAP_EVENTS] = "podcred_events",	      [KERN_MAP_PASSES] = "podcred_passes_v3",
	[KERN_MAP_PASS_QUOTA] = "podcred_pass_quota", [KERN_MAP_PATHS] = "podcred_paths",
	[KERN_MAP_SOURCE] = "podcred_source",
};

int kern_map_open(const char *pin_dir, enum kern_map map, struct pc_err *err)
{
	char path[4096];
	int fd, r;

	r = kern_pin_path(path, sizeof(path), pin_dir, MAPS_DIR, map_names[map]);
	if (r < 0)
		return pc_err_set(err, r, "pin directory \"%s\" is too long", pin_dir);
	fd = bpf_obj_get(path);
	if (fd >= 0)
		return fd;
	r = -errno;
	if (r == -ENOENT)
		return pc_err_set(err, r, "%s is not there; run podcred load first", path);
	return pc_err_set(err, r,
			  "cannot open %s: %s; run as root, or with CAP_BPF and access to %s", path,
			  strerror(-r), pin_dir);
}

#define KEY_MAX	       64
#define BATCH	       256
#define NOT_BY_BATCHES 1

/* Linux 5.6 has it for most kinds of maps. Any error means: one by one, even in the middle, as entries
 * may be seen twice. */
static int each_by_batches(int fd, size_t key_size, size_t value_size,
			   int (*fn)(void *arg, const void *key, const void *value), void *arg,
			   int *ret)
{
	_cleanup_free_ char *keys = calloc(BATCH, key_size), *values = calloc(BATCH, value_size);
	char at[KEY_MAX] = {}, next[KEY_MAX] = {}; /* a bucket's number, or a key */
	bool first = true, more = true;

	while (more) {
		uint32_t n = BATCH;

		if (!keys || !values)
			return NOT_BY_BATCHES;
		if (bpf_map_lookup_batch(fd, first ? NULL : at, next, keys, values, &n, NULL) < 0) {
			if (errno != ENOENT)
				return NOT_BY_BATCHES;
			more = false;
		}
		for (uint32_t i = 0; i < n; i++) {
			*ret = fn(arg, keys + i * key_size, values + i * value_size);
			if (*ret)
				return 0;
		}
		memcpy(at, next, sizeof(at));
		first = false;
	}
	*ret = 0;
	return 0;
}

int kern_map_each(int fd, size_t key_size, size_t value_size,
		  int (*fn)(void *arg, const void *key, const void *value), void *arg)
{
	char key[KEY_MAX], next[KEY_MAX];
	_cleanup_free_ char *value = malloc(value_size);
	int more, r;

	if (!value || key_size > sizeof(key))
		return -ENOMEM;
	if (each_by_batches(fd, key_size, value_size, fn, arg, &r) != NOT_BY_BATCHES)
		return r;
	more = bpf_map_get_next_key(fd, NULL, next);
	while (more == 0) {
		memcpy(key, next, key_size);
		/* before fn may delete key: the walk would start over at a key that is gone */
		more = bpf_map_get_next_key(fd, key, next);
		if (bpf_map_lookup_elem(fd, key, value) < 0)
			continue; /* deleted in between */
		r = fn(arg, key, value);
		if (r)
			return r;
	}
	return more == -ENOENT ? 0 : more;
}

int kern_map_lookup(int fd, const void *key, void *ret_value)
{
	return bpf_map_lookup_elem(fd, key, ret_value) < 0 ? -errno : 0;
}

int kern_config_read(int config_fd, struct podcred_config *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(config_fd, &zero, ret) < 0 ? -errno : 0;
}

int kern_runtime_read(int runtime_fd, enum podcred_runtime slot, uint64_t *ret)
{
	uint32_t key = slot;

	return bpf_map_lookup_elem(runtime_fd, &key, ret) < 0 ? -errno : 0;
}

int kern_runtime_write(int runtime_fd, enum podcred_runtime slot, uint64_t value)
{
	uint32_t key = slot;

	return bpf_map_update_elem(runtime_fd, &key, &value, BPF_ANY) < 0 ? -errno : 0;
}

int kern_source_read(int source_fd, struct podcred_source *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(source_fd, &zero, ret) < 0 ? -errno : 0;
}

int kern_source_write(int source_fd, const struct podcred_source *source)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(source_fd, &zero, source, BPF_ANY) < 0 ? -errno : 0;
}

int kern_pod_write(int pods_fd, const struct podcred_pod *pod)
{
	return bpf_map_update_elem(pods_fd, &pod->cgroup_id, pod, BPF_ANY) < 0 ? -errno : 0;
}

int kern_pod_read(int pods_fd, uint64_t cgroup_id, struct podcred_pod *ret)
{
	return bpf_map_lookup_elem(pods_fd, &cgroup_id, ret) < 0 ? -errno : 0;
}

int kern_pod_delete(int pods_fd, uint64_t cgroup_id)
{
	return bpf_map_delete_elem(pods_fd, &cgroup_id) < 0 && errno != ENOENT ? -errno : 0;
}

int kern_path_write(int paths_fd, uint32_t ifindex, const struct podcred_path *path)
{
	return bpf_map_update_elem(paths_fd, &ifindex, path, BPF_ANY) < 0 ? -errno : 0;
}

int kern_path_delete(int paths_fd, uint32_t ifindex)
{
	return bpf_map_delete_elem(paths_fd, &ifindex) < 0 && errno != ENOENT ? -errno : 0;
}

struct sweep {
	int flows_fd;
	uint64_t before;
	int n;
};

static int sweep_flow(void *arg, const void *key, const void *value)
{
	const struct podcred_flow *flow = value;
	struct sweep *sweep = arg;

	if (!flow->conflict_ns || flow->conflict_ns >= sweep->before)
		return 0;
	if (bpf_map_delete_elem(sweep->flows_fd, key) == 0)
		sweep->n++;
	return 0;
}

int kern_flows_sweep(int flows_fd, uint64_t max_age_ns)
{
	struct sweep sweep = {.flows_fd = flows_fd};
	int r;

	sweep.before = clock_boot_ns();
	sweep.before -= max_age_ns < sweep.before ? max_age_ns : sweep.before;
	r = kern_map_each(flows_fd, sizeof(struct podcred_flow_key), sizeof(struct podcred_flow),
			  sweep_flow, &sweep);
	return r < 0 ? r : sweep.n;
}

uint64_t kern_stat_read(int stats_fd, enum podcred_reason reason)
{
	int n_cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *values = NULL;
	uint32_t key = reason;
	uint64_t sum = 0;

	if (n_cpus <= 0)
		return 0;
	values = calloc((size_t)n_cpus, sizeof(*values));
	if (!values || bpf_map_lookup_elem(stats_fd, &key, values) < 0)
		return 0;
	for (int i = 0; i < n_cpus; i++)
		sum += values[i];
	return sum;
}
