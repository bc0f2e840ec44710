// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel knows of the pinned programs and maps.
 *
 *   kernel hold CGROUP       until it ends: run-time statistics on, and two programs that do nothing
 *                            at the connects and packets of that cgroup, so that one knows what of a
 *                            figure is the call and the statistics themselves. Prints "on"; for each
 *                            line on standard input, "empty_HOOK RUNS NANOSECONDS" of both
 *   kernel progs DIRECTORY   "NAME RUNS NANOSECONDS INSTRUCTIONS BYTES" of each program pinned there:
 *                            instructions that the verifier walked, bytes of machine code
 *   kernel maps DIRECTORY    "NAME BYTES" of each map pinned there, as charged to memory
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <fcntl.h>

#include "base/cleanup.h"

#define N_EMPTY 2

static const struct {
	const char *name;
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
} empty[N_EMPTY] = {
	{"empty_connect", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
	{"empty_packet", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS},
};

static int load_empty(int i)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = empty[i].attach);

	return bpf_prog_load(empty[i].type, empty[i].name, "GPL", insns, 2, &opts);
}

static int print_prog(const char *name, int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -1;
	printf("%s %llu %llu %u %u\n", name, (unsigned long long)info.run_cnt,
	       (unsigned long long)info.run_time_ns, info.verified_insns, info.jited_prog_len);
	return 0;
}

/* A link ends with its descriptor: nothing stays behind, however this ends. */
static int hold(const char *cgroup)
{
	_cleanup_close_ int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	_cleanup_close_ int dir = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int prog[N_EMPTY];
	char line[16];

	if (stats < 0 || dir < 0) {
		perror("kernel: hold");
		return 1;
	}
	for (int i = 0; i < N_EMPTY; i++) {
		prog[i] = load_empty(i);
		if (prog[i] < 0 || bpf_link_create(prog[i], dir, empty[i].attach, NULL) < 0) {
			perror("kernel: an empty program");
			return 1;
		}
	}
	puts("on");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		for (int i = 0; i < N_EMPTY; i++)
			print_prog(empty[i].name, prog[i]);
		fflush(stdout);
	}
	return 0;
}

static int print_map(const char *name, int fd)
{
	char path[64], line[256];
	_cleanup_fclose_ FILE *info = NULL;
	unsigned long long bytes;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info)) {
		if (sscanf(line, "memlock: %llu", &bytes) != 1)
			continue;
		printf("%s %llu\n", name, bytes);
		return 0;
	}
	return -1;
}

static int each(const char *directory, int (*print)(const char *, int))
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[512];
	int r = 0;

	if (!dir) {
		perror(directory);
		return 1;
	}
	while (r == 0 && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -EBADF;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		fd = bpf_obj_get(path);
		if (fd < 0 || print(entry->d_name, fd)) {
			perror(path);
			r = 1;
		}
	}
	closedir(dir);
	return r;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "hold"))
		return hold(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "progs"))
		return each(argv[2], print_prog);
	if (argc == 3 && !strcmp(argv[1], "maps"))
		return each(argv[2], print_map);
	fprintf(stderr, "usage: kernel hold CGROUP | progs DIRECTORY | maps DIRECTORY\n");
	return 2;
}
