// SPDX-License-Identifier: Apache-2.0
/* Sockets and places, for all rows. */
#include <fcntl.h>
#include <sched.h>
#include <sys/time.h>
#include <time.h>

#include "bypass.h"

/* What run.sh passes in the environment. */
const char *setting(const char *name)
{
	const char *value = getenv(name);

	if (!value) {
		fprintf(stderr, "%s is not set: run tests/bypass/run.sh\n", name);
		exit(2);
	}
	return value;
}

/* How much slower than usual this machine is (lib/env.sh). */
int wait_factor(void)
{
	const char *factor = getenv("WAIT_FACTOR");

	return factor ? atoi(factor) : 1;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int negative(long result)
{
	return result < 0 ? -errno : (int)result;
}

int absent(struct row *row, const char *why)
{
	snprintf(row->line, sizeof(row->line), "%s", why);
	return ABSENT;
}

socklen_t address(struct sockaddr_storage *ss, const char *host, int port, bool mapped)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	char text[INET6_ADDRSTRLEN + 8];

	memset(ss, 0, sizeof(*ss));
	if (!mapped && inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		return sizeof(*in);
	}
	snprintf(text, sizeof(text), "%s%s", mapped ? "::ffff:" : "", host);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1) {
		fprintf(stderr, "no address: %s\n", host);
		exit(2);
	}
	return sizeof(*in6);
}

int set_int(int fd, int level, int name, int value)
{
	return negative(setsockopt(fd, level, name, &value, sizeof(value)));
}

/* connect() then ends with EINPROGRESS when its packets are dropped. */
static bool answer_due;

/* Said once for the row of this process, before it runs. */
void expect_answer(bool due)
{
	answer_due = due;
}

/* A row that is to be refused or dropped gives up soon: nothing can come. */
int wait_ms(int usual)
{
	return answer_due ? PATIENT_MS : usual;
}

static struct timeval as_timeval(int ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

int set_receive_timeout(int fd, int ms)
{
	struct timeval wait = as_timeval(ms);

	return negative(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)));
}

int socket_timeouts(int fd)
{
	struct timeval out = as_timeval(wait_ms(WAIT_MS));

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &out, sizeof(out));
	return set_receive_timeout(fd, wait_ms(1000));
}

/* One line of an answer. */
int hear(struct row *row, int fd)
{
	size_t len = 0;

	while (len + 1 < sizeof(row->line)) {
		ssize_t n = recv(fd, row->line + len, sizeof(row->line) - 1 - len, 0);

		if (n < 0 && errno == EINTR) /* io_uring's work for this task; no signal of ours */
			continue;
		if (n < 0 && len == 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (memchr(row->line, '\n', len))
			break;
	}
	row->line[len] = '\0';
	row->line[strcspn(row->line, "\n")] = '\0';
	return len > 0;
}

int dial(int fd, const char *host, int port, bool mapped)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, host, port, mapped);

	socket_timeouts(fd);
	return negative(connect(fd, (struct sockaddr *)&ss, len));
}

/* The client is to see the address that it dialled. Not so with MPTCP, where the subflow knows it. */
static void check_peer(struct row *row, int fd, const char *host, int port, bool mapped)
{
	struct sockaddr_storage want, peer;
	socklen_t want_len = address(&want, host, port, mapped), len = sizeof(peer);
	int protocol = 0;
	socklen_t size = sizeof(protocol);

	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
	memset(&peer, 0, sizeof(peer));
	if (protocol == IPPROTO_MPTCP || getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return;
	if (len != want_len || memcmp(&want, &peer, len) != 0)
		snprintf(row->line, sizeof(row->line), "peer=another");
}

int dial_and_hear(struct row *row, int fd, const char *host, int port, bool mapped)
{
	int r;

	if (fd < 0)
		return -errno;
	r = dial(fd, host, port, mapped);
	if (r == 0)
		r = hear(row, fd);
	if (r > 0 && !strncmp(row->line, "pod=", 4))
		check_peer(row, fd, host, port, mapped);
	return r;
}

int tcp_to(struct row *row, const char *host, int port, bool mapped)
{
	int family = mapped || strchr(host, ':') ? AF_INET6 : AF_INET;

	return dial_and_hear(row, socket(family, SOCK_STREAM, IPPROTO_TCP), host, port, mapped);
}

/* A datagram, and the echo of it. */
int send_and_hear(struct row *row, int fd, const char *host, int port, bool mapped)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, host, port, mapped);

	if (fd < 0)
		return -errno;
	if (sendto(fd, "ping\n", 5, 0, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	set_receive_timeout(fd, wait_ms(WAIT_MS));
	return hear(row, fd);
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = negative(write(fd, text, strlen(text)));
	close(fd);
	return r < 0 ? r : 0;
}

/* The machinery of a row must work: it is not what is tested. */
int join_cgroup(const char *dir)
{
	char path[1024];
	int r;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	r = write_file(path, "0");
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		exit(2);
	}
	return 0;
}

int join_netns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	close(fd);
	return 0;
}

/* No socket of this process may send again after its end, not even a FIN. */
void reset_all(void)
{
	static const struct linger now = {.l_onoff = 1};

	for (int fd = 3; fd < 256; fd++)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}
