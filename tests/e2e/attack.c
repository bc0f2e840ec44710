// SPDX-License-Identifier: Apache-2.0
/*
 * attack - what a hostile pod may try.
 *
 *	attack descriptor HOW ADDRESS PORT CREATE CONNECT USE
 *		A socket is made in cgroup CREATE, connected in CONNECT and read in USE, and gets
 *		from one to the other by SCM_RIGHTS (HOW: pass) or because its process moves (HOW:
 *		move). Prints the line read from the server, or errno=NAME of the connect.
 *	attack poison SOURCE PORT ADDRESS PORT [transparent]
 *		bind to SOURCE:PORT and connect to ADDRESS:PORT, again and again until SIGTERM.
 *		attempts=N connects=N errno=LAST. transparent: the address is somebody else's.
 *	attack optmem ADDRESS PORT
 *		Uses up the socket's option memory, then connects. Prints as descriptor does.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/wait.h>

#include "net.h"

#define STAGES 3

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

/* ---- descriptors that change hands ---- */

static void join_cgroup(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
}

static void send_descriptor(int channel, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = "f", .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(channel, &msg, 0) < 0)
		die("SCM_RIGHTS");
}

static int receive_descriptor(int channel)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(channel, &msg, 0) <= 0)
		exit(1); /* the stage before this one has said why */
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg)
		die("no descriptor");
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

static void connect_or_end(int fd, const struct sockaddr_storage *to, socklen_t len)
{
	static const struct timeval limit = {.tv_sec = 20};

	/* a connect that nobody redirects may meet a black hole */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)to, len) == 0)
		return;
	printf("errno=%s\n", errno_name(errno));
	exit(0);
}

static void print_line(int fd)
{
	char line[1024];

	if (read_line(fd, line, sizeof(line)) < 0)
		die("read");
	printf("%s\n", line);
}

static int stage(int n, int fd, const struct sockaddr_storage *to, socklen_t len)
{
	if (n == 0)
		fd = socket(to->ss_family, SOCK_STREAM, IPPROTO_TCP);
	else if (n == 1)
		connect_or_end(fd, to, len);
	else
		print_line(fd);
	return fd;
}

static void move_through(char **cgroups, const struct sockaddr_storage *to, socklen_t len)
{
	int fd = -1;

	for (int n = 0; n < STAGES; n++) {
		join_cgroup(cgroups[n]);
		fd = stage(n, fd, to, len);
	}
}

/* One process for each stage; all live until the last has read. */
static void pass_through(char **cgroups, const struct sockaddr_storage *to, socklen_t len)
{
	int in = -1, fd = -1, status, result = 0;

	for (int n = 0; n < STAGES; n++) {
		int pair[2];
		pid_t pid;

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			die("socketpair");
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			join_cgroup(cgroups[n]);
			if (n > 0)
				fd = receive_descriptor(in);
			fd = stage(n, fd, to, len);
			if (n + 1 < STAGES)
				send_descriptor(pair[1], fd);
			exit(0);
		}
		close(pair[1]);
		in = pair[0];
	}
	while (wait(&status) > 0)
		if (!WIFEXITED(status))
			result = 1;
	exit(result);
}

static int descriptor(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = endpoint(&to, argv[3], argv[4], false);

	if (!strcmp(argv[2], "move"))
		move_through(argv + 5, &to, len);
	else
		pass_through(argv + 5, &to, len);
	return 0;
}

/* ---- somebody else's 4-tuple ---- */

static int poison(int argc, char **argv)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = endpoint(&from, argv[2], argv[3], false);
	socklen_t to_len = endpoint(&to, argv[4], argv[5], false);
	long attempts = 0, connects = 0;
	int error = 0;

	signal(SIGTERM, on_term);
	while (!stop) {
		int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);

		if (fd < 0)
			die("socket");
		set_one(fd, SOL_SOCKET, SO_REUSEADDR);
		if (argc > 6)
			set_one(fd, IPPROTO_IP, IP_TRANSPARENT);
		attempts++;
		if (bind(fd, (struct sockaddr *)&from, from_len) < 0)
			die("bind");
		if (connect(fd, (struct sockaddr *)&to, to_len) == 0 || errno == EINPROGRESS)
			connects++;
		else
			error = errno;
		close_with_reset(fd);
	}
	printf("attempts=%ld connects=%ld errno=%s\n", attempts, connects,
	       error ? errno_name(error) : "-");
	return 0;
}

/* ---- no room for the stamp ---- */

/* Filters of falling size, then keys, until nothing fits any more. */
static void use_up(int fd)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	long keys = 0;

	for (size_t i = 0; i < BPF_MAXINSNS; i++)
		insns[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	for (unsigned short n = BPF_MAXINSNS; n > 0; n /= 2) {
		struct sock_fprog prog = {.len = n, .filter = insns};

		if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0)
			break;
	}
	for (unsigned i = 1; i < 65536; i++) {
		struct tcp_md5sig md5 = {.tcpm_keylen = 1, .tcpm_key = "k"};
		struct sockaddr_in *peer = (struct sockaddr_in *)&md5.tcpm_addr;

		peer->sin_family = AF_INET;
		peer->sin_addr.s_addr = htonl(0xc0000000 + i); /* nobody's: 192.0.x.y */
		if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)) < 0)
			break;
		keys++;
	}
	fprintf(stderr, "keys=%ld errno=%s\n", keys, errno_name(errno));
}

static int optmem(char **argv)
{
	struct sockaddr_storage to;
	socklen_t len = endpoint(&to, argv[2], argv[3], false);
	int fd = socket(to.ss_family, SOCK_STREAM, IPPROTO_TCP);

	if (fd < 0)
		die("socket");
	use_up(fd);
	connect_or_end(fd, &to, len);
	print_line(fd);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "descriptor") && argc == 5 + STAGES)
		return descriptor(argv);
	if (!strcmp(what, "poison") && argc >= 6)
		return poison(argc, argv);
	if (!strcmp(what, "optmem") && argc == 4)
		return optmem(argv);
	fprintf(stderr, "usage: attack descriptor|poison|optmem ...\n");
	return 2;
}
