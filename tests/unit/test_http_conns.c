// SPDX-License-Identifier: Apache-2.0
/* MODULES: http */
/* What hostile pods may hold: their share of connections, and each only so long. Time is made up. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/conns.h"

/* A connection as the server has it, with the client's end. */
struct link {
	int fds[2];
	struct conn *conn;
};

static struct conns c;

static void start(unsigned total, unsigned outside, unsigned node)
{
	const struct http_limits limits = {total, outside, node};

	http_conns_init(&c, &limits);
}

static bool open_link(struct link *l, uint64_t pod, int64_t now_ms)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, l->fds), 0);
	l->conn = http_conns_add(&c, l->fds[0], pod, now_ms);
	if (l->conn)
		return true;
	close(l->fds[0]);
	close(l->fds[1]);
	return false;
}

static void close_link(struct link *l)
{
	if (!l->conn)
		return;
	http_conns_remove(&c, l->conn);
	l->conn = NULL;
	close(l->fds[0]);
	close(l->fds[1]);
}

static void close_links(struct link *l, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_link(&l[i]);
	assert_null(c.owners);
	assert_int_equal(c.count, 0);
	http_conns_done(&c);
}

static bool is_shut(const struct link *l)
{
	struct pollfd p = {.fd = l->fds[1], .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1;
}

static unsigned count_open(const struct link *l, size_t n)
{
	unsigned open = 0;

	for (size_t i = 0; i < n; i++)
		open += !is_shut(&l[i]);
	return open;
}

/* A request, answered at the same moment. */
static void use(struct link *l, int64_t now_ms)
{
	http_conns_begin(&c, l->conn, now_ms);
	http_conns_whole(&c, l->conn);
	http_conns_end(&c, l->conn, now_ms);
}

/* A pod that holds all there is makes room for itself: what it has not used for longest goes. */
static void test_own_room(void **state)
{
	struct link l[6] = {};

	(void)state;
	start(4, 1, 1);
	for (size_t i = 0; i < 4; i++) {
		assert_true(open_link(&l[i], 7, 0));
		use(&l[i], i == 2 ? 100 : 200);
	}
	assert_true(open_link(&l[4], 7, 300));
	assert_true(is_shut(&l[2]));
	assert_int_equal(count_open(l, 5), 4);
	close_link(&l[0]);
	assert_true(open_link(&l[0], 7, 300));
	assert_int_equal(count_open(l, 5), 4);
	close_links(l, 5);
}

/* One that has just come looks idle, and is not. One that takes its time does not look so. */
static void test_newcomers(void **state)
{
	struct link l[7] = {};

	(void)state;
	start(4, 1, 1);
	assert_true(open_link(&l[0], 7, 0)); /* begins a request and never ends it */
	http_conns_begin(&c, l[0].conn, 0);
	assert_true(open_link(&l[1], 7, 0)); /* never asks */
	assert_true(open_link(&l[2], 7, 10)); /* waits for its answer */
	http_conns_begin(&c, l[2].conn, 10);
	http_conns_whole(&c, l[2].conn);
	assert_true(open_link(&l[3], 7, CONN_PATIENCE_MS - 1)); /* has just come */
	assert_false(open_link(&l[4], 7, CONN_PATIENCE_MS - 1)); /* all are waited for */
	assert_int_equal(count_open(l, 4), 4);
	assert_true(open_link(&l[4], 7, CONN_PATIENCE_MS));
	assert_true(is_shut(&l[0])); /* the oldest */
	assert_true(open_link(&l[5], 7, CONN_PATIENCE_MS));
	assert_true(is_shut(&l[1]));
	assert_false(open_link(&l[6], 7, CONN_PATIENCE_MS));
	assert_int_equal(count_open(l, 6), 4);
	close_links(l, 7);
}

/* The next request is there, only not read yet. */
static void test_unread(void **state)
{
	struct link l[4] = {};

	(void)state;
	start(2, 1, 1);
	assert_true(open_link(&l[0], 7, 0));
	assert_true(open_link(&l[1], 7, 0));
	use(&l[0], 100);
	use(&l[1], 200);
	assert_int_equal(write(l[0].fds[1], "GET", 3), 3);
	assert_true(open_link(&l[2], 7, 300));
	assert_true(is_shut(&l[1]));
	assert_false(is_shut(&l[0]));
	assert_false(open_link(&l[3], 7, 300));
	assert_true(open_link(&l[3], 7, 300 + CONN_PATIENCE_MS)); /* it never became one */
	assert_true(is_shut(&l[0]));
	close_links(l, 4);
}

/* The total is reached: the largest gives up what it misses least, a newcomer is never refused. */
static void test_evict(void **state)
{
	struct link l[6] = {};

	(void)state;
	start(4, 1, 1);
	assert_true(open_link(&l[0], 7, 0)); /* idle, but used since */
	assert_true(open_link(&l[1], 7, 100)); /* oldest, busy */
	assert_true(open_link(&l[2], 7, 200)); /* longest idle */
	assert_true(open_link(&l[3], 8, 0));
	use(&l[0], 300);
	use(&l[2], 250);
	http_conns_begin(&c, l[1].conn, 300);
	assert_true(open_link(&l[4], 8, 400));
	assert_true(is_shut(&l[2]));
	assert_int_equal(count_open(l, 5), 4);
	assert_true(open_link(&l[5], 9, 500));
	assert_int_equal(count_open(l, 6), 4);
	assert_false(is_shut(&l[1])); /* busy ones last */
	assert_false(is_shut(&l[5]));
	close_links(l, 6);
}

static void test_evict_busy(void **state)
{
	struct link l[3] = {};

	(void)state;
	start(2, 1, 1);
	assert_true(open_link(&l[0], 7, 100));
	assert_true(open_link(&l[1], 7, 0));
	for (size_t i = 0; i < 2; i++) {
		http_conns_begin(&c, l[i].conn, 100);
		http_conns_whole(&c, l[i].conn);
	}
	assert_true(open_link(&l[2], 8, 200));
	assert_true(is_shut(&l[1]));
	assert_false(is_shut(&l[0]));
	/* what is shut down may still end its request */
	http_conns_end(&c, l[1].conn, 300);
	close_links(l, 3);
}

/* Callers without a stamp have shares of their own, and there the oldest goes, whatever it does. */
static void test_unstamped(void **state)
{
	static const uint64_t shares[] = {HTTP_SHARE_UNKNOWN, HTTP_SHARE_LOCAL};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct link l[6] = {};
		uint64_t other = shares[1 - i];

		start(1, 2, 2);
		assert_true(open_link(&l[0], shares[i], 0));
		assert_true(open_link(&l[1], shares[i], 0));
		assert_true(open_link(&l[2], 7, 0));
		assert_true(open_link(&l[3], other, 0));
		assert_int_equal(c.count, 1);
		assert_int_equal(count_open(l, 4), 4);
		http_conns_begin(&c, l[0].conn, CONN_PATIENCE_MS); /* a pod's would be kept */
		assert_true(open_link(&l[4], shares[i], CONN_PATIENCE_MS));
		assert_true(is_shut(&l[0]));
		assert_true(open_link(&l[5], shares[i], CONN_PATIENCE_MS));
		assert_true(is_shut(&l[1]));
		assert_int_equal(count_open(l, 6), 4);
		close_links(l, 6);
	}
}

static void test_unstamped_alone(void **state)
{
	struct link l[2] = {};

	(void)state;
	start(1, 1, 1);
	assert_true(open_link(&l[0], HTTP_SHARE_UNKNOWN, 0));
	assert_true(open_link(&l[1], HTTP_SHARE_UNKNOWN,
			      0)); /* its owner went with the only connection */
	assert_true(is_shut(&l[0]));
	assert_false(is_shut(&l[1]));
	close_links(l, 2);
}

#define TOTAL	  64
#define ATTACKERS 8
#define SHARE	  (TOTAL / (ATTACKERS + 1))

/* Attackers open at random as fast as they can; the victim always gets and keeps its fair share. */
static void test_fair(void **state)
{
	static struct link l[TOTAL * 100];
	struct link victim[SHARE] = {};
	size_t n = 0;

	(void)state;
	start(TOTAL, 1, 1);
	srandom(1);
	for (int64_t now = 0; now < TOTAL * 100; now++) {
		uint64_t pod = 1 + (uint64_t)random() % ATTACKERS;

		if (open_link(&l[n], pod, now)) {
			if (random() % 2)
				http_conns_begin(&c, l[n].conn, now);
			n++;
		}
		if (now >= 1000 && now < 1000 + SHARE)
			assert_true(open_link(&victim[now - 1000], 99, 0));
		assert_true(c.count <= TOTAL);
		if (n && random() % 8 == 0)
			close_link(&l[--n]);
		if (n == 400) {
			/* libmicrohttpd closes what was shut down */
			size_t left = 0;

			for (size_t i = 0; i < n; i++) {
				if (l[i].conn->owner)
					l[left++] = l[i];
				else
					close_link(&l[i]);
			}
			n = left;
		}
	}
	assert_int_equal(c.count, TOTAL);
	assert_int_equal(count_open(victim, SHARE), SHARE);
	for (size_t i = 0; i < n; i++)
		close_link(&l[i]);
	close_links(victim, SHARE);
}

static const struct conn_times times = {.idle_ms = 10000, .request_ms = 60000};

static void test_deadline(void **state)
{
	struct link l[3] = {};

	(void)state;
	start(10, 10, 10);
	assert_true(open_link(&l[0], 7, 1000)); /* never asks */
	assert_true(open_link(&l[1], 7, 1000)); /* has had an answer */
	use(&l[1], 20000);
	assert_true(open_link(&l[2], 7, 1000)); /* asks for half */
	http_conns_begin(&c, l[2].conn, 2000);
	http_conns_expire(&c, 29999, &times);
	assert_int_equal(count_open(l, 3), 3);
	http_conns_expire(&c, 30000, &times);
	assert_true(is_shut(&l[1]));
	http_conns_expire(&c, 60999, &times);
	assert_int_equal(count_open(l, 3), 2);
	http_conns_expire(&c, 61000, &times);
	assert_true(is_shut(&l[0]));
	http_conns_expire(&c, 61999, &times);
	assert_false(is_shut(&l[2]));
	http_conns_expire(&c, 62000, &times);
	assert_true(is_shut(&l[2]));
	assert_null(c.owners);
	close_links(l, 3);
}

/* A request that has come and has not been read: the delay is ours. One that has been read is not asked. */
static void test_deadline_unread(void **state)
{
	struct link l[4] = {};

	(void)state;
	start(10, 10, 10);
	for (size_t i = 0; i < 4; i++)
		assert_true(open_link(&l[i], 7, 1000));
	use(&l[1], 2000);
	http_conns_begin(&c, l[2].conn, 2000);
	http_conns_begin(&c, l[3].conn, 2000);
	http_conns_whole(&c, l[3].conn);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(write(l[i].fds[1], "GET", 3), 3);
	http_conns_expire(&c, 500000, &times);
	assert_int_equal(count_open(l, 4), 3);
	assert_true(is_shut(&l[3]));
	close_links(l, 4);
}

/* The server ends: those that rest at once, the others when they have been answered. */
static void test_drain(void **state)
{
	struct link l[4] = {};

	(void)state;
	start(10, 10, 10);
	for (size_t i = 0; i < 3; i++)
		assert_true(open_link(&l[i], 7, 1000));
	assert_true(open_link(&l[3], HTTP_SHARE_LOCAL, 1000));
	use(&l[0], 1000); /* rests */
	use(&l[1], 1000); /* its next request is there */
	assert_int_equal(write(l[1].fds[1], "GET", 3), 3);
	http_conns_begin(&c, l[2].conn, 1000);
	assert_false(http_conns_is_last(&c, l[2].conn, 1000));
	assert_int_equal(http_conns_drain(&c), 3);
	assert_true(is_shut(&l[0]));
	assert_true(http_conns_is_last(&c, l[2].conn, 1000));
	http_conns_whole(&c, l[2].conn);
	http_conns_end(&c, l[2].conn, 1000);
	assert_int_equal(http_conns_drain(&c), 2);
	assert_int_equal(count_open(l, 4), 2);
	close_links(l, 4);
}

static void test_life(void **state)
{
	struct link l[2] = {};

	(void)state;
	start(10, 10, 10);
	assert_true(open_link(&l[0], 7, 1000));
	assert_true(open_link(&l[1], 7, 1000));
	for (int i = 1; i < CONN_MAX_REQUESTS; i++) {
		http_conns_begin(&c, l[0].conn, 2000);
		assert_false(http_conns_is_last(&c, l[0].conn, 2000));
		http_conns_end(&c, l[0].conn, 2000);
	}
	http_conns_begin(&c, l[0].conn, 2000);
	assert_true(http_conns_is_last(&c, l[0].conn, 2000));
	http_conns_begin(&c, l[1].conn, 2000);
	assert_false(http_conns_is_last(&c, l[1].conn, 1000 + CONN_MAX_AGE_MS - 1));
	assert_true(http_conns_is_last(&c, l[1].conn, 1000 + CONN_MAX_AGE_MS));
	close_links(l, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_room),	cmocka_unit_test(test_newcomers),
		cmocka_unit_test(test_unread),		cmocka_unit_test(test_evict),
		cmocka_unit_test(test_evict_busy),	cmocka_unit_test(test_unstamped),
		cmocka_unit_test(test_unstamped_alone), cmocka_unit_test(test_fair),
		cmocka_unit_test(test_deadline),	cmocka_unit_test(test_deadline_unread),
		cmocka_unit_test(test_drain),		cmocka_unit_test(test_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
