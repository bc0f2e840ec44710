// SPDX-License-Identifier: Apache-2.0
/* Conversion between cgroup ids, which the kernel uses, and directories. */
#include "kernel/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "kernel/insn.h"

static int open_by_handle(const char *cgroup_mount, uint64_t id)
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

static void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool is_child(const struct dirent *entry)
{
	return entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
	       strcmp(entry->d_name, "..") != 0;
}

/* Makes path that of the cgroup below it with this id, which is its inode's number too. -ESTALE: it
 * is not there; -EPERM: nor in what this process may read. */
static int walk_to(char path[PATH_MAX], uint64_t id)
{
	_cleanup_(cleanup_closedir) DIR *dir = opendir(path);
	size_t len = strlen(path);
	bool denied = false;
	struct dirent *entry;
	int r = -ESTALE;

	if (!dir)
		return errno == ENOENT ? -ESTALE : -EPERM;
	while (r < 0 && (entry = readdir(dir))) {
		if (!is_child(entry) || snprintf(path + len, PATH_MAX - len, "/%s",
						 entry->d_name) >= (int)(PATH_MAX - len))
			continue;
		r = entry->d_ino == id ? 0 : walk_to(path, id);
		denied |= r == -EPERM;
	}
	if (r < 0)
		path[len] = '\0';
	return r < 0 && denied ? -EPERM : r;
}

static int open_by_walk(const char *cgroup_mount, uint64_t id)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, r;

	snprintf(path, sizeof(path), "%s", cgroup_mount);
	r = stat(path, &st) == 0 && st.st_ino == id ? 0 : walk_to(path, id);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESTALE : -errno; /* removed meanwhile */
}

int kern_cgroup_open_by_id(const char *cgroup_mount, uint64_t id)
{
	int r = open_by_handle(cgroup_mount, id); /* takes CAP_DAC_READ_SEARCH */

	return r == -EPERM ? open_by_walk(cgroup_mount, id) : r;
}

int kern_cgroup_path(const char *cgroup_mount, uint64_t id, char **ret)
{
	_cleanup_close_ int fd = kern_cgroup_open_by_id(cgroup_mount, id);
	char link[64], path[PATH_MAX];
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

int kern_self_cgroup_id(uint64_t *ret)
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
