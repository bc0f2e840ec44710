// SPDX-License-Identifier: Apache-2.0
/*
 * Pods that ask for credentials. usage: load ADDRESS PORT PATH WORKERS MS | each | once  <CGROUPS
 *
 * CGROUPS: a directory of a pod's container a line. WORKERS processes share the pods among them: each goes
 * into the next of its pods (which is not timed), and there socket, connect, request, the whole answer,
 * close; again and again for MS milliseconds, or once in each pod (each). Prints a line a worker:
 *
 *   NS...          of each request that was granted
 *   and at its end "| GRANTED REFUSED NS": how many, and how long the worker took for all
 *
 * once: a worker for each pod, and all begin at the same time. Who is refused asks again until it is granted;
 * its time is from the begin. REFUSED counts the refusals in between. Exit 1 when a connection fails, or something
 * else than 200 or 503 is answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "net.h"

#define MOST	   8192
#define REFUSED_US 50000 /* until it asks again */

static char *pods[MOST];
static int n_pods, n_workers;
static struct sockaddr_in dest;
static char request[512];
static int in_pod = -1;

static void read_pods(void)
{
	char line[512];

	while (n_pods < MOST && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		pods[n_pods++] = strdup(line);
	}
	if (!n_pods)
		die("load: no pods");
}

static void enter(int pod)
{
	char path[640];
	int fd;

	if (pod == in_pod)
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", pods[pod]);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
	in_pod = pod;
}

/* The whole answer; 0 when it was granted, -EAGAIN when the agent says that it has none yet. */
static int ask(void)
{
	static char answer[16384];
	size_t have = 0, len = strlen(request);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t n;

	if (fd < 0 || connect(fd, (void *)&dest, sizeof(dest)))
		die("load: connect");
	if (write(fd, request, len) != (ssize_t)len)
		die("load: write");
	while ((n = read(fd, answer + have, sizeof(answer) - 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	answer[have] = '\0';
	if (!strncmp(answer, "HTTP/1.1 200", 12))
		return 0;
	if (!strncmp(answer, "HTTP/1.1 503", 12))
		return -EAGAIN;
	fprintf(stderr, "load: %.300s\n", answer);
	exit(1);
}

static long refused;

static long long timed(long long since)
{
	while (ask() < 0) {
		refused++;
		usleep(REFUSED_US);
	}
	return now_ns() - since;
}

/* ms 0: each pod once. */
static void work(int worker, long ms)
{
	long long start = now_ns(), end = ms ? start + ms * 1000000LL : 0;
	long granted = 0;

	do {
		for (int pod = worker % n_pods; pod < n_pods && (!end || now_ns() < end);
		     pod += n_workers) {
			enter(pod);
			printf("%lld ", timed(now_ns()));
			granted++;
		}
	} while (end && now_ns() < end);
	printf("| %ld %ld %lld\n", granted, refused, now_ns() - start);
}

/* A worker for each pod: they are all there before the first one asks. */
static void work_once(int worker, int gate)
{
	long long start;
	char byte;

	enter(worker);
	if (read(gate, &byte, 1) != 0) /* its other end is closed */
		die("load: gate");
	start = now_ns();
	printf("%lld ", timed(start));
	printf("| 1 %ld %lld\n", refused, now_ns() - start);
}

/* Nothing is written while something is timed. */
static void child(int worker, long ms, bool once, int gate)
{
	static char out[1 << 22];

	setvbuf(stdout, out, _IOFBF, sizeof(out));
	if (once)
		work_once(worker, gate);
	else
		work(worker, ms);
	fflush(stdout);
	_exit(0);
}

static int join(int children)
{
	int status, bad = 0;

	for (int i = 0; i < children; i++)
		if (wait(&status) < 0 || status)
			bad = 1;
	return bad;
}

int main(int argc, char **argv)
{
	int gate[2];
	bool once;
	long ms;

	if (argc != 6) {
		fprintf(stderr,
			"usage: load ADDRESS PORT PATH WORKERS MS | each | once  <CGROUPS\n");
		return 2;
	}
	dest = address(argv[1], argv[2]);
	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nConnection: close\r\n\r\n", argv[3],
		 argv[1]);
	once = !strcmp(argv[5], "once");
	ms = once || !strcmp(argv[5], "each") ? 0 : number(argv[5]);
	read_pods();
	n_workers = once ? n_pods : (int)number(argv[4]);
	if (pipe2(gate, O_CLOEXEC))
		die("load: pipe");
	for (int i = 0; i < n_workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("load: fork");
		if (pid == 0) {
			close(gate[1]);
			child(i, ms, once, gate[0]);
		}
	}
	close(gate[1]);
	return join(n_workers);
}
