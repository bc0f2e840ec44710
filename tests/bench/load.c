// SPDX-License-Identifier: Apache-2.0
/*
 * Pods that ask for credentials. usage: load ADDRESS PORT PATH WORKERS MS | each | once [keep]  <CGROUPS
 *
 * CGROUPS: a directory of a pod's container a line. WORKERS processes share the pods among them: each goes
 * into the next of its pods (which is not timed), and there socket, connect, request, the whole answer,
 * close; again and again for MS milliseconds, or once in each pod (each). Prints a line a worker:
 *
 *   NS...          of each request that was granted
 *   and at its end "| GRANTED REFUSED NS": how many, and how long the worker took for all
 *
 * The request says which pod it is of in Authorization, for servers without podcred. keep: KEPT requests on each
 * connection, which is made before the first of them; what is timed is a request and its answer.
 *
 * once: a worker for each pod, and all begin at the same time. Who is refused asks again until it is granted;
 * its time is from the begin. REFUSED counts the refusals in between. Exit 1 when a connection fails, or something
 * else than 200, 429 or 503 is answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

#include "net.h"

#define MOST	   8192
#define REFUSED_US 50000 /* until it asks again */
#define KEPT	   100 /* requests */

static char *pods[MOST];
static int n_pods, n_workers;
static struct sockaddr_in dest;
static const char *host, *target;
static char request[640];
static int in_pod = -1;
static bool keep;
static int kept_fd = -1, kept_left; /* keep: of the pod that the worker is in */

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
	kept_left = 0;
	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nAuthorization: pod-%d\r\n%s\r\n",
		 target, host, pod, keep ? "" : "Connection: close\r\n");
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (void *)&dest, sizeof(dest)))
		die("load: connect");
	return fd;
}

/* Whether the answer is there, by its length; of one without a length nobody knows. */
static bool is_whole(const char *answer, size_t have)
{
	const char *body = strstr(answer, "\r\n\r\n"), *len = strcasestr(answer, "content-length:");

	return body && len && len < body &&
	       have >= (size_t)(body + 4 - answer) + (size_t)atol(len + 15);
}

/* The whole answer; 0 when it was granted, -EAGAIN when the agent says that it has none yet. */
static int ask(void)
{
	static char answer[16384];
	size_t have = 0, len = strlen(request);
	int fd = keep ? kept_fd : dial();
	ssize_t n = 1;

	if (write(fd, request, len) != (ssize_t)len)
		die("load: write");
	answer[0] = '\0';
	while (n > 0 && !(keep && is_whole(answer, have))) {
		n = read(fd, answer + have, sizeof(answer) - 1 - have);
		have += n > 0 ? (size_t)n : 0;
		answer[have] = '\0';
	}
	if (!keep)
		close(fd);
	if (!strncmp(answer, "HTTP/1.1 200", 12))
		return 0;
	if (!strncmp(answer, "HTTP/1.1 503", 12) || !strncmp(answer, "HTTP/1.1 429", 12))
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

static void make_ready(void)
{
	if (!keep || kept_left--)
		return;
	if (kept_fd >= 0)
		close(kept_fd);
	kept_fd = dial();
	kept_left = KEPT - 1;
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
			do {
				make_ready();
				printf("%lld ", timed(now_ns()));
				granted++;
			} while (kept_left);
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

	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: load ADDRESS PORT PATH WORKERS MS | each | once [keep]  "
				"<CGROUPS\n");
		return 2;
	}
	dest = address(argv[1], argv[2]);
	host = argv[1];
	target = argv[3];
	keep = argc == 7;
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
