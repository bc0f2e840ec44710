// SPDX-License-Identifier: Apache-2.0
/*
 * The client side of the benchmark.
 *
 *   client ADDRESS PORT COUNT [peername]   COUNT times socket, connect, request, response, close;
 *                                          prints the ns of each; peername: calls getpeername(2)
 *   client ADDRESS PORT COUNT udp          COUNT unconnected datagrams, nobody need answer
 *   client ADDRESS PORT 0 hold             one connection, until the server closes it
 *
 * Exit 1 when one connection was refused or not answered. The first connections warm up and are
 * not printed.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP 10

static const char request[] = "GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n";
static struct sockaddr_storage dest;
static socklen_t dest_len;

static int set_dest(const char *text, const char *port)
{
	struct sockaddr_in6 *v6 = (void *)&dest;
	struct sockaddr_in *v4 = (void *)&dest;
	in_port_t n = htons((uint16_t)strtoul(port, NULL, 10));

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = n;
		dest_len = sizeof(*v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
		return -1;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = n;
	dest_len = sizeof(*v6);
	return 0;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static size_t read_all(int fd)
{
	char buf[1024];
	size_t total = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		total += (size_t)n;
	return total;
}

static void visit(int peername)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd = socket(dest.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (void *)&dest, dest_len))
		die("client: connect");
	if (peername && getpeername(fd, (void *)&peer, &len))
		die("client: getpeername");
	if (write(fd, request, sizeof(request) - 1) != sizeof(request) - 1)
		die("client: write");
	if (!read_all(fd))
		die("client: no answer");
	close(fd);
}

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void hold(void)
{
	int fd = socket(dest.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (void *)&dest, dest_len))
		die("client: connect");
	read_all(fd);
}

static void datagrams(long count)
{
	int fd = socket(dest.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (long i = 0; i < count; i++)
		if (sendto(fd, "x", 1, 0, (void *)&dest, dest_len) != 1)
			die("client: sendto");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 4 ? argv[4] : "";
	long count = argc > 3 ? strtol(argv[3], NULL, 10) : 0, start;

	if (argc < 4 || set_dest(argv[1], argv[2])) {
		fprintf(stderr, "usage: client ADDRESS PORT COUNT [peername | udp | hold]\n");
		return 2;
	}
	if (!strcmp(mode, "hold"))
		hold();
	else if (!strcmp(mode, "udp"))
		datagrams(count);
	for (long i = -WARM_UP; i < count && strcmp(mode, "hold") && strcmp(mode, "udp"); i++) {
		start = now_ns();
		visit(!strcmp(mode, "peername"));
		if (i >= 0)
			printf("%ld\n", now_ns() - start);
	}
	return 0;
}
