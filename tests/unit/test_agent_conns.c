// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/agent/conns.c */
/* What a hostile pod may hold: its share of connections, and each only so long. Time is made up. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "conns.h"

static void test_share(void **state)
{
	struct conns c;
	struct conn *a, *b, *other;

	(void)state;
	conns_init(&c, 2);
	a = conns_add(&c, 1, 7, 0);
	b = conns_add(&c, 2, 7, 0);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(conns_add(&c, 3, 7, 0));
	other = conns_add(&c, 3, 8, 0);
	assert_non_null(other);
	conns_remove(&c, a);
	a = conns_add(&c, 1, 7, 0);
	assert_non_null(a);
	assert_null(conns_add(&c, 4, 7, 0));
	conns_remove(&c, other);
	conns_remove(&c, b);
	conns_remove(&c, a);
	assert_null(c.head);
	conns_done(&c);
}

static bool is_shut(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1;
}

static void test_deadline(void **state)
{
	struct conns c;
	struct conn *slow, *busy;
	int slow_fds[2], busy_fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, slow_fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, busy_fds), 0);
	conns_init(&c, 10);
	slow = conns_add(&c, slow_fds[0], 7, 1000);
	busy = conns_add(&c, busy_fds[0], 7, 1000);
	conns_touch(&c, busy, 10000);
	conns_expire(&c, 15999, 15000);
	assert_false(is_shut(slow_fds[1]));
	conns_expire(&c, 16000, 15000);
	assert_true(is_shut(slow_fds[1]));
	assert_false(is_shut(busy_fds[1]));
	conns_expire(&c, 25000, 15000);
	assert_true(is_shut(busy_fds[1]));
	conns_remove(&c, slow);
	conns_remove(&c, busy);
	conns_done(&c);
	for (int i = 0; i < 2; i++) {
		close(slow_fds[i]);
		close(busy_fds[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
