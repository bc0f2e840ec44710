// SPDX-License-Identifier: Apache-2.0
/* MODULES: http base */
/* LIBS: -lmicrohttpd -lgnutls */
/* Listeners that are handed over: new connections come to the youngest, and no other server joins by mistake. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "http/listen.h"

#define CONNECTIONS 50

/* A port that is free: that of a listener which is closed again. */
static struct net_addr free_address(void)
{
	struct net_addr addr = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sin);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	addr.port = ntohs(sin.sin_port);
	return addr;
}

static int open_at(const struct net_addr *addr, bool handover)
{
	struct pc_err err = {};
	int fd = -EBADF, r = http_listen_open(addr, handover, &fd, &err);

	return r < 0 ? r : fd;
}

static int dial(const struct net_addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = net_addr_to_sockaddr(addr, &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

/* How many connections wait there to be accepted; they are. */
static unsigned drain(int listener)
{
	struct pollfd ready = {.fd = listener, .events = POLLIN};
	unsigned n = 0;

	while (poll(&ready, 1, 0) == 1) {
		_cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		assert_true(fd >= 0);
		n++;
	}
	return n;
}

static void dial_all(const struct net_addr *addr)
{
	for (int i = 0; i < CONNECTIONS; i++)
		close(dial(addr));
}

static void test_youngest_gets_all(void **state)
{
	struct net_addr addr = free_address();
	_cleanup_close_ int first = open_at(&addr, true), second = -EBADF;
	int third;

	(void)state;
	assert_true(first >= 0);
	dial_all(&addr);
	assert_int_equal(drain(first), CONNECTIONS);
	second = open_at(&addr, true);
	assert_true(second >= 0);
	dial_all(&addr);
	assert_int_equal(drain(first), 0);
	assert_int_equal(drain(second), CONNECTIONS);
	close(TAKE_FD(first));
	dial_all(&addr);
	assert_int_equal(drain(second), CONNECTIONS);
	/* and the next time: the one that is left is the first now */
	third = open_at(&addr, true);
	dial_all(&addr);
	assert_int_equal(drain(second), 0);
	assert_int_equal(drain(third), CONNECTIONS);
	/* the new one fails: the old one has them again */
	close(third);
	dial_all(&addr);
	assert_int_equal(drain(second), CONNECTIONS);
}

static void test_only_both(void **state)
{
	struct net_addr addr = free_address();
	_cleanup_close_ int fd = open_at(&addr, false);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(open_at(&addr, false), -EADDRINUSE);
	assert_int_equal(open_at(&addr, true), -EADDRINUSE);
	close(TAKE_FD(fd));
	fd = open_at(&addr, true);
	assert_true(fd >= 0);
	assert_int_equal(open_at(&addr, false), -EADDRINUSE);
}

/* The port is one user's: nobody else on the node joins. */
static void test_not_another_user(void **state)
{
	struct net_addr addr = free_address();
	_cleanup_close_ int fd = -EBADF;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can be another user\n");
		skip();
	}
	fd = open_at(&addr, true);
	assert_true(fd >= 0);
	assert_int_equal(seteuid(60777), 0);
	assert_int_equal(open_at(&addr, true), -EADDRINUSE);
	assert_int_equal(seteuid(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_youngest_gets_all),
		cmocka_unit_test(test_only_both),
		cmocka_unit_test(test_not_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
