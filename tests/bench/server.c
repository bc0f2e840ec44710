// SPDX-License-Identifier: Apache-2.0
/*
 * The server side of the benchmark.
 *
 *   server ADDRESS PORT             answers a fixed response and closes
 *   server ADDRESS PORT peer        the same, and asks podcred who connected first; who has no
 *                                   identity gets no answer
 *   server ADDRESS PORT sockopt N   takes one connection and prints ns per getsockopt(2) of
 *                                   several rounds of N calls: "OPTION NS", one line each
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <podcred/podcred.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 7

static const char response[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			       "Content-Length: 64\r\nConnection: close\r\n\r\n"
			       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static int listen_on(const char *text, const char *port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	int is_v6 = inet_pton(AF_INET6, text, &v6.sin6_addr) == 1, one = 1, fd;

	if (!is_v6 && inet_pton(AF_INET, text, &v4.sin_addr) != 1)
		return -1;
	v4.sin_port = v6.sin6_port = htons((uint16_t)strtoul(port, NULL, 10));
	fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, is_v6 ? (void *)&v6 : (void *)&v4, is_v6 ? sizeof(v6) : sizeof(v4)) ||
	    listen(fd, 512))
		return -1;
	return fd;
}

static void answer(int fd, int ask)
{
	struct podcred_peer peer;
	char request[1024];
	size_t have = 0;
	ssize_t n;

	if (ask && podcred_peer(fd, &peer, sizeof(peer)))
		return;
	while (have < sizeof(request) - 1) {
		n = read(fd, request + have, sizeof(request) - 1 - have);
		if (n <= 0)
			return;
		have += (size_t)n;
		request[have] = '\0';
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	if (write(fd, response, sizeof(response) - 1) < 0)
		perror("write");
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void time_option(const char *name, int fd, int level, int option, long n)
{
	double start = now_ns();
	socklen_t len;
	int value;

	for (long i = 0; i < n; i++) {
		len = sizeof(value);
		if (getsockopt(fd, level, option, &value, &len)) {
			perror(name);
			exit(1);
		}
	}
	printf("%s %.1f\n", name, (now_ns() - start) / (double)n);
}

static void time_peer(int fd, long n)
{
	struct podcred_peer peer;
	double start = now_ns();

	if (podcred_peer(fd, &peer, sizeof(peer)))
		return; /* the socket of a server outside the agent's cgroup: nothing to time */
	for (long i = 0; i < n; i++)
		podcred_peer(fd, &peer, sizeof(peer));
	printf("podcred_peer %.1f\n", (now_ns() - start) / (double)n);
}

static void sockopts(int fd, long n)
{
	for (int i = 0; i < ROUNDS; i++) {
		time_peer(fd, n);
		time_option("SO_TYPE", fd, SOL_SOCKET, SO_TYPE, n);
		time_option("TCP_NODELAY", fd, IPPROTO_TCP, TCP_NODELAY, n);
	}
}

static void on_term(int number)
{
	(void)number;
	_exit(0);
}

int main(int argc, char **argv)
{
	int listener = argc > 2 ? listen_on(argv[1], argv[2]) : -1;
	const char *mode = argc > 3 ? argv[3] : "";

	if (listener < 0) {
		perror("server: ADDRESS PORT [peer | sockopt N]");
		return 1;
	}
	signal(SIGTERM, on_term);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (!strcmp(mode, "sockopt")) {
			sockopts(fd, argc > 4 ? strtol(argv[4], NULL, 10) : 200000);
			return 0;
		}
		answer(fd, !strcmp(mode, "peer"));
		close(fd);
	}
}
