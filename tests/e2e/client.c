// SPDX-License-Identifier: Apache-2.0
/*
 * client - one connection in one of the ways that programs use, and what came of it.
 *
 *	client WAY ADDRESS PORT [SOURCE-PORT]
 *
 * "-mapped" after a way: an IPv4 address on an AF_INET6 socket, as every JVM does.
 * Prints "peer=ADDRESS:PORT LINE": what getpeername says, and the line that the server sent. When
 * the kernel refuses: "errno=NAME". Exit status 0 either way, 1 when the test itself went wrong.
 */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include "net.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct target {
	struct sockaddr_storage addr;
	socklen_t len;
	const char *source_port;
};

/* Ends the program: the kernel refused, which is an answer. */
__attribute__((noreturn)) static void refused(void)
{
	printf("errno=%s\n", errno_name(errno));
	exit(0);
}

static int tcp_socket(const struct target *to, int flags)
{
	int fd = socket(to->addr.ss_family, SOCK_STREAM | flags, IPPROTO_TCP);

	if (fd < 0)
		die("socket");
	return fd;
}

static int plain(const struct target *to)
{
	int fd = tcp_socket(to, 0);

	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		refused();
	return fd;
}

static int v6only(const struct target *to)
{
	int fd = tcp_socket(to, 0);

	set_one(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		refused();
	return fd;
}

static int nonblock(const struct target *to)
{
	int fd = tcp_socket(to, SOCK_NONBLOCK), error = 0;
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(error);

	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0 && errno != EINPROGRESS)
		refused();
	if (poll(&pfd, 1, -1) < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		die("poll");
	if (error) {
		errno = error;
		refused();
	}
	if (fcntl(fd, F_SETFL, 0) < 0)
		die("fcntl");
	return fd;
}

/* The child connects the socket that its parent made; the parent uses it. */
static int forked(const struct target *to)
{
	int fd = tcp_socket(to, 0), status;
	pid_t pid = fork();

	if (pid == 0) {
		int r = connect(fd, (const struct sockaddr *)&to->addr, to->len);

		_exit(r < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		die("fork");
	if (WEXITSTATUS(status)) {
		errno = WEXITSTATUS(status);
		refused();
	}
	return fd;
}

struct thread_job {
	const struct target *to;
	int fd, error;
};

static void *thread_connect(void *arg)
{
	struct thread_job *job = arg;

	if (connect(job->fd, (const struct sockaddr *)&job->to->addr, job->to->len) < 0)
		job->error = errno;
	return NULL;
}

static int threaded(const struct target *to)
{
	struct thread_job job = {.to = to, .fd = tcp_socket(to, 0)};
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_connect, &job) != 0)
		die("pthread_create");
	pthread_join(thread, NULL);
	if (job.error) {
		errno = job.error;
		refused();
	}
	return job.fd;
}

static int tfo_send(const struct target *to)
{
	int fd = tcp_socket(to, 0);

	if (sendto(fd, "x", 1, MSG_FASTOPEN, (const struct sockaddr *)&to->addr, to->len) < 0)
		refused();
	return fd;
}

static int tfo_connect(const struct target *to)
{
	int fd = tcp_socket(to, 0);

	set_one(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT);
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0 || write(fd, "x", 1) < 0)
		refused();
	return fd;
}

/* The first connect meets a closed port of this very host; the socket is then used again. */
static int again(const struct target *to)
{
	int fd = tcp_socket(to, 0);
	struct sockaddr_storage closed;
	socklen_t len =
		endpoint(&closed, to->addr.ss_family == AF_INET ? "127.0.0.1" : "::1", "1", false);

	if (connect(fd, (struct sockaddr *)&closed, len) == 0 || errno != ECONNREFUSED)
		die("connect to a closed port");
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		refused();
	return fd;
}

/* First stamped, then disconnected, then connected again: the second stamp counts. */
static int twice(const struct target *to)
{
	static const struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd = plain(to);

	if (connect(fd, &none, sizeof(none)) < 0)
		die("disconnect");
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		refused();
	return fd;
}

/* First to a guarded address, then, disconnected, to one that is not: nothing of the first stays. */
static int elsewhere(const struct target *to)
{
	static const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct target guarded;
	int fd;

	guarded.len = endpoint(&guarded.addr, "169.254.170.23", "80", false);
	fd = plain(&guarded);
	if (connect(fd, &none, sizeof(none)) < 0)
		die("disconnect");
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		refused();
	return fd;
}

static int mptcp(const struct target *to)
{
	int fd = socket(to->addr.ss_family, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0 && (errno == EPROTONOSUPPORT || errno == ENOPROTOOPT || errno == EINVAL)) {
		printf("no MPTCP\n");
		exit(0);
	}
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		refused();
	return fd;
}

static int from_port(const struct target *to)
{
	struct sockaddr_storage from;
	int fd = tcp_socket(to, 0);
	socklen_t len = endpoint(
		&from, to->addr.ss_family == AF_INET ? "0.0.0.0" : "::", to->source_port, false);

	set_one(fd, SOL_SOCKET, SO_REUSEADDR);
	if (bind(fd, (struct sockaddr *)&from, len) < 0)
		die("bind");
	if (connect(fd, (const struct sockaddr *)&to->addr, to->len) < 0)
		refused();
	return fd;
}

__attribute__((noreturn)) static void datagram(const struct target *to, const char *way)
{
	int fd = socket(to->addr.ss_family, SOCK_DGRAM, 0);
	struct iovec iov = {.iov_base = "x", .iov_len = 1};
	struct msghdr msg = {.msg_name = (void *)&to->addr,
			     .msg_namelen = to->len,
			     .msg_iov = &iov,
			     .msg_iovlen = 1};
	ssize_t r;

	if (fd < 0)
		die("socket");
	if (!strncmp(way, "udp-connect", 11))
		r = connect(fd, (const struct sockaddr *)&to->addr, to->len);
	else if (!strncmp(way, "udp-sendto", 10))
		r = sendto(fd, "x", 1, 0, (const struct sockaddr *)&to->addr, to->len);
	else
		r = sendmsg(fd, &msg, 0);
	if (r < 0)
		refused();
	printf("sent\n");
	exit(0);
}

static const struct way {
	const char *name;
	int (*connect)(const struct target *to);
} ways[] = {
	{"plain", plain},
	{"plain-mapped", plain},
	{"v6only", v6only},
	{"nonblock", nonblock},
	{"nonblock-mapped", nonblock},
	{"fork", forked},
	{"thread", threaded},
	{"tfo-send", tfo_send},
	{"tfo-send-mapped", tfo_send},
	{"tfo-connect", tfo_connect},
	{"again", again},
	{"again-mapped", again},
	{"twice", twice},
	{"elsewhere", elsewhere},
	{"mptcp", mptcp},
	{"mptcp-mapped", mptcp},
	{"from-port", from_port},
};

int main(int argc, char **argv)
{
	const struct way *way = NULL;
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	char line[1024] = "", text[ENDPOINT_TEXT];
	struct pollfd readable = {.events = POLLIN};
	struct target to;
	bool mapped;
	int fd;

	if (argc < 4) {
		fprintf(stderr, "usage: client WAY ADDRESS PORT [SOURCE-PORT]\n");
		return 2;
	}
	to.source_port = argc > 4 ? argv[4] : "0";
	mapped = strstr(argv[1], "-mapped") != NULL;
	to.len = endpoint(&to.addr, argv[2], argv[3], mapped);
	if (!strncmp(argv[1], "udp-", 4))
		datagram(&to, argv[1]);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, argv[1]))
			way = &ways[i];
	if (!way) {
		fprintf(stderr, "client: no way \"%s\"\n", argv[1]);
		return 2;
	}
	readable.fd = fd = way->connect(&to);
	/* a fast open connects only now */
	poll(&readable, 1, -1);
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		die("getpeername");
	if (read_line(fd, line, sizeof(line)) < 0)
		die("read");
	printf("peer=%s %s\n", endpoint_text(&peer, text, sizeof(text)), line);
	close_with_reset(fd);
	return 0;
}
