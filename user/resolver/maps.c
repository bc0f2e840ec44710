// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "identity/registry.h"
#include "kernel/maps.h"
#include "kernel/status.h"
#include "resolver/resolver.h"

static int sink_upsert(void *arg, const struct pod_ident *pod)
{
	const struct resolver *res = arg;
	struct resolver_policy policy = resolver_policy_of(&res->config, pod);
	struct podcred_pod value = {
		.cgroup_id = pod->cgroup_id,
		.generation = pod->generation,
		.flags = (pod->named ? PODCRED_POD_NAMED : 0) |
			 (pod->host_network ? PODCRED_POD_HOST_NETWORK : 0) |
			 (pod->is_static ? PODCRED_POD_STATIC : 0) | policy.flags,
		.policy_line = policy.line,
	};

	_Static_assert(sizeof(value.uid) == sizeof(pod->uid), "uid");
	_Static_assert(sizeof(value.name_space) == sizeof(pod->name_space), "namespace");
	_Static_assert(sizeof(value.name) == sizeof(pod->name), "name");
	_Static_assert(sizeof(value.service_account) == sizeof(pod->service_account), "account");
	memcpy(value.uid, pod->uid, sizeof(value.uid));
	memcpy(value.name_space, pod->name_space, sizeof(value.name_space));
	memcpy(value.name, pod->name, sizeof(value.name));
	memcpy(value.service_account, pod->service_account, sizeof(value.service_account));
	log_debug("pod %s/%s uid %s cgroup %llu", pod->name_space, pod->name, pod->uid,
		  (unsigned long long)pod->cgroup_id);
	return kern_pod_write(res->maps.pods, &value);
}

static int sink_remove(void *arg, uint64_t cgroup_id)
{
	const struct resolver *res = arg;

	log_debug("cgroup %llu is gone", (unsigned long long)cgroup_id);
	kern_pod_delete(res->maps.quota, cgroup_id);
	kern_pod_delete(res->maps.pass_quota, cgroup_id);
	return kern_pod_delete(res->maps.pods, cgroup_id);
}

static int sink_qos(void *arg, uint64_t burstable_id, uint64_t besteffort_id)
{
	const struct resolver *res = arg;
	int r = kern_runtime_write(res->maps.runtime, PODCRED_RUNTIME_BURSTABLE, burstable_id);

	if (r < 0)
		return r;
	return kern_runtime_write(res->maps.runtime, PODCRED_RUNTIME_BESTEFFORT, besteffort_id);
}

/* ---- what an earlier resolver left in the map ---- */

struct leftovers {
	const struct registry *registry;
	uint64_t *ids;
	size_t n, room;
	uint64_t generation;
};

static int look_at_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct leftovers *left = arg;

	if (pod->generation > left->generation)
		left->generation = pod->generation;
	if (left->registry && left->n < left->room &&
	    !registry_find(left->registry, pod->cgroup_id))
		memcpy(&left->ids[left->n++], key, sizeof(uint64_t));
	return 0;
}

static uint64_t last_generation(const struct resolver *res)
{
	struct leftovers left = {};

	kern_map_each(res->maps.pods, sizeof(uint64_t), sizeof(struct podcred_pod), look_at_pod,
		      &left);
	return left.generation;
}

void resolver_drop_leftovers(struct resolver *res)
{
	uint64_t ids[256];
	struct leftovers left = {.registry = res->registry, .ids = ids, .room = ARRAY_SIZE(ids)};

	do {
		left.n = 0;
		kern_map_each(res->maps.pods, sizeof(uint64_t), sizeof(struct podcred_pod),
			      look_at_pod, &left);
		for (size_t i = 0; i < left.n; i++)
			if (sink_remove(res, ids[i]) < 0)
				return; /* cannot write: the registry's own writes will say so */
	} while (left.n == left.room);
}

/* ---- the registry ---- */

static void settle(void *arg)
{
	struct resolver *res = arg;

	registry_expire(res->registry, clock_mono_ns());
	registry_flush(res->registry);
}

int resolver_registry_start(struct resolver *res, struct pc_err *err)
{
	struct identity_sink sink = {
		.upsert = sink_upsert, .remove = sink_remove, .qos = sink_qos, .arg = res};
	int r = registry_new(&sink, last_generation(res), &res->registry);

	(void)err;
	return r < 0 ? r : loop_every(res->loop, 0, RESOLVE_OFTEN_NS, settle, res, NULL);
}

/* ---- the maps ---- */

int resolver_maps_open(struct resolver *res, struct pc_err *err)
{
	struct resolve_maps *m = &res->maps;
	const struct {
		enum kern_map map;
		int *fd;
	} maps[] = {
		{KERN_MAP_CONFIG, &m->config}, {KERN_MAP_RUNTIME, &m->runtime},
		{KERN_MAP_PODS, &m->pods},     {KERN_MAP_QUOTA, &m->quota},
		{KERN_MAP_FLOWS, &m->flows},   {KERN_MAP_STATS, &m->stats},
		{KERN_MAP_PASSES, &m->passes}, {KERN_MAP_PASS_QUOTA, &m->pass_quota},
	};

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		*maps[i].fd = kern_map_open(res->options->pin_dir, maps[i].map, err);
		if (*maps[i].fd < 0)
			return *maps[i].fd;
	}
	return 0;
}

void resolver_maps_close(struct resolver *res)
{
	struct resolve_maps *m = &res->maps;
	int *fds[] = {&m->config, &m->runtime, &m->pods,   &m->quota,
		      &m->flows,  &m->stats,   &m->passes, &m->pass_quota};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_close(fds[i]);
}
