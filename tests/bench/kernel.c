// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel knows of the pinned programs and maps.
 *
 *   kernel hold              switches run-time statistics on, prints "on", and off when it ends
 *   kernel progs DIRECTORY   "NAME RUNS NANOSECONDS" of each program pinned there
 *   kernel maps DIRECTORY    "NAME BYTES" of each map pinned there, as charged to memory
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "cleanup.h"

static int hold(void)
{
	_cleanup_close_ int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0) {
		perror("kernel: bpf_enable_stats");
		return 1;
	}
	puts("on");
	fflush(stdout);
	for (;;)
		pause();
}

static int print_prog(const char *name, int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -1;
	printf("%s %llu %llu\n", name, (unsigned long long)info.run_cnt,
	       (unsigned long long)info.run_time_ns);
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
	if (argc == 2 && !strcmp(argv[1], "hold"))
		return hold();
	if (argc == 3 && !strcmp(argv[1], "progs"))
		return each(argv[2], print_prog);
	if (argc == 3 && !strcmp(argv[1], "maps"))
		return each(argv[2], print_map);
	fprintf(stderr, "usage: kernel hold | progs DIRECTORY | maps DIRECTORY\n");
	return 2;
}
