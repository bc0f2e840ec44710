// SPDX-License-Identifier: Apache-2.0
/* TCP: every way to say where to. */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "bypass.h"

#ifndef IPV6_FLOWINFO
#define IPV6_FLOWINFO 11
#endif

#define TO(function, host, port, mapped)                                                           \
	static int function(struct row *row)                                                       \
	{                                                                                          \
		return tcp_to(row, host, port, mapped);                                            \
	}

TO(imds4, IMDS4, 80, false)
TO(ecs4, ECS4, 80, false)
TO(pod4, POD4, 80, false)
TO(mapped, IMDS4, 80, true)
TO(mapped_pod, POD4, 80, true)
TO(imds6, IMDS6, 80, false)
TO(pod6, POD6, 80, false)
TO(sts4, STS4, 80, false)
TO(sts6, STS6, 80, false)
TO(sts4_443, STS4, 443, false)
TO(sts6_443, STS6, 443, false)
TO(port81, IMDS4, 81, false)
TO(port81_mapped, IMDS4, 81, true)
TO(port443_6, IMDS6, 443, false)
TO(port0, IMDS4, 0, false)

static int nonblocking(struct row *row)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 80, false);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t size = sizeof(error);

	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, wait_ms(WAIT_MS)) <= 0)
		return 0;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		return -error;
	fcntl(fd, F_SETFL, 0);
	socket_timeouts(fd);
	return hear(row, fd);
}

static int v6only(struct row *row)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return dial_and_hear(row, fd, IMDS6, 80, false);
}

/* As in RFC 2133: without the scope. */
static int short_address(struct row *row)
{
	struct sockaddr_storage ss;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	address(&ss, IMDS6, 80, false);
	socket_timeouts(fd);
	if (connect(fd, (struct sockaddr *)&ss, 24) < 0)
		return -errno;
	return hear(row, fd);
}

static int long_address(struct row *row)
{
	struct sockaddr_storage ss;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address(&ss, IMDS4, 80, false);
	socket_timeouts(fd);
	if (connect(fd, (struct sockaddr *)&ss, sizeof(ss)) < 0)
		return -errno;
	return hear(row, fd);
}

static int scope_and_flow(struct row *row)
{
	struct sockaddr_storage ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	socklen_t len = address(&ss, IMDS6, 80, false);

	in6->sin6_flowinfo = htonl(0x0ab00000);
	in6->sin6_scope_id = 2;
	set_int(fd, IPPROTO_IPV6, IPV6_FLOWINFO, 1);
	socket_timeouts(fd);
	if (connect(fd, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return hear(row, fd);
}

static int inet_on_inet6(struct row *row)
{
	return dial_and_hear(row, socket(AF_INET6, SOCK_STREAM, 0), IMDS4, 80, false);
}

static int fastopen_send(struct row *row, const char *host, bool as_mapped)
{
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, host, 80, as_mapped);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);

	socket_timeouts(fd);
	if (sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	return hear(row, fd);
}

static int fastopen4(struct row *row)
{
	return fastopen_send(row, IMDS4, false);
}

static int fastopen_mapped(struct row *row)
{
	return fastopen_send(row, IMDS4, true);
}

static int fastopen6(struct row *row)
{
	return fastopen_send(row, IMDS6, false);
}

/* The second has the cookie of the first, if there is one, and puts data into its SYN. */
static int fastopen_twice(struct row *row)
{
	int r = fastopen_send(row, IMDS4, false);

	return r < 0 ? r : fastopen_send(row, IMDS4, false);
}

static int fastopen_connect(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	set_int(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	r = dial(fd, IMDS4, 80, false);
	if (r == 0 && send(fd, "x", 1, MSG_NOSIGNAL) < 0)
		r = -errno;
	return r < 0 ? r : hear(row, fd);
}

static int forget(int fd)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	return negative(connect(fd, &none, sizeof(none)));
}

static int other_then_guarded(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r = dial(fd, OTHER4, 80, false);

	if (r == 0)
		r = forget(fd);
	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

static int guarded_twice(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r = dial(fd, IMDS4, 80, false);

	if (r == 0)
		r = forget(fd);
	return r < 0 ? r : dial_and_hear(row, fd, IMDS4, 80, false);
}

static int refused_then_guarded(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	dial(fd, OTHER4, 81, false);
	return dial_and_hear(row, fd, IMDS4, 80, false);
}

static int denied_then_guarded(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	dial(fd, IMDS4, 81, false);
	return dial_and_hear(row, fd, IMDS4, 80, false);
}

static void *dial_in_thread(void *arg)
{
	struct row *row = arg;

	row->fd = imds4(row);
	return NULL;
}

static int thread(struct row *row)
{
	pthread_t t;

	if (pthread_create(&t, NULL, dial_in_thread, row) != 0)
		return -errno;
	pthread_join(t, NULL);
	return row->fd;
}

#ifdef __x86_64__
/* The 32-bit system call table, whose arguments lie below 4 GB. */
static long int80(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static int connect_int80(struct row *row, bool socketcall)
{
	uint32_t *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, IMDS4, 80, false);
	long r;

	if (low == MAP_FAILED)
		return -errno;
	socket_timeouts(fd);
	memcpy(low + 16, &ss, len);
	low[0] = (uint32_t)fd;
	low[1] = (uint32_t)(uintptr_t)(low + 16);
	low[2] = len;
	r = socketcall ? int80(102, 3, (long)low, 0) : int80(362, fd, (long)(low + 16), len);
	if (r == -ENOSYS)
		return absent(row, "no 32-bit system calls in this kernel");
	return r < 0 ? (int)r : hear(row, fd);
}
#else
static int connect_int80(struct row *row, bool socketcall)
{
	(void)socketcall;
	return absent(row, "no int 0x80 on this architecture");
}
#endif

static int int80_connect(struct row *row)
{
	return connect_int80(row, false);
}

static int int80_socketcall(struct row *row)
{
	return connect_int80(row, true);
}

/* A socket that is put into ESTABLISHED by hand, without a SYN. */
static int repair(struct row *row)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), r;

	r = set_int(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	if (r == 0)
		r = dial(fd, IMDS4, 80, false);
	if (r == 0)
		r = set_int(fd, IPPROTO_TCP, TCP_REPAIR, -1 /* off, without a window probe */);
	if (r == 0 && send(fd, "GET", 3, MSG_NOSIGNAL) < 0)
		r = -errno;
	return r < 0 ? r : hear(row, fd);
}

const struct vector tcp_vectors[] = {
	{"connect v4", imds4, .want = "A", .answers = true},
	{"connect v4, ECS address", ecs4, .want = "A", .answers = true},
	{"connect v4, Pod Identity address", pod4, .want = "A", .answers = true},
	{"connect v4 nonblocking", nonblocking, .want = "A", .answers = true},
	{"connect v4-mapped on AF_INET6", mapped, .want = "A", .answers = true},
	{"connect v4-mapped, Pod Identity address", mapped_pod, .want = "A", .answers = true},
	{"connect v6", imds6, .want = "A", .answers = true},
	{"connect v6, Pod Identity address", pod6, .want = "A", .answers = true},
	{"connect v4, STS address", sts4, .want = "A", .answers = true},
	{"connect v6, STS address", sts6, .want = "A", .answers = true},
	{"connect v4, STS address, port 443", sts4_443, .want = "EACCES"},
	{"connect v6, STS address, port 443", sts6_443, .want = "EACCES"},
	{"connect v6 V6ONLY", v6only, .want = "A", .answers = true},
	{"connect v4, port 81", port81, .want = "EACCES"},
	{"connect v4-mapped, port 81", port81_mapped, .want = "EACCES"},
	{"connect v6, port 443", port443_6, .want = "EACCES"},
	{"connect v4, port 0", port0, .want = "EACCES"},
	{"connect v6, address without scope", short_address, .want = "A", .answers = true},
	{"connect v4, 128 byte address", long_address, .want = "A", .answers = true},
	{"connect v6, flow label and scope", scope_and_flow, .want = "A", .answers = true},
	{"connect, AF_INET address on AF_INET6", inet_on_inet6, .without = "EINVAL|EAFNOSUPPORT"},
	{"TFO sendto(MSG_FASTOPEN) v4", fastopen4, .want = "A", .answers = true},
	{"TFO sendto v4-mapped", fastopen_mapped, .want = "A", .answers = true},
	{"TFO sendto v6", fastopen6, .want = "A", .answers = true},
	{"TFO with a cookie", fastopen_twice, .want = "A", .answers = true},
	{"TCP_FASTOPEN_CONNECT", fastopen_connect, .want = "A", .answers = true},
	{"AF_UNSPEC, from another address", other_then_guarded, .want = "A", .answers = true},
	{"AF_UNSPEC, from a guarded address", guarded_twice, .want = "A", .answers = true},
	{"connect after ECONNREFUSED", refused_then_guarded, .want = "A", .answers = true},
	{"connect after a refused port", denied_then_guarded, .want = "A", .answers = true},
	{"connect in a thread", thread, .want = "A", .answers = true},
	{"int 0x80 connect", int80_connect, .want = "A", .answers = true},
	{"int 0x80 socketcall", int80_socketcall, .want = "A", .answers = true},
	{"TCP_REPAIR connect", repair, .want = "stop"},
	{0},
};
