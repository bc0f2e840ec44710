// SPDX-License-Identifier: Apache-2.0
/*
 * The client side of the benchmark. usage: client ADDRESS PORT MODE N
 *
 *   visit N     N times socket, connect, request, response, close; the ns of each
 *   peername N  the same, with a getpeername(2) after the connect
 *   for MS      visits for so long; the ns of each
 *   keep N      N requests on one connection; the ns of each
 *   connect N   N times socket, connect, close; the ns of each
 *   udp N       N unconnected datagrams that nobody answers; the mean ns of each hundred
 *   associate N N times connect(2) of one datagram socket: the call alone, no packet; likewise
 *   bulk MS     sends for so long; bytes and ns
 *   hold N      N connections, until standard input ends; prints "ready"
 *
 * N "turns": once for each number N on standard input, after WARM_UP times that do not count. All
 * figures of one N are one line. Exit 1 when one connection was refused or not answered.
 */
#include "net.h"

#define WARM_UP 10
#define BATCH	100

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

static void print_each(void (*act)(void), long count)
{
	for (long i = 0; i < count; i++) {
		long long start = now_ns();

		act();
		printf("%lld ", now_ns() - start);
	}
}

static void print_until(void (*act)(void), long ms)
{
	long long end = now_ns() + ms * 1000000, start;

	while ((start = now_ns()) < end) {
		act();
		printf("%lld ", now_ns() - start);
	}
}

/* ---- datagrams: too short to time one by one ---- */

static int datagrams = -1;

static void send_datagram(void)
{
	if (sendto(datagrams, "x", 1, 0, (void *)&dest, sizeof(dest)) != 1)
		die("client: sendto");
}

static void associate(void)
{
	if (connect(datagrams, (void *)&dest, sizeof(dest)))
		die("client: connect");
}

static void print_batches(void (*act)(void), long count)
{
	for (long i = 0; i < count; i += BATCH) {
		long long start = now_ns();

		for (int j = 0; j < BATCH; j++)
			act();
		printf("%.1f ", (double)(now_ns() - start) / BATCH);
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
	printf("%lld %lld", sent, now_ns() - start);
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

static const struct mode {
	const char *name;
	void (*act)(void);
	void (*print)(void (*act)(void), long count);
	void (*run)(long n); /* of a mode that is no repeated act */
} modes[] = {
	{"visit", visit, print_each, NULL},
	{"peername", visit_peername, print_each, NULL},
	{"for", visit, print_until, NULL},
	{"keep", ask_again, print_each, NULL},
	{"connect", touch, print_each, NULL},
	{"udp", send_datagram, print_batches, NULL},
	{"associate", associate, print_batches, NULL},
	{"bulk", NULL, NULL, bulk},
	{"hold", NULL, NULL, hold},
};

static void once(const struct mode *mode, long n)
{
	if (mode->run)
		mode->run(n);
	else
		mode->print(mode->act, n);
	putchar('\n');
	fflush(stdout);
}

static void turns(const struct mode *mode)
{
	char line[32];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; i < WARM_UP; i++)
			mode->act();
		once(mode, number(line));
	}
}

int main(int argc, char **argv)
{
	const struct mode *mode = NULL;

	for (size_t i = 0; argc == 5 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[3], modes[i].name))
			mode = &modes[i];
	if (!mode || (mode->run && !strcmp(argv[4], "turns"))) {
		fprintf(stderr, "usage: client ADDRESS PORT visit | peername | for | keep | "
				"connect | udp | associate | bulk | hold  N | turns\n");
		return 2;
	}
	dest = address(argv[1], argv[2]);
	datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Nothing is written while something is timed. */
	setvbuf(stdout, NULL, _IOFBF, 1 << 20);
	if (!strcmp(argv[4], "turns"))
		turns(mode);
	else
		once(mode, number(argv[4]));
	return 0;
}
