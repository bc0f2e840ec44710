// SPDX-License-Identifier: Apache-2.0
/*
 * The agent before. A DaemonSet that is updated has two pods for a moment: the new one loads and starts
 * while the old one still answers. The programs of the agent's cgroup then stay attached to that of the old
 * agent, too, and run in the same version on both, until it is removed. Their links are pinned under a name
 * of their own; which agent is in use, the configuration map says.
 */
#include "kernel/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define SUFFIX "_before" /* bpffs refuses names with a dot */

int kern_before_path(char *buf, size_t size, const char *pin_dir, const char *name)
{
	char pin[64];

	snprintf(pin, sizeof(pin), "%s" SUFFIX, name);
	return kern_pin_path(buf, size, pin_dir, LINKS_DIR, pin);
}

bool kern_before_is_pin(const char *name)
{
	for (size_t i = 0; i < kern_n_attachments; i++) {
		const struct attachment *att = &kern_attachments[i];
		size_t len = strlen(att->name);

		if (att->site == SITE_AGENT && !strncmp(name, att->name, len) &&
		    !strcmp(name + len, SUFFIX))
			return true;
	}
	return false;
}

/* The link that is pinned there, if it is alive on another cgroup than this one. */
static int open_elsewhere(const char *path, uint64_t cgroup_id, uint32_t *ret_prog_id,
			  uint64_t *ret_cgroup_id)
{
	_cleanup_close_ int fd = bpf_obj_get(path);
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -ENOENT;
	if (info.type != BPF_LINK_TYPE_CGROUP || !info.cgroup.cgroup_id ||
	    info.cgroup.cgroup_id == cgroup_id)
		return -ENOENT;
	*ret_prog_id = info.prog_id;
	*ret_cgroup_id = info.cgroup.cgroup_id;
	return TAKE_FD(fd);
}

int kern_before_open(const char *pin_dir, const struct attachment *att, uint64_t cgroup_id,
		     struct kern_before *ret)
{
	char current[4096], before[4096];
	uint64_t id;
	int fd;

	if (kern_pin_path(current, sizeof(current), pin_dir, LINKS_DIR, att->name) < 0 ||
	    kern_before_path(before, sizeof(before), pin_dir, att->name) < 0)
		return -ENAMETOOLONG;
	fd = open_elsewhere(current, cgroup_id, &ret->prog_id, &id);
	ret->is_current = fd >= 0;
	if (fd < 0)
		fd = open_elsewhere(before, cgroup_id, &ret->prog_id, &id);
	ret->link_fd = fd;
	return fd < 0 ? fd : 0;
}

int kern_agent_before(const char *pin_dir, uint64_t *ret_cgroup_id)
{
	for (size_t i = 0; i < kern_n_attachments; i++) {
		_cleanup_close_ int fd = -EBADF;
		char path[4096];
		uint32_t prog;

		if (kern_attachments[i].site != SITE_AGENT ||
		    kern_before_path(path, sizeof(path), pin_dir, kern_attachments[i].name) < 0)
			continue;
		fd = open_elsewhere(path, 0, &prog, ret_cgroup_id);
		if (fd >= 0)
			return 0;
	}
	return -ENOENT;
}
