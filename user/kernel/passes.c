// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that an older load let through continue across a load: their sockets say which entry
 * is theirs, by tuple and cookie. An entry that cannot be carried over only affects that
 * connection, so it is not an error.
 */
#include "kernel/internal.h"

#include "base/cleanup.h"

struct carry {
	int passes_fd, ended_fd, quota_fd;
};

/* One that is counted in the kernel at the same moment may be missed here: the resolver sets that right. */
static void count_one(const struct carry *carry, uint64_t pod)
{
	struct podcred_pass_quota quota = {};

	bpf_map_lookup_elem(carry->quota_fd, &pod, &quota);
	quota.open++;
	bpf_map_update_elem(carry->quota_fd, &pod, &quota, BPF_ANY);
}

/* It ended after the first time that it was carried over, and before the programs were swapped. */
static void end_one(const struct carry *carry, const void *key, const struct podcred_pass *old)
{
	struct podcred_pass pass;

	bpf_map_update_elem(carry->ended_fd, key, old, BPF_ANY);
	if (bpf_map_lookup_elem(carry->passes_fd, key, &pass) == 0 && pass.owner == old->owner)
		bpf_map_delete_elem(carry->passes_fd, key);
}

static int carry_one(void *arg, const void *key, const void *value)
{
	const struct podcred_pass *old = value;
	const struct carry *carry = arg;

	if (old->closed_ns)
		end_one(carry, key, old);
	else if (bpf_map_update_elem(carry->passes_fd, key, old, BPF_NOEXIST) == 0)
		count_one(carry, old->pod_cgroup_id);
	return 0;
}

void kern_passes_carry_over(const char *pin_dir, const struct podcred *skel)
{
	struct carry carry = {.passes_fd = bpf_map__fd(skel->maps.podcred_passes_v3),
			      .ended_fd = bpf_map__fd(skel->maps.podcred_ended),
			      .quota_fd = bpf_map__fd(skel->maps.podcred_pass_quota)};
	_cleanup_close_ int old_fd = -EBADF;
	char path[4096];

	if (kern_pin_path(path, sizeof(path), pin_dir, MAPS_DIR, "podcred_passes_v2") == 0)
		old_fd = bpf_obj_get(path);
	if (old_fd >= 0)
		kern_map_each(old_fd, sizeof(struct podcred_peer_key), sizeof(struct podcred_pass),
			      carry_one, &carry);
}
