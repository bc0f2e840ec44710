// SPDX-License-Identifier: Apache-2.0
/* Who owns the programs on a cgroup, and how they share the hook. */
#include "kernel/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static enum kern_sharing sharing_of(uint32_t flags)
{
	if (flags & BPF_F_ALLOW_MULTI)
		return KERN_SHARES;
	return flags & BPF_F_ALLOW_OVERRIDE ? KERN_OVERRIDABLE : KERN_EXCLUSIVE;
}

static void read_name(uint32_t id, char ret_name[KERN_PROG_NAME])
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	ret_name[0] = '\0';
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		memcpy(ret_name, info.name, 16);
	ret_name[15] = '\0';
}

const char *kern_prog_name(uint32_t id, char buf[KERN_PROG_NAME])
{
	read_name(id, buf);
	if (!buf[0])
		snprintf(buf, KERN_PROG_NAME, "?");
	return buf;
}

int kern_attached_each(const char *cgroup, bool agent_side,
		       int (*fn)(void *arg, const struct kern_attached *attached), void *arg)
{
	_cleanup_close_ int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum site site = agent_side ? SITE_AGENT : SITE_GUARD;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < kern_n_attachments; i++) {
		uint32_t ids[64], n = ARRAY_SIZE(ids), flags = 0;

		if (kern_attachments[i].site != site)
			continue;
		if (bpf_prog_query(fd, (enum bpf_attach_type)kern_attachments[i].type, 0, &flags,
				   ids, &n) < 0) {
			if (errno == EPERM)
				return -EPERM;
			continue; /* a hook that this kernel does not have */
		}
		for (uint32_t k = 0; k < n; k++) {
			struct kern_attached attached = {.hook = kern_attachments[i].hook,
							 .id = ids[k],
							 .sharing = sharing_of(flags)};
			int r;

			read_name(ids[k], attached.name);
			r = fn(arg, &attached);
			if (r)
				return r;
		}
	}
	return 0;
}

bool kern_is_own_program(const char *pin_dir, uint32_t id)
{
	for (size_t i = 0; i < kern_n_attachments; i++) {
		_cleanup_close_ int fd = -EBADF;
		char path[4096];

		if (kern_pin_path(path, sizeof(path), pin_dir, PROGS_DIR,
				  kern_attachments[i].name) < 0)
			return false;
		fd = bpf_obj_get(path);
		if (fd >= 0 && kern_prog_id_of(fd) == id)
			return true;
	}
	return false;
}
