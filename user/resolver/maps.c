// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/plural.h"
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
	const struct pod_ident *pod =
		res->registry ? registry_find(res->registry, cgroup_id) : NULL;

	log_debug("cgroup %llu is gone", (unsigned long long)cgroup_id);
	if (pod)
		resolver_gone_tell(res, pod->uid);
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

static void take_text(char *to, const char *from, size_t size)
{
	memcpy(to, from, size);
	to[size - 1] = '\0';
}

/* A pod whose cgroup still exists keeps its name until the source has told of it. */
static int recall_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct pod_ident ident = {
		.cgroup_id = pod->cgroup_id,
		.generation = pod->generation,
		.named = pod->flags & PODCRED_POD_NAMED,
		.host_network = pod->flags & PODCRED_POD_HOST_NETWORK,
		.is_static = pod->flags & PODCRED_POD_STATIC,
		.asks = resolver_policy_recall(pod->flags),
		.before = pod->flags,
	};

	if (memcmp(key, &pod->cgroup_id, sizeof(pod->cgroup_id)) != 0)
		return 0; /* torn: it is named when the source tells of it */
	take_text(ident.uid, pod->uid, sizeof(ident.uid));
	take_text(ident.name_space, pod->name_space, sizeof(ident.name_space));
	take_text(ident.name, pod->name, sizeof(ident.name));
	take_text(ident.service_account, pod->service_account, sizeof(ident.service_account));
	registry_recall(arg, &ident);
	return 0;
}

#define BY_POLICY                                                                                  \
	(PODCRED_POD_EXEMPT | PODCRED_POD_DENIED | PODCRED_POD_AUDIT | PODCRED_POD_IMDSV2 |        \
	 PODCRED_POD_ANNOTATED)

static bool has_other_policy(void *arg, const struct pod_ident *pod)
{
	const struct resolver *res = arg;
	struct resolver_policy policy = resolver_policy_of(&res->config, pod);
	struct podcred_pod left;

	return pod->before &&
	       (kern_pod_read(res->maps.pods, pod->cgroup_id, &left) < 0 ||
		((left.flags ^ policy.flags) & BY_POLICY) != 0 || left.policy_line != policy.line);
}

/* Their policy is this one's, which may be another than that of whoever left them. */
static void recall(struct resolver *res)
{
	if (resolver_source_kind(&res->options->source) == RESOLVER_SOURCE_NONE)
		return;
	kern_map_each(res->maps.pods, sizeof(uint64_t), sizeof(struct podcred_pod), recall_pod,
		      res->registry);
	registry_rewrite(res->registry, has_other_policy, res); /* what fails is offered again */
}

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

/* Once for each kind of trouble, and once when it is over. */
static void say_unwritten(struct resolver *res, int r)
{
	size_t n = registry_count_refused(res->registry), full = r == -E2BIG ? n : 0;

	if (full != res->source.full) {
		res->source.full = full;
		resolver_source_retell(res);
	}
	if (r == res->maps.pods_error)
		return;
	res->maps.pods_error = r;
	if (r == -E2BIG)
		log_error("podcred_pods is full: %zu pod%s get no credentials until others are "
			  "gone; a node has room for %d",
			  n, plural(n), PODCRED_PODS_MAX);
	else if (r < 0)
		log_warn("cannot write podcred_pods: %s; trying again", strerror(-r));
	else
		log_info("every pod is in podcred_pods again");
}

static void settle(void *arg)
{
	struct resolver *res = arg;

	registry_expire(res->registry, clock_mono_ns());
	say_unwritten(res, registry_flush(res->registry));
}

int resolver_registry_start(struct resolver *res, struct pc_err *err)
{
	struct identity_sink sink = {
		.upsert = sink_upsert, .remove = sink_remove, .qos = sink_qos, .arg = res};
	int r = registry_new(&sink, last_generation(res), &res->registry);

	(void)err;
	if (r < 0)
		return r;
	recall(res);
	return loop_every(res->loop, 0, RESOLVE_OFTEN_NS, settle, res, NULL);
}

/* ---- the maps ---- */

int resolver_maps_open(struct resolver *res, struct pc_err *err)
{
	struct resolve_maps *m = &res->maps;
	struct pc_err none = {};
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
	m->source = kern_map_open(res->options->pin_dir, KERN_MAP_SOURCE, &none);
	return 0;
}

void resolver_maps_close(struct resolver *res)
{
	struct resolve_maps *m = &res->maps;
	int *fds[] = {&m->config, &m->runtime, &m->pods,       &m->quota, &m->flows,
		      &m->stats,  &m->passes,  &m->pass_quota, &m->source};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		cleanup_close(fds[i]);
}
