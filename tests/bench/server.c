// SPDX-License-Identifier: Apache-2.0
/*
 * The server side of the benchmark. usage: server ADDRESS PORT MODE [N]
 *
 *   peer        answers each request with a fixed response, after it asked podcred who connected;
 *               who has no identity gets no answer
 *   index N     the same, but looks the source address up in an index of N pods
 *   sink        reads and says nothing; takes datagrams on the same port and reads none
 *   sockopt N   takes one connection and prints ns per getsockopt(2) of several rounds of N calls:
 *               "OPTION NS", one line each
 *
 * peer and index have WORKERS processes on one listener.
 */
#include <netinet/tcp.h>
#include <podcred/podcred.h>
#include <signal.h>

#include "net.h"

#define ROUNDS	7
#define WORKERS 4

static const char response[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			       "Content-Length: 64\r\n\r\n"
			       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static struct ip_index index_of_pods; /* empty: ask podcred */

static int listen_on(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (const void *)at, sizeof(*at)) || listen(fd, 4096))
		die("server: listen");
	return fd;
}

static int knows(int fd)
{
	struct podcred_peer peer;

	if (index_of_pods.slots)
		return ip_index_has_peer(&index_of_pods, fd);
	return podcred_peer(fd, &peer, sizeof(peer)) == 0;
}

/* 0: the request asked for the end of the connection, or there is none. */
static int answer(int fd)
{
	char request[1024];
	size_t have = 0;
	ssize_t n;

	do {
		n = read(fd, request + have, sizeof(request) - 1 - have);
		if (n <= 0)
			return 0;
		have += (size_t)n;
		request[have] = '\0';
	} while (!strstr(request, "\r\n\r\n"));
	return write(fd, response, sizeof(response) - 1) > 0 && !strstr(request, "close");
}

static void serve(int fd)
{
	if (knows(fd))
		while (answer(fd))
			;
}

static void drain(int fd)
{
	static char data[1 << 18];

	while (read(fd, data, sizeof(data)) > 0)
		;
}

static void accept_all(int listener, void (*handle)(int))
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		handle(fd);
		close(fd);
	}
}

static void with_workers(int listener)
{
	for (int i = 1; i < WORKERS; i++)
		if (fork() == 0)
			break;
	accept_all(listener, serve);
}

static void sink(const struct sockaddr_in *at, int listener)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const void *)at, sizeof(*at)))
		die("server: datagrams");
	accept_all(listener, drain);
}

/* ---- what an option costs, in the agent's cgroup and outside it ---- */

static void time_option(const char *name, int fd, int level, int option, long n)
{
	long long start = now_ns();
	socklen_t len;
	int value;

	for (long i = 0; i < n; i++) {
		len = sizeof(value);
		if (getsockopt(fd, level, option, &value, &len))
			die(name);
	}
	printf("%s %.1f\n", name, (double)(now_ns() - start) / (double)n);
}

static void sockopts(int listener, long n)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		die("server: accept");
	for (int i = 0; i < ROUNDS; i++) {
		time_option("SO_TYPE", fd, SOL_SOCKET, SO_TYPE, n);
		time_option("TCP_NODELAY", fd, IPPROTO_TCP, TCP_NODELAY, n);
	}
}

static void on_term(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *mode = argc >= 4 ? argv[3] : "";
	long n = argc == 5 ? number(argv[4]) : 0;
	struct sockaddr_in at;
	int listener;

	if (argc < 4) {
		fprintf(stderr, "usage: server ADDRESS PORT peer | index N | sink | sockopt N\n");
		return 2;
	}
	signal(SIGTERM, on_term);
	at = address(argv[1], argv[2]);
	listener = listen_on(&at);
	if (!strcmp(mode, "sink"))
		sink(&at, listener);
	if (!strcmp(mode, "sockopt")) {
		sockopts(listener, n);
		return 0;
	}
	if (!strcmp(mode, "index"))
		index_of_pods = ip_index_of((uint32_t)n);
	with_workers(listener);
	return 0;
}
