// SPDX-License-Identifier: Apache-2.0
/*
 * The client side of the benchmark. usage: client ADDRESS PORT MODE N
 *
 *   visit N     N times socket, connect, request, response, close; prints the ns of each
 *   peername N  the same, with a getpeername(2) after the connect
 *   first 1     one visit, without warming up
 *   for MS      visits for so long; prints the ns of each
 *   keep N      N requests on one connection; prints the ns of each
 *   connect N   N times socket, connect, close; prints the ns of each
 *   udp N       N unconnected datagrams that nobody answers; prints the mean ns of each hundred
 *   bulk MS     sends for so long; prints bytes and ns
 *   hold N      N connections, until standard input ends; prints "ready"
 *
 * Exit 1 when one connection was refused or not answered. The first connections of visit, peername,
 * keep and connect warm up and are not printed.
 */
#include <fcntl.h>

#include "net.h"

#define WARM_UP	  10
#define UDP_BATCH 100

static const char last_request[] = "GET /latest/meta-data/ HTTP/1.1\r\nHost: imds\r\n"
				   "Connection: close\r\n\r\n";
static const char request[] = "GET /latest/meta-data/ HTTP/1.1\r\nHost: imds\r\n\r\n";
static struct sockaddr_in dest;

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (void *)&dest, sizeof(dest)))
		die("client: connect");
	return fd;
}

static void exchange(int fd, const char *text, size_t len)
{
	char answer[1024];

	if (write(fd, text, len) != (ssize_t)len)
		die("client: write");
	if (read(fd, answer, sizeof(answer)) <= 0)
		die("client: no answer");
}

static void visit(void)
{
	int fd = dial();
	char rest[64];

	exchange(fd, last_request, sizeof(last_request) - 1);
	while (read(fd, rest, sizeof(rest)) > 0)
		;
	close(fd);
}

static void visit_peername(void)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd = dial();
	char rest[64];

	if (getpeername(fd, (void *)&peer, &len))
		die("client: getpeername");
	exchange(fd, last_request, sizeof(last_request) - 1);
	while (read(fd, rest, sizeof(rest)) > 0)
		;
	close(fd);
}

static int kept = -1;

static void ask_again(void)
{
	if (kept < 0)
		kept = dial();
	exchange(kept, request, sizeof(request) - 1);
}

static void touch(void)
{
	close(dial());
}

static void print_each(void (*act)(void), long warm_up, long count)
{
	for (long i = -warm_up; i < count; i++) {
		long long start = now_ns();

		act();
		if (i >= 0)
			printf("%lld\n", now_ns() - start);
	}
}

static void print_until(void (*act)(void), long ms)
{
	long long end = now_ns() + ms * 1000000, start;

	while ((start = now_ns()) < end) {
		act();
		printf("%lld\n", now_ns() - start);
	}
}

static void datagrams(long count)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (long i = 0; i < count; i += UDP_BATCH) {
		long long start = now_ns();

		for (int j = 0; j < UDP_BATCH; j++)
			if (sendto(fd, "x", 1, 0, (void *)&dest, sizeof(dest)) != 1)
				die("client: sendto");
		printf("%.1f\n", (double)(now_ns() - start) / UDP_BATCH);
	}
}

static void bulk(long ms)
{
	static char data[1 << 18];
	long long start = now_ns(), sent = 0;
	int fd = dial();

	while (now_ns() - start < ms * 1000000LL) {
		ssize_t n = write(fd, data, sizeof(data));

		if (n <= 0)
			die("client: write");
		sent += n;
	}
	printf("%lld %lld\n", sent, now_ns() - start);
}

static void hold(long count)
{
	char byte;

	for (long i = 0; i < count; i++)
		dial();
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	const char *mode = argc == 5 ? argv[3] : "";
	long n = argc == 5 ? number(argv[4]) : 0;

	/* In one write at the end: several clients may share one file. */
	setvbuf(stdout, NULL, _IOFBF, 1 << 20);
	if (argc == 5)
		dest = address(argv[1], argv[2]);
	if (!strcmp(mode, "visit"))
		print_each(visit, WARM_UP, n);
	else if (!strcmp(mode, "peername"))
		print_each(visit_peername, WARM_UP, n);
	else if (!strcmp(mode, "first"))
		print_each(visit, 0, n);
	else if (!strcmp(mode, "for"))
		print_until(visit, n);
	else if (!strcmp(mode, "keep"))
		print_each(ask_again, WARM_UP, n);
	else if (!strcmp(mode, "connect"))
		print_each(touch, WARM_UP, n);
	else if (!strcmp(mode, "udp"))
		datagrams(n);
	else if (!strcmp(mode, "bulk"))
		bulk(n);
	else if (!strcmp(mode, "hold"))
		hold(n);
	else {
		fprintf(stderr,
			"usage: client ADDRESS PORT visit | peername | first | for | keep | "
			"connect | udp | bulk | hold N\n");
		return 2;
	}
	return 0;
}
