// SPDX-License-Identifier: Apache-2.0
/*
 * What the verifier of the running kernel says to each program, one by one:
 *   PROGRAM <tab> ok <tab> instructions processed
 *   PROGRAM <tab> left-out <tab> the feature that this kernel lacks
 *   PROGRAM <tab> refused <tab> errno, and the last words of the log (all of it with --log)
 * A limit as argument: fails when a program is refused, or takes more instructions than that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/internal.h"

#define LOG_STATS 4 /* BPF_LOG_STATS */
#define LOG_SIZE  (16U << 20)

static char *buf;

static long processed(void)
{
	const char *text = strstr(buf, "processed ");

	return text ? strtol(text + strlen("processed "), NULL, 10) : -1;
}

/* The line before the figures tells why. */
static void print_reason(bool whole)
{
	char *end = strstr(buf, "processed "), *line;

	if (whole) {
		printf("%s\n", buf);
		return;
	}
	if (end)
		*end = '\0';
	for (size_t n = strlen(buf); n > 0 && buf[n - 1] == '\n'; n--)
		buf[n - 1] = '\0';
	line = strrchr(buf, '\n');
	printf("%s\n", line ? line + 1 : buf);
}

/* Loads that one alone. Returns its instructions, or -errno with the log in buf. */
static long try_program(const char *name, int level)
{
	struct bpf_program *prog;
	struct podcred *skel;
	long n;
	int r;

	r = kern_object_open(&skel);
	if (r < 0)
		return r;
	bpf_object__for_each_program (prog, skel->obj) {
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
		bpf_program__set_log_buf(prog, buf, LOG_SIZE);
		bpf_program__set_log_level(prog, (uint32_t)level);
	}
	buf[0] = '\0';
	r = podcred__load(skel);
	n = r < 0 ? r : processed();
	podcred__destroy(skel);
	return n;
}

static bool check(const struct attachment *att, long limit, bool log)
{
	size_t n_features;
	long n;

	if (!kern_attachment_wanted(att)) {
		printf("%s\tleft-out\t%s\n", att->name,
		       kern_features(&n_features)[att->feature].name);
		return true;
	}
	n = try_program(att->name, LOG_STATS);
	if (n >= 0) {
		printf("%s\tok\t%ld\n", att->name, n);
		return n <= limit;
	}
	try_program(att->name, LOG_STATS | (log ? 2 : 1));
	printf("%s\trefused\t%s: ", att->name, strerror((int)-n));
	print_reason(log);
	return false;
}

int main(int argc, char **argv)
{
	bool ok = true, log = false;
	long limit = 1000000;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--log"))
			log = true;
		else
			limit = strtol(argv[i], NULL, 10);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	buf = calloc(1, LOG_SIZE);
	if (!buf)
		return 1;
	for (size_t i = 0; i < kern_n_attachments; i++)
		ok &= check(&kern_attachments[i], limit, log);
	free(buf);
	return ok ? 0 : 1;
}
