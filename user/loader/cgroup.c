// SPDX-License-Identifier: Apache-2.0
/* Between cgroup ids, which the kernel speaks, and directories. */
#include "internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "insn.h"

int cgroup_open_by_id(const char *cgroup_mount, uint64_t id)
{
	_cleanup_close_ int mount_fd = open(cgroup_mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} fh = {};
	int fd;

	if (mount_fd < 0)
		return -errno;
	fh.handle.handle_bytes = sizeof(id);
	fh.handle.handle_type = 0xfe; /* FILEID_KERNFS: the id is the handle */
	memcpy(fh.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount_fd, &fh.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int loader_cgroup_path(const char *cgroup_mount, uint64_t id, char **ret)
{
	_cleanup_close_ int fd = cgroup_open_by_id(cgroup_mount, id);
	char link[64], path[4096];
	ssize_t n;

	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	*ret = strdup(path);
	return *ret ? 0 : -ENOMEM;
}

int loader_self_cgroup_id(uint64_t *ret)
{
	_cleanup_close_ int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "podcred_self", 4, 8, 1, NULL);
	LIBBPF_OPTS(bpf_test_run_opts, run);
	_cleanup_close_ int prog = -EBADF;
	uint32_t zero = 0;

	if (map < 0)
		return map;
	const struct bpf_insn insns[] = {
		CALL(BPF_FUNC_get_current_cgroup_id),
		STORE(BPF_REG_10, BPF_REG_0, -8),
		STORE_IMM32(BPF_REG_10, -12, 0),
		LOAD_MAP(BPF_REG_1, map),
		MOV_REG(BPF_REG_2, BPF_REG_10),
		ADD_IMM(BPF_REG_2, -12),
		MOV_REG(BPF_REG_3, BPF_REG_10),
		ADD_IMM(BPF_REG_3, -8),
		MOV_IMM(BPF_REG_4, BPF_ANY),
		CALL(BPF_FUNC_map_update_elem),
		MOV_IMM(BPF_REG_0, 0),
		EXIT(),
	};

	prog = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "podcred_self", "GPL", insns,
			     ARRAY_SIZE(insns), NULL);
	if (prog < 0)
		return prog;
	if (bpf_prog_test_run_opts(prog, &run) < 0)
		return -errno;
	return bpf_map_lookup_elem(map, &zero, ret) < 0 ? -errno : 0;
}
