// SPDX-License-Identifier: Apache-2.0
/*
 * A link disappears with its cgroup, and a cgroup that is recreated under the same name has none.
 * The loader left the paths in podcred_config and the programs in pins, which is all that is needed
 * to attach them again.
 */
#include "kernel/internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

struct cover {
	struct podcred_config config;
	char guard[4096], agent[4096], kubepods[4096];
	uint64_t guard_id, agent_id, kubepods_id;
};

static int find_cgroup(const char *mount, const char *below, char path[4096], uint64_t *ret_id)
{
	struct stat st;

	snprintf(path, 4096, "%s%s", mount, below);
	if (stat(path, &st) < 0)
		return -errno;
	*ret_id = st.st_ino;
	return 0;
}

/* The new agent has gone, and the one before is still there: an update was taken back. */
static int find_before(const char *pin_dir, const char *mount, struct cover *cover)
{
	_cleanup_free_ char *path = NULL;
	const char *below;
	int r = kern_agent_before(pin_dir, &cover->agent_id);

	if (r == 0)
		r = kern_cgroup_path(mount, cover->agent_id, &path);
	if (r < 0 || !path)
		return r ?: -ENOENT;
	below = path + strlen(mount);
	if (strlen(below) >= sizeof(cover->config.agent_path))
		return -ENAMETOOLONG;
	snprintf(cover->agent, sizeof(cover->agent), "%s", path);
	snprintf(cover->config.agent_path, sizeof(cover->config.agent_path), "%s", below);
	if (cover->config.agent_pod_id) /* what is attached is a pod's, as a rule */
		cover->config.agent_pod_id = cover->agent_id;
	return 0;
}

static int read_cover(const char *pin_dir, const char *mount, struct cover *ret, struct pc_err *err)
{
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_CONFIG, err);
	int r;

	if (fd < 0)
		return fd;
	r = kern_config_read(fd, &ret->config);
	if (r == 0)
		r = find_cgroup(mount, ret->config.guard_path, ret->guard, &ret->guard_id);
	if (r == 0)
		r = find_cgroup(mount, ret->config.kubepods_path, ret->kubepods, &ret->kubepods_id);
	if (r < 0)
		return pc_err_set(err, r,
				  "%s is gone, or the guarded cgroup %s; it is guarded again when "
				  "it is recreated",
				  ret->config.kubepods_path, ret->config.guard_path);
	/* An agent that is a pod comes back under another name, and is loaded again. */
	if (find_cgroup(mount, ret->config.agent_path, ret->agent, &ret->agent_id) < 0 &&
	    find_before(pin_dir, mount, ret) < 0)
		ret->agent_id = 0;
	return 0;
}

static bool is_alive(const char *pin_dir, const struct attachment *att, uint64_t cgroup_id)
{
	_cleanup_close_ int fd = -EBADF;
	uint32_t prog_id;
	char path[4096];

	if (kern_pin_path(path, sizeof(path), pin_dir, LINKS_DIR, att->name) < 0)
		return false;
	fd = kern_find_live_link(path, att, cgroup_id, &prog_id);
	return fd >= 0;
}

static bool is_coverable(const struct cover *cover, const struct attachment *att)
{
	return att->site == SITE_GUARD || (att->site == SITE_AGENT && cover->agent_id);
}

static bool all_alive(const char *pin_dir, const struct cover *cover)
{
	for (size_t i = 0; i < kern_n_attachments; i++) {
		const struct attachment *att = &kern_attachments[i];
		char path[4096];

		if (!is_coverable(cover, att))
			continue;
		if (!kern_feature_is_required(att->feature) &&
		    kern_pin_path(path, sizeof(path), pin_dir, LINKS_DIR, att->name) == 0 &&
		    access(path, F_OK) < 0)
			continue; /* the loader did without */
		if (!is_alive(pin_dir, att,
			      att->site == SITE_GUARD ? cover->guard_id : cover->agent_id))
			return false;
	}
	return true;
}

/* kubepods_id: what the kernel side knows; it may have learnt the new one by itself. */
static int kubepods_known(const char *pin_dir, uint64_t *ret, struct pc_err *err)
{
	_cleanup_close_ int fd = kern_map_open(pin_dir, KERN_MAP_RUNTIME, err);

	return fd < 0 ? fd : kern_runtime_read(fd, PODCRED_RUNTIME_KUBEPODS, ret);
}

static int write_ids(const char *pin_dir, struct cover *cover, struct pc_err *err)
{
	_cleanup_close_ int config_fd = kern_map_open(pin_dir, KERN_MAP_CONFIG, err);
	_cleanup_close_ int runtime_fd = -EBADF;
	int r = 0;

	if (config_fd < 0)
		return config_fd;
	runtime_fd = kern_map_open(pin_dir, KERN_MAP_RUNTIME, err);
	if (runtime_fd < 0)
		return runtime_fd;
	if (cover->agent_id && cover->config.agent_cgroup_id != cover->agent_id) {
		cover->config.agent_cgroup_id = cover->agent_id;
		r = kern_config_write(config_fd, &cover->config);
	}
	for (int i = 0; r == 0 && i < 2; i++) {
		_cleanup_free_ char *path = NULL;
		struct stat st;

		if (asprintf(&path, "%s/%s", cover->kubepods, cover->config.qos_name[i]) < 0)
			return -ENOMEM;
		r = kern_runtime_write(runtime_fd, PODCRED_RUNTIME_BURSTABLE + i,
				       stat(path, &st) == 0 ? st.st_ino : 0);
	}
	return r ?: kern_runtime_write(runtime_fd, PODCRED_RUNTIME_KUBEPODS, cover->kubepods_id);
}

/* -errno: not pinned, or nothing that dies with a cgroup. */
static int pinned_prog(const char *pin_dir, const struct cover *cover, const struct attachment *att)
{
	char path[4096];
	int fd;

	if (!is_coverable(cover, att) ||
	    kern_pin_path(path, sizeof(path), pin_dir, PROGS_DIR, att->name) < 0)
		return -ENOENT;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static int attach_again(const char *pin_dir, const struct cover *cover, unsigned *ret_attached,
			struct pc_err *err)
{
	const struct kern_options options = {
		.pin_dir = pin_dir, .guard_cgroup = cover->guard, .agent_cgroup = cover->agent};
	int prog_fds[KERN_MAX_LINKS] = {}, r;
	struct kern_report report = {};

	for (size_t i = 0; i < kern_n_attachments; i++)
		prog_fds[i] = pinned_prog(pin_dir, cover, &kern_attachments[i]);
	r = kern_attach_all(&options, prog_fds, &report, err);
	for (size_t i = 0; i < kern_n_attachments; i++)
		if (prog_fds[i] >= 0)
			close(prog_fds[i]);
	*ret_attached = report.attached;
	return r;
}

int kern_cover(const char *pin_dir, const char *cgroup_mount, unsigned *ret_attached,
	       struct pc_err *err)
{
	_cleanup_free_ struct cover *cover = calloc(1, sizeof(*cover));
	_cleanup_close_ int lock = -EBADF;
	uint64_t known = 0;
	int r;

	*ret_attached = 0;
	if (!cover)
		return -ENOMEM;
	r = read_cover(pin_dir, cgroup_mount, cover, err);
	if (r == 0)
		r = kubepods_known(pin_dir, &known, err);
	if (r < 0)
		return r;
	if (known == cover->kubepods_id && all_alive(pin_dir, cover))
		return 0;
	lock = kern_pins_lock(pin_dir,
			      err); /* not while a loader is at work, which does this and more */
	if (lock < 0)
		return lock;
	r = read_cover(pin_dir, cgroup_mount, cover, err);
	if (r == 0)
		r = write_ids(pin_dir, cover, err);
	return r < 0 ? r : attach_again(pin_dir, cover, ret_attached, err);
}
