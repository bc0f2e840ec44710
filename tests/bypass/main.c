// SPDX-License-Identifier: Apache-2.0
/*
 * bypass list			the rows: number, kind, place, setup, without, want, open, needs, name
 *				kind: older, hijacked, neighbour or -
 * bypass row N [READY GATE]	run one. With READY and the FIFO GATE: prepare, make the one, wait at the
 *				other, run
 * bypass imds			the real service
 * bypass wire NETNS NETNS	a tun device in each, and what goes into the one comes out of the other
 * bypass hold			connections to the real service; prints their ports
 * bypass txvlan DEVICE on|off	whether the device puts VLAN tags in by itself
 * bypass hijacker		answers in the agent's place
 * bypass neighbour		a hostile pod on the bridge, which does as it is told
 * bypass crowd FILE		the same to all whose addresses are in the file, until SIGTERM; reads and hands on
 * bypass connect4 CGROUP HOST	a connect hook that sends what is for the agent to the one at HOST
 *
 * A row's outcome, one line: R reached the real address; "R mute" reached, but the answer that the row
 * waits for did not come, and what did; A redirected, stamped with this pod; "A direct"; "A seen", but the client
 * sees the agent's address; U reached the agent without a stamp; H came to a hijacker,
 * or his answer to the client. Of a neighbour on the bridge: "H read" he saw payload; "H seen" only frames;
 * "H taken" the agent took him for the victim; "H false" the victim read his answer; "H reached" what he
 * sent in a name that is not his was accepted; "H ended" it ended the victim's connection. D dropped; E... error to the caller;
 * "n/a why"; WRONG another pod's identity; BROKEN the row itself did not work.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bypass.h"

#define SETTLE_MS 20
#define LIMIT_S	  30 /* for a row that hangs; WAIT_FACTOR times that */

static const struct vector *const families[] = {
	tcp_vectors,	    tcp_option_vectors, mptcp_vectors,	udp_vectors,	udplite_vectors,
	raw_vectors,	    raw6_vectors,	packet_vectors, xdp_vectors,	uring_vectors,
	descriptor_vectors, place_vectors,	netns_vectors,	tunnel_vectors, older_vectors,
	uplink_vectors,	    host_vectors,	agent_vectors,	absent_vectors, hijack_vectors,
	neighbour_vectors,
};

/* The n-th row of all families, from 1. */
static const struct vector *find(int n)
{
	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++)
		for (const struct vector *v = families[f]; v->name; v++)
			if (--n == 0)
				return v;
	return NULL;
}

static void list(void)
{
	const struct vector *v;

	for (int n = 1; (v = find(n)); n++)
		printf("%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n,
		       v->neighbour  ? "neighbour"
		       : v->hijacked ? "hijacked"
		       : v->prepare  ? "older"
				     : "-",
		       v->place ?: "pod", v->setup ?: "-", v->without ?: "R", v->want ?: "-",
		       v->open ?: "-", v->needs ?: "-", v->name);
}

static uint64_t reached_by_now(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t n;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", setting("BYPASS_COUNTER"));
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    recv(fd, &n, sizeof(n), MSG_WAITALL) != sizeof(n)) {
		fprintf(stderr, "%s: %s\n", un.sun_path, strerror(errno));
		exit(2);
	}
	close(fd);
	return n;
}

/* Until nothing arrives any more: what a row sent must not be counted as the next one's. */
static uint64_t settled(const struct vector *v)
{
	uint64_t (*by_now)(void) = v->neighbour	 ? neighbour_frames_by_now
				   : v->hijacked ? hijacked_by_now
						 : reached_by_now;
	uint64_t last, now = by_now();

	do {
		last = now;
		usleep(SETTLE_MS * 1000);
		now = by_now();
	} while (now != last);
	return now;
}

/* The gate is a FIFO: a dozen rows wait there for most of the suite, and must not be felt. */
static void wait_at(const char *ready, const char *gate)
{
	int fd = open(ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		exit(2);
	close(fd);
	fd = open(gate, O_RDONLY | O_CLOEXEC); /* until somebody opens it to write */
	if (fd < 0)
		exit(2);
	close(fd);
}

struct outcome {
	int result;
	uint64_t before;
	char line[1024];
};

/* Whether this row has to be answered in this column (run.sh). */
static bool is_answer_due(const struct vector *v)
{
	if (!strcmp(setting("BYPASS_COLUMN"), "without"))
		return v->answers && !v->without;
	return !strcmp(setting("BYPASS_COLUMN"), "podcred") && v->want && v->want[0] == 'A';
}

/* In a child: its descriptors, namespaces and threads end with it. */
static void attempt(const struct vector *v, char **files, struct outcome *out)
{
	static const uint8_t bridge[] = {2, 0, 0, 0, 0x99, 1}, imds[] = {2, 0, 0, 0, 0x98, 2};
	bool on_host = v->place && (!strcmp(v->place, "hostpod") || !strcmp(v->place, "host"));
	struct row row = {.vector = v, .fd = -1};
	int r = 0;

	row.device = on_host ? "uplink" : "eth0";
	row.gateway = on_host ? imds : bridge;
	signal(SIGPIPE, SIG_IGN);
	expect_answer(is_answer_due(v));
	if (v->prepare)
		r = v->prepare(&row);
	if (files)
		wait_at(files[0], files[1]);
	out->before = settled(v);
	out->result = r < 0 ? r : v->run(&row);
	memcpy(out->line, row.line, sizeof(out->line));
	reset_all();
}

static bool field_is(const char *line, const char *field, const char *value)
{
	char text[128];

	snprintf(text, sizeof(text), "%s=%s ", field, value);
	return strstr(line, text);
}

static const char *stamped(const char *line)
{
	if (!field_is(line, "pod", setting("BYPASS_POD")))
		return "WRONG";
	return field_is(line, "direct", "1") ? "A direct" : "A";
}

/* In place of the answer that was due. */
static const char *heard(const struct outcome *out)
{
	if (out->result > 0)
		return out->line;
	return out->result ? strerrorname_np(-out->result) ?: "an unknown error" : "nothing";
}

static void judge(const struct vector *v, const struct outcome *out, uint64_t after)
{
	bool real = out->result > 0 && !strncmp(out->line, "REAL", 4);

	const char *did = v->neighbour ? neighbour_outcome(out->line) : NULL;

	if (v->neighbour)
		after = out->before;
	if (did)
		printf("H %s\n", did);
	else if (out->result == ABSENT)
		printf("n/a %s\n", out->line);
	else if (v->hijacked && (after != out->before || !strncmp(out->line, "HIJACK", 6)))
		printf("H\n");
	else if (real && after == out->before)
		printf("BROKEN an answer, but nothing was counted\n");
	else if (after != out->before && v->answers && !real)
		printf("R mute (%s)\n", heard(out));
	else if (after != out->before)
		printf("R\n");
	else if (out->result > 0 && !strncmp(out->line, "pod=", 4))
		printf("%s\n", stamped(out->line));
	else if (out->result > 0 && !strncmp(out->line, "peer=", 5))
		printf("A seen\n");
	else if (out->result > 0 && !strncmp(out->line, "error=", 6))
		printf("U\n");
	else if (out->result > 0)
		printf("BROKEN answer %s\n", out->line);
	else if (out->result == 0 || out->result == -EINPROGRESS || out->result == -EAGAIN ||
		 out->result == -ETIMEDOUT)
		printf("D\n");
	else
		printf("%s\n", strerrorname_np(-out->result) ?: "EUNKNOWN");
}

static int limit_ms(void)
{
	return LIMIT_S * 1000 * wait_factor();
}

/* Where a process sleeps in the kernel, for the one who has to find out why. */
static void print_hung(pid_t pid)
{
	char path[64], where[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	f = fopen(path, "re");
	if (f) {
		where[fread(where, 1, sizeof(where) - 1, f)] = '\0';
		fclose(f);
	}
	printf("BROKEN the row hung, in %s\n", where[0] ? where : "an unknown place");
}

/* The group of a row that hangs is ended as a whole. */
static bool ended(pid_t pid, int pidfd, bool gated)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int status;

	if (poll(&p, 1, gated ? -1 : limit_ms()) <= 0) {
		print_hung(pid);
		kill(-pid, SIGKILL);
		waitpid(pid, &status, 0);
		return false;
	}
	waitpid(pid, &status, 0);
	if (status != 0)
		printf("BROKEN the row ended with %s %d\n",
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return status == 0;
}

static int row(int n, char **files)
{
	const struct vector *v = find(n);
	struct outcome *out =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (!v || out == MAP_FAILED)
		return 2;
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		attempt(v, files, out);
		_exit(0);
	}
	setpgid(pid, pid);
	if (ended(pid, pidfd_open(pid, 0), files))
		judge(v, out, settled(v));
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "list") && argc == 2) {
		list();
		return 0;
	}
	if (!strcmp(what, "imds") && argc == 2)
		return imds_serve(setting("BYPASS_COUNTER"));
	if (!strcmp(what, "wire") && argc == 4)
		return wire(argv[2], argv[3]);
	if (!strcmp(what, "hold") && argc == 2)
		return hold();
	if (!strcmp(what, "txvlan") && argc == 4)
		return txvlan(argv[2], !strcmp(argv[3], "on"));
	if (!strcmp(what, "hijacker") && argc == 2)
		return hijack_serve();
	if (!strcmp(what, "neighbour") && argc == 2)
		return neighbour_serve();
	if (!strcmp(what, "crowd") && argc == 3)
		return neighbour_crowd(argv[2]);
	if (!strcmp(what, "connect4") && argc == 4)
		return hijack_connect4(argv[2], argv[3]);
	if (!strcmp(what, "row") && (argc == 3 || argc == 5))
		return row(atoi(argv[2]), argc == 5 ? argv + 3 : NULL);
	fprintf(stderr,
		"usage: bypass list|row N [READY GATE]|imds|wire NETNS NETNS|hold|"
		"txvlan DEVICE on|off|hijacker|neighbour|crowd FILE|connect4 CGROUP HOST\n");
	return 2;
}
