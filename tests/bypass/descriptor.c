// SPDX-License-Identifier: Apache-2.0
/* One socket, several pods: who made it, who connects it, who uses it. */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bypass.h"

#define POD   "BYPASS_POD_CGROUP"
#define OTHER "BYPASS_OTHER_CGROUP"
#define HOST  "BYPASS_HOST_CGROUP"

enum how { PASS, MOVE, GETFD };

struct shared {
	int result;
	struct row row;
};

static struct shared *shared_row(const struct row *row)
{
	struct shared *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		exit(2);
	s->row = *row;
	return s;
}

static void give(int to, int fd)
{
	char byte = 0, space[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c = (struct cmsghdr *)space;

	msg.msg_control = space;
	msg.msg_controllen = sizeof(space);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(to, &msg, 0) < 0)
		exit(2);
}

static int take(int from)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fd;

	msg.msg_control = space;
	msg.msg_controllen = sizeof(space);
	if (recvmsg(from, &msg, 0) < 0 || !CMSG_FIRSTHDR(&msg))
		exit(2);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Make, connect, use. A datagram socket is not connected. */
static int stage(int n, int fd, int type, struct shared *s)
{
	if (n == 0)
		return socket(AF_INET, type, 0);
	if (s->result < 0)
		return fd;
	if (n == 1 && type == SOCK_STREAM)
		s->result = dial(fd, IMDS4, 80, false);
	if (n == 2 && type == SOCK_STREAM)
		s->result = hear(&s->row, fd);
	if (n == 2 && type == SOCK_DGRAM)
		s->result = send_and_hear(&s->row, fd, IMDS4, 80, false);
	if (n == 2)
		reset_all();
	return fd;
}

static void move_through(const char *const *cgroups, int type, struct shared *s)
{
	int fd = -1;

	for (int n = 0; n < 3; n++) {
		join_cgroup(setting(cgroups[n]));
		fd = stage(n, fd, type, s);
	}
}

/* A process for each stage, one after another; the socket waits in the pipe between them. */
static void pass_through(const char *const *cgroups, int type, struct shared *s)
{
	int pipe[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pipe) < 0)
		exit(2);
	for (int n = 0; n < 3; n++) {
		if (fork() == 0) {
			join_cgroup(setting(cgroups[n]));
			give(pipe[1], stage(n, n ? take(pipe[0]) : -1, type, s));
			_exit(0);
		}
		if (wait(&status) < 0 || status)
			exit(2);
	}
}

/* The maker lives on; the other process helps itself. */
static void steal(const char *const *cgroups, int type, struct shared *s)
{
	int fd, ready[2];
	pid_t maker;
	char byte;

	if (pipe(ready) < 0)
		exit(2);
	maker = fork();
	if (maker == 0) {
		join_cgroup(setting(cgroups[0]));
		fd = socket(AF_INET, type, 0);
		if (dup2(fd, 100) < 0 || write(ready[1], "", 1) != 1)
			_exit(2);
		pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		exit(2);
	fd = pidfd_getfd(pidfd_open(maker, 0), 100, 0);
	if (fd < 0)
		exit(2);
	for (int n = 1; n < 3; n++) {
		join_cgroup(setting(cgroups[n]));
		stage(n, fd, type, s);
	}
	kill(maker, SIGKILL);
	waitpid(maker, NULL, 0);
}

static int staged(struct row *row, enum how how, int type, const char *made, const char *connected,
		  const char *used)
{
	const char *const cgroups[] = {made, connected, used};
	struct shared *s = shared_row(row);

	if (how == MOVE)
		move_through(cgroups, type, s);
	else if (how == PASS)
		pass_through(cgroups, type, s);
	else
		steal(cgroups, type, s);
	*row = s->row;
	return s->result;
}

#define STAGED(function, how, type, made, connected, used)                                         \
	static int function(struct row *row)                                                       \
	{                                                                                          \
		return staged(row, how, type, made, connected, used);                              \
	}

STAGED(pass_connect_other, PASS, SOCK_STREAM, POD, OTHER, OTHER)
STAGED(pass_from_other, PASS, SOCK_STREAM, OTHER, POD, POD)
STAGED(pass_from_host, PASS, SOCK_STREAM, HOST, POD, POD)
STAGED(pass_connect_host, PASS, SOCK_STREAM, POD, HOST, HOST)
STAGED(pass_use_other, PASS, SOCK_STREAM, POD, POD, OTHER)
STAGED(pass_use_host, PASS, SOCK_STREAM, POD, POD, HOST)
STAGED(pass_host_connects, PASS, SOCK_STREAM, HOST, HOST, POD)
STAGED(move_to_other, MOVE, SOCK_STREAM, POD, OTHER, OTHER)
STAGED(move_to_host, MOVE, SOCK_STREAM, POD, HOST, HOST)
STAGED(move_from_host, MOVE, SOCK_STREAM, HOST, POD, POD)
STAGED(move_after, MOVE, SOCK_STREAM, POD, POD, OTHER)
STAGED(steal_from_pod, GETFD, SOCK_STREAM, POD, OTHER, OTHER)
STAGED(steal_from_host, GETFD, SOCK_STREAM, HOST, POD, POD)
STAGED(udp_from_other, PASS, SOCK_DGRAM, OTHER, POD, POD)
STAGED(udp_from_host, PASS, SOCK_DGRAM, HOST, POD, POD)
STAGED(udp_to_host, PASS, SOCK_DGRAM, POD, HOST, HOST)

/* Born in another pod, with the socket of this one. */
static int clone_into(struct row *row)
{
	struct shared *s = shared_row(row);
	int fd = socket(AF_INET, SOCK_STREAM, 0), status;
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
		uint64_t set_tid, set_tid_size, cgroup;
	} args = {.flags = 0x200000000ULL /* CLONE_INTO_CGROUP */, .exit_signal = SIGCHLD};
	FILE *dir = fopen(setting(OTHER), "r");
	long pid;

	if (!dir)
		return -errno;
	args.cgroup = (uint64_t)fileno(dir);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return absent(row, "no CLONE_INTO_CGROUP in this kernel");
	if (pid == 0) {
		s->result = dial_and_hear(&s->row, fd, IMDS4, 80, false);
		_exit(0);
	}
	waitpid((pid_t)pid, &status, 0);
	*row = s->row;
	return s->result;
}

/* Raw and packet sockets that the host made: their creator may, the pod may not. */
static int raw_from_host(struct row *row)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 0, false);
	struct packet p = {0};
	int fd, r;

	(void)row;
	join_cgroup(setting(HOST));
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	join_cgroup(setting(POD));
	syn4(&p, IMDS4);
	r = negative(sendto(fd, p.data, p.len, 0, (struct sockaddr *)&ss, len));
	return r < 0 ? r : 0;
}

const struct vector descriptor_vectors[] = {
	{"made here, connected in another pod (SCM_RIGHTS)", pass_connect_other, .want = "EACCES",
	 .answers = true},
	{"made in another pod, connected here (SCM_RIGHTS)", pass_from_other, .want = "EACCES",
	 .answers = true},
	{"made outside, connected here (SCM_RIGHTS)", pass_from_host, .answers = true,
	 .needs = NEEDS_PACKETS},
	{"made here, connected outside (SCM_RIGHTS)", pass_connect_host, .want = "EACCES",
	 .answers = true},
	{"connected here, used in another pod (SCM_RIGHTS)", pass_use_other, .want = "A",
	 .answers = true},
	{"connected here, used outside (SCM_RIGHTS)", pass_use_host, .want = "A", .answers = true},
	{"connected outside, used here (SCM_RIGHTS)", pass_host_connects, .answers = true,
	 .needs = NEEDS_PACKETS},
	{"made here, moved to another pod, connected", move_to_other, .want = "EACCES",
	 .answers = true},
	{"made here, moved outside, connected", move_to_host, .want = "EACCES", .answers = true},
	{"made outside, moved here, connected", move_from_host, .answers = true,
	 .needs = NEEDS_PACKETS},
	{"connected here, moved to another pod, used", move_after, .want = "A", .answers = true},
	{"made here, taken by another pod (pidfd_getfd)", steal_from_pod, .want = "EACCES",
	 .answers = true},
	{"made outside, taken by a pod (pidfd_getfd)", steal_from_host, .answers = true,
	 .needs = NEEDS_PACKETS},
	{"made here, clone3 into another pod, connected", clone_into, .want = "EACCES",
	 .answers = true},
	{"UDP, made in another pod, used here", udp_from_other, .want = "EACCES", .answers = true},
	{"UDP, made outside, used here", udp_from_host, .answers = true, .needs = NEEDS_PACKETS},
	{"UDP, made here, used outside", udp_to_host, .want = "EACCES|EPERM", .answers = true},
	{"raw socket made outside, used here", raw_from_host, .needs = NEEDS_PACKETS},
	{0},
};
