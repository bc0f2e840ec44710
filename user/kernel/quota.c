// SPDX-License-Identifier: Apache-2.0
/*
 * The programs count each pod's pending connections as they add and remove entries of
 * podcred_flows_v2. The count drifts when the sweep deletes entries, or when two programs meet on
 * one entry. Nobody can correct it atomically from here, so a difference counts only if it is
 * unchanged from one check to the next. The same goes for podcred_passes_v3, which a load may add
 * to.
 */
#include "kernel/internal.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

/* Two maps that belong together: entries, each with its pod, and how many each pod has. */
struct kind {
	size_t key_size, entry_size, pod_offset; /* of an entry, and where in it the pod's id is */
	size_t count_size; /* of the other map's value, which begins with the count */
};

static const struct kind flows = {.key_size = sizeof(struct podcred_flow_key),
				  .entry_size = sizeof(struct podcred_flow),
				  .pod_offset = offsetof(struct podcred_flow, stamp.pod_cgroup_id),
				  .count_size = sizeof(struct podcred_quota)};
static const struct kind passes = {.key_size = sizeof(struct podcred_peer_key),
				   .entry_size = sizeof(struct podcred_pass),
				   .pod_offset = offsetof(struct podcred_pass, pod_cgroup_id),
				   .count_size = sizeof(struct podcred_pass_quota)};

_Static_assert(offsetof(struct podcred_quota, pending) == 0, "podcred_quota");
_Static_assert(offsetof(struct podcred_pass_quota, open) == 0, "podcred_pass_quota");

struct difference {
	uint64_t pod;
	int64_t counted;
	int64_t actual; /* entries there are */
};

struct kern_quota_memory {
	struct difference *seen;
	size_t n_seen;
};

struct look {
	const struct kind *kind;
	uint64_t *pods; /* of every entry, sorted */
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

static int collect_entry(void *arg, const void *key, const void *value)
{
	struct look *look = arg;
	int r = grow(&look->pods, &look->room_pods, look->n_pods, sizeof(*look->pods));

	(void)key;
	if (r == 0)
		memcpy(&look->pods[look->n_pods++], (const char *)value + look->kind->pod_offset,
		       sizeof(*look->pods));
	return r;
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int64_t count_entries(const struct look *look, uint64_t pod)
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
	struct look *look = arg;
	struct difference diff;
	int r;

	memcpy(&diff.pod, key, sizeof(diff.pod));
	memcpy(&diff.counted, value, sizeof(diff.counted));
	diff.actual = count_entries(look, diff.pod);
	if (diff.counted == diff.actual)
		return 0;
	r = grow(&look->found, &look->room_found, look->n_found, sizeof(*look->found));
	if (r == 0)
		look->found[look->n_found++] = diff;
	return r;
}

static bool seen_before(const struct kern_quota_memory *memory, const struct difference *diff)
{
	for (size_t i = 0; i < memory->n_seen; i++)
		if (!memcmp(&memory->seen[i], diff, sizeof(*diff)))
			return true;
	return false;
}

/* What else is in the value stays as it is now. */
static void set_right(int quota_fd, const struct difference *diff)
{
	char value[sizeof(struct podcred_pass_quota)]; /* the larger one */

	if (bpf_map_lookup_elem(quota_fd, &diff->pod, value) < 0)
		return;
	memcpy(value, &diff->actual, sizeof(diff->actual));
	bpf_map_update_elem(quota_fd, &diff->pod, value, BPF_EXIST);
}

static int settle(const struct kind *kind, int entries_fd, int quota_fd,
		  struct kern_quota_memory **memory)
{
	struct look look = {.kind = kind};
	int r;

	if (!*memory)
		*memory = calloc(1, sizeof(**memory));
	if (!*memory)
		return -ENOMEM;
	r = kern_map_each(entries_fd, kind->key_size, kind->entry_size, collect_entry, &look);
	if (r == 0 && look.n_pods)
		qsort(look.pods, look.n_pods, sizeof(*look.pods), compare_ids);
	if (r == 0)
		r = kern_map_each(quota_fd, sizeof(uint64_t), kind->count_size, compare_quota,
				  &look);
	for (size_t i = 0; r == 0 && i < look.n_found; i++)
		if (seen_before(*memory, &look.found[i]))
			set_right(quota_fd, &look.found[i]);
	free(look.pods);
	free((*memory)->seen);
	(*memory)->seen = look.found;
	(*memory)->n_seen = r == 0 ? look.n_found : 0;
	return r;
}

int kern_quota_settle(int flows_fd, int quota_fd, struct kern_quota_memory **memory)
{
	return settle(&flows, flows_fd, quota_fd, memory);
}

int kern_pass_quota_settle(int passes_fd, int quota_fd, struct kern_quota_memory **memory)
{
	return settle(&passes, passes_fd, quota_fd, memory);
}

struct kern_quota_memory *kern_quota_memory_free(struct kern_quota_memory *memory)
{
	if (memory)
		free(memory->seen);
	free(memory);
	return NULL;
}
