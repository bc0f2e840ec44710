// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel counts each pod's pending connections as it adds and takes entries of podcred_flows.
 * Entries that the sweep deletes, and two programs that meet on one entry, leave the count off by
 * some. Nobody can correct it atomically from here, so a difference counts only when it stands
 * unchanged from one look to the next.
 */
#include "internal.h"

#include <string.h>

#include "cleanup.h"

struct difference {
	uint64_t pod;
	int64_t pending; /* as counted */
	int64_t actual; /* entries there are */
};

struct loader_quota_memory {
	struct difference *seen;
	size_t n_seen;
};

struct look {
	uint64_t *pods; /* of every flow, sorted */
	size_t n_pods, room_pods;
	struct difference *found;
	size_t n_found, room_found;
};

static int grow(void *array, size_t *room, size_t n, size_t size)
{
	void **p = array, *grown;

	if (n < *room)
		return 0;
	grown = reallocarray(*p, *room ? *room * 2 : 64, size);
	if (!grown)
		return -ENOMEM;
	*p = grown;
	*room = *room ? *room * 2 : 64;
	return 0;
}

static int collect_flow(void *arg, const void *key, const void *value)
{
	const struct podcred_flow *flow = value;
	struct look *look = arg;
	int r = grow(&look->pods, &look->room_pods, look->n_pods, sizeof(*look->pods));

	(void)key;
	if (r == 0)
		look->pods[look->n_pods++] = flow->stamp.pod_cgroup_id;
	return r;
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int64_t count_flows(const struct look *look, uint64_t pod)
{
	const uint64_t *hit, *end;
	int64_t n = 0;

	if (!look->n_pods)
		return 0; /* and look->pods may be NULL, with which not even 0 may be added */
	hit = bsearch(&pod, look->pods, look->n_pods, sizeof(pod), compare_ids);
	if (!hit)
		return 0;
	end = look->pods + look->n_pods;
	while (hit > look->pods && hit[-1] == pod)
		hit--;
	for (; hit < end && *hit == pod; hit++)
		n++;
	return n;
}

static int compare_quota(void *arg, const void *key, const void *value)
{
	const struct podcred_quota *quota = value;
	struct look *look = arg;
	struct difference diff;
	int r;

	memcpy(&diff.pod, key, sizeof(diff.pod));
	diff.pending = quota->pending;
	diff.actual = count_flows(look, diff.pod);
	if (diff.pending == diff.actual)
		return 0;
	r = grow(&look->found, &look->room_found, look->n_found, sizeof(*look->found));
	if (r == 0)
		look->found[look->n_found++] = diff;
	return r;
}

static bool seen_before(const struct loader_quota_memory *memory, const struct difference *diff)
{
	for (size_t i = 0; i < memory->n_seen; i++)
		if (!memcmp(&memory->seen[i], diff, sizeof(*diff)))
			return true;
	return false;
}

int loader_quota_settle(int flows_fd, int quota_fd, struct loader_quota_memory **memory)
{
	struct look look = {};
	int r;

	if (!*memory)
		*memory = calloc(1, sizeof(**memory));
	if (!*memory)
		return -ENOMEM;
	r = loader_map_each(flows_fd, sizeof(struct podcred_flow_key), sizeof(struct podcred_flow),
			    collect_flow, &look);
	if (r == 0 && look.n_pods)
		qsort(look.pods, look.n_pods, sizeof(*look.pods), compare_ids);
	if (r == 0)
		r = loader_map_each(quota_fd, sizeof(uint64_t), sizeof(struct podcred_quota),
				    compare_quota, &look);
	for (size_t i = 0; r == 0 && i < look.n_found; i++) {
		const struct podcred_quota right = {.pending = look.found[i].actual};

		if (seen_before(*memory, &look.found[i]))
			bpf_map_update_elem(quota_fd, &look.found[i].pod, &right, BPF_EXIST);
	}
	free(look.pods);
	free((*memory)->seen);
	(*memory)->seen = look.found;
	(*memory)->n_seen = r == 0 ? look.n_found : 0;
	return r;
}

struct loader_quota_memory *loader_quota_memory_free(struct loader_quota_memory *memory)
{
	if (memory)
		free(memory->seen);
	free(memory);
	return NULL;
}
