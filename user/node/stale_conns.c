// SPDX-License-Identifier: Apache-2.0
#include "node/stale_conns.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/plural.h"
#include "identity/cgpath.h"
#include "kernel/maps.h"
#include "podcred_decide.h"

struct older {
	const struct layout *place;
	int guard_fd, targets_fd, pods_fd;
};

/* As dest_action, in bpf/lib/dest.bpf.h; there are no connections to be closed at the agent. */
static bool is_guarded(void *arg, const uint8_t ip[16], uint16_t port, uint8_t protocol)
{
	const struct older *older = arg;
	struct podcred_guard_key guard = {.prefixlen = 128};
	struct podcred_target_key target = {.port = htons(port), .protocol = protocol};
	struct podcred_action_value value;

	memcpy(guard.addr.ip, ip, sizeof(guard.addr.ip));
	memcpy(target.addr.ip, ip, sizeof(target.addr.ip));
	if (kern_map_lookup(older->targets_fd, &target, &value) < 0 &&
	    kern_map_lookup(older->guard_fd, &guard, &value) < 0)
		return false;
	return !podcred_action_lets_pass(value.action);
}

/* The cgroup of the pod that a cgroup is in; 0: none. */
static uint64_t pod_of(const struct layout *place, uint64_t cgroup_id)
{
	_cleanup_free_ char *path = NULL;
	size_t mount = strlen(place->mount);
	struct cgpath_pod pod;
	struct stat st;

	if (!cgroup_id || kern_cgroup_path(place->mount, cgroup_id, &path) < 0 ||
	    strncmp(path, place->kubepods, strlen(place->kubepods)) != 0 ||
	    path[strlen(place->kubepods)] != '/' ||
	    cgpath_parse(path + mount, strlen(path + mount), &pod) != CGPATH_OK)
		return 0;
	path[mount + pod.pod_len] = '\0';
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static bool is_pods(void *arg, uint64_t cgroup_id)
{
	const struct older *older = arg;
	uint64_t id = pod_of(older->place, cgroup_id);
	struct podcred_pod pod = {};

	if (!id)
		return false;
	kern_pod_read(older->pods_fd, id, &pod); /* without a name it has no policy */
	return !podcred_sender_may(&older->place->loader.config, id, pod.flags) &&
	       !(pod.flags & PODCRED_POD_AUDIT);
}

void node_stale_conns_reset(const struct layout *place, struct reset_report *ret)
{
	struct pc_err err = {};
	_cleanup_close_ int guard_fd = kern_map_open(place->loader.pin_dir, KERN_MAP_GUARD, &err);
	_cleanup_close_ int targets_fd =
		kern_map_open(place->loader.pin_dir, KERN_MAP_TARGETS, &err);
	_cleanup_close_ int pods_fd = kern_map_open(place->loader.pin_dir, KERN_MAP_PODS, &err);
	struct older older = {place, guard_fd, targets_fd, pods_fd};
	const struct reset_options options = {
		.kubepods = place->kubepods,
		.guarded = is_guarded,
		.pod_socket = is_pods,
		.arg = &older,
	};
	int r;

	*ret = (struct reset_report){};
	if (place->loader.config.audit)
		return;
	r = guard_fd < 0 || targets_fd < 0 || pods_fd < 0
		    ? -ENOENT
		    : net_reset_connections(&options, ret, &err);
	if (r < 0)
		log_warn("older connections may continue until the packet filter drops their "
			 "packets: %s",
			 err.msg[0] ? err.msg : strerror(-r));
	else if (ret->unreachable)
		log_warn("older connections in %u network namespace%s were not looked at: %s",
			 ret->unreachable, plural(ret->unreachable), ret->why.msg);
}
