// SPDX-License-Identifier: Apache-2.0
/* What is attached, as the kernel reports it, and not what a loader once meant to attach. */
#include "kernel/internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"

static void query_effective(int cgroup_fd, enum bpf_attach_type type,
			    struct kern_link_status *status)
{
	uint32_t ids[64], n = ARRAY_SIZE(ids);

	if (bpf_prog_query(cgroup_fd, type, BPF_F_QUERY_EFFECTIVE, NULL, ids, &n) < 0) {
		status->unknown = errno == EPERM;
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (ids[i] == status->prog_id)
			status->effective = true;
		else
			status->others++;
	}
}

/* Where the loader attached, unless that is another cgroup now. */
static int open_cgroup(const struct kern_status *status, const char *cgroup_mount,
		       const struct attachment *att, uint64_t id)
{
	const char *below =
		att->site == SITE_AGENT ? status->config.agent_path : status->config.guard_path;
	_cleanup_close_ int fd = -EBADF;
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", cgroup_mount, below);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == id)
		return TAKE_FD(fd);
	return kern_cgroup_open_by_id(cgroup_mount, id);
}

static void read_link(const char *pin_dir, const char *cgroup_mount, const struct attachment *att,
		      bool tc, const struct kern_status *status, struct kern_link_status *ret)
{
	_cleanup_close_ int fd = -EBADF, cgroup_fd = -EBADF;
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);
	char path[4096];

	*ret = (struct kern_link_status){.name = att->name, .hook = att->hook};
	if (att->site == SITE_IFACE) {
		if (tc)
			ret->hook = att->type == KERN_IFACE_POD ? "tc/ingress" : "tc/egress";
		ret->interfaces = kern_iface_count(pin_dir, att->name, tc);
		ret->pinned = ret->alive = ret->effective = ret->interfaces > 0;
		return;
	}
	if (kern_pin_path(path, sizeof(path), pin_dir, LINKS_DIR, att->name) < 0)
		return;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0) {
		ret->unknown = errno == EPERM || errno == EACCES;
		return;
	}
	ret->pinned = true;
	ret->prog_id = info.prog_id;
	if (att->site == SITE_TRACE || att->site == SITE_NETNS) {
		ret->alive = ret->effective = true;
		return;
	}
	ret->cgroup_id = info.cgroup.cgroup_id; /* 0 once the cgroup was removed */
	if (!ret->cgroup_id)
		return;
	cgroup_fd = open_cgroup(status, cgroup_mount, att, ret->cgroup_id);
	if (cgroup_fd < 0) {
		ret->unknown = cgroup_fd == -EPERM;
		return;
	}
	ret->alive = true;
	query_effective(cgroup_fd, (enum bpf_attach_type)att->type, ret);
}

static int count_entry(void *arg, const void *key, const void *value)
{
	(void)key;
	(void)value;
	++*(uint32_t *)arg;
	return 0;
}

static int count_pod(void *arg, const void *key, const void *value)
{
	const struct podcred_pod *pod = value;
	struct kern_status *status = arg;

	(void)key;
	status->n_pods++;
	if (pod->flags & PODCRED_POD_DENIED)
		status->n_denied++;
	else if (pod->flags & PODCRED_POD_EXEMPT)
		status->n_exempt++;
	else if (pod->flags & PODCRED_POD_AUDIT)
		status->n_audited++;
	return 0;
}

/* An older load does not have it, and its resolver says nothing. */
static void read_source(const char *pin_dir, struct podcred_source *ret)
{
	struct pc_err none = {};
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_SOURCE, &none);

	if (fd < 0 || kern_source_read(fd, ret) < 0)
		*ret = (struct podcred_source){};
	ret->from[sizeof(ret->from) - 1] = '\0';
	ret->node[sizeof(ret->node) - 1] = '\0';
	ret->why[sizeof(ret->why) - 1] = '\0';
}

int kern_status_read_resolver(const char *pin_dir, struct kern_status *ret, struct pc_err *err)
{
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_RUNTIME, err);

	if (fd < 0)
		return fd;
	ret->read_ns = clock_boot_ns();
	for (int i = 0; i < PODCRED_RUNTIME_SLOTS; i++)
		kern_runtime_read(fd, (enum podcred_runtime)i, &ret->runtime[i]);
	read_source(pin_dir, &ret->source);
	return 0;
}

static int read_maps(const char *pin_dir, struct kern_status *ret, struct pc_err *err)
{
	static const struct {
		enum kern_map map;
		size_t key, value, offset;
	} counted[] = {
		{KERN_MAP_FLOWS, sizeof(struct podcred_flow_key), sizeof(struct podcred_flow),
		 offsetof(struct kern_status, n_flows)},
		{KERN_MAP_PEERS, sizeof(struct podcred_peer_key), sizeof(struct podcred_seal),
		 offsetof(struct kern_status, n_peers)},
	};
	_cleanup_close_ int config_fd = kern_map_open(pin_dir, KERN_MAP_CONFIG, err);
	_cleanup_close_ int stats_fd = -EBADF, pods_fd = -EBADF;
	int r;

	if (config_fd < 0)
		return config_fd;
	r = kern_config_read(config_fd, &ret->config);
	if (r < 0)
		return pc_err_set(err, r, "cannot read podcred_config_v2: %s", strerror(-r));
	r = kern_status_read_resolver(pin_dir, ret, err);
	if (r < 0)
		return r;
	stats_fd = kern_map_open(pin_dir, KERN_MAP_STATS, err);
	if (stats_fd < 0)
		return stats_fd;
	for (int i = 0; i < PODCRED_REASON_MAX; i++)
		ret->stats[i] = kern_stat_read(stats_fd, (enum podcred_reason)i);
	pods_fd = kern_map_open(pin_dir, KERN_MAP_PODS, err);
	if (pods_fd < 0)
		return pods_fd;
	kern_map_each(pods_fd, sizeof(__u64), sizeof(struct podcred_pod), count_pod, ret);
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++) {
		_cleanup_close_ int fd = kern_map_open(pin_dir, counted[i].map, err);

		if (fd < 0)
			return fd;
		kern_map_each(fd, counted[i].key, counted[i].value, count_entry,
			      (char *)ret + counted[i].offset);
	}
	return 0;
}

/* Optional ones may not have been: what is lost then, podcred features tells. */
static bool is_loaded(const char *pin_dir, const struct attachment *att)
{
	char path[4096];

	return kern_feature_is_required(att->feature) ||
	       (kern_pin_path(path, sizeof(path), pin_dir, PROGS_DIR, att->name) == 0 &&
		access(path, F_OK) == 0);
}

/* The resolver says that it lives twice a second. On a starved node it may be late. */
#define RESOLVER_SILENT_NS (5 * CLOCK_S)

bool kern_resolver_is_running(const struct kern_status *status)
{
	return status->runtime[PODCRED_RUNTIME_RESOLVER_READY] &&
	       status->read_ns <
		       status->runtime[PODCRED_RUNTIME_RESOLVER_SEEN] + RESOLVER_SILENT_NS;
}

static bool nothing_attached(const struct kern_status *status)
{
	for (size_t i = 0; i < status->n_links; i++)
		if (status->links[i].pinned || status->links[i].unknown)
			return false;
	return true;
}

static int not_loaded(const char *pin_dir, struct pc_err *err)
{
	return pc_err_set(err, -ENOENT, "%s: nothing is attached yet; %s", pin_dir,
			  kern_pins_locked(pin_dir)
				  ? "a load is running, wait for it to end"
				  : "run podcred load first, or see why the last one ended");
}

int kern_status_read(const char *pin_dir, const char *cgroup_mount, struct kern_status *ret,
		     struct pc_err *err)
{
	bool tc;
	int r;

	*ret = (struct kern_status){};
	r = read_maps(pin_dir, ret, err);
	if (r < 0)
		return r == -ENOENT && access(pin_dir, F_OK) == 0 ? not_loaded(pin_dir, err) : r;
	tc = kern_features_use_tc(ret->runtime[PODCRED_RUNTIME_WITHOUT]);
	for (size_t i = 0; i < kern_n_attachments; i++) {
		struct kern_link_status *link = &ret->links[ret->n_links++];

		read_link(pin_dir, cgroup_mount, &kern_attachments[i], tc, ret, link);
		link->expected = kern_attachments[i].site != SITE_IFACE &&
				 is_loaded(pin_dir, &kern_attachments[i]);
	}
	/* maps are pinned before the programs are loaded: until then they say nothing */
	return nothing_attached(ret) ? not_loaded(pin_dir, err) : 0;
}
