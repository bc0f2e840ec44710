// SPDX-License-Identifier: Apache-2.0
/* MODULES: http base */
/* LIBS: -lmicrohttpd -lgnutls */
/* Requests that wait: woken by their key and nothing else, in time, and never lost. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "http/request.h"
#include "http/server.h"

#define KEYS 4

static struct http_server *server;
static uint16_t port;
static atomic_bool ready[KEYS]; /* what a request for this key waits for has come */
static atomic_uint steps[KEYS]; /* of the handler */
static atomic_uint polls[KEYS];
static atomic_bool wake_before_park;
static atomic_int wait_ms;
static pthread_t turner;
static int stop_fd;

static uint64_t key_of(const struct http_request *req)
{
	const char *target = http_request_head(req)->target;

	return (uint64_t)(target[1] - '0') % KEYS;
}

static int say(struct http_response *resp, unsigned status)
{
	http_response_begin(resp, status, "text/plain");
	text_add(&resp->body, "x");
	return HTTP_DONE;
}

static int handle(void *ctx, struct http_request *req, struct http_response *resp)
{
	uint64_t key = key_of(req);
	int r;

	(void)ctx;
	atomic_fetch_add(&steps[key], 1);
	if (atomic_load(&ready[key]))
		return say(resp, 200);
	if (atomic_exchange(&wake_before_park, false)) {
		atomic_store(&ready[key], true);
		http_wake(server, key);
	}
	r = http_park(req, http_request_since_ms(req) + atomic_load(&wait_ms), key);
	if (r == -ETIMEDOUT)
		return say(resp, 504);
	return r == -ESHUTDOWN ? say(resp, 503) : r;
}

static bool poll_key(void *ctx, uint64_t key, int fd)
{
	(void)ctx;
	assert_true(fd >= 0);
	atomic_fetch_add(&polls[key], 1);
	return false;
}

static void *turn(void *arg)
{
	struct pollfd fds[] = {{.fd = http_fd(server), .events = POLLIN},
			       {.fd = stop_fd, .events = POLLIN}};

	while (!fds[1].revents)
		poll(fds, ARRAY_SIZE(fds), http_turn(server));
	return arg;
}

static int make_listener(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, SOMAXCONN), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	port = ntohs(sa.sin_port);
	return fd;
}

static int setup(void **state)
{
	_cleanup_close_ int fd = make_listener();
	struct http_options options = {
		.listen_fds = &fd,
		.n_listen_fds = 1,
		.limits = {200, 200, 200},
		.threads = 2,
		.idle_timeout_s = 600,
		.request_timeout_ms = 600000,
		.handle = handle,
		.poll = poll_key,
		.poll_ms = 5,
	};
	struct pc_err err = {};

	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		atomic_store(&ready[i], false);
		atomic_store(&steps[i], 0);
		atomic_store(&polls[i], 0);
	}
	atomic_store(&wait_ms, 600000);
	if (http_start(&options, &server, &err) < 0)
		fail_msg("%s", err.msg);
	stop_fd = eventfd(0, EFD_CLOEXEC);
	return pthread_create(&turner, NULL, turn, NULL);
}

static int teardown(void **state)
{
	(void)state;
	eventfd_write(stop_fd, 1);
	pthread_join(turner, NULL);
	close(stop_fd);
	http_stop(server);
	return 0;
}

static int ask(int key)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct timeval patience = {.tv_sec = 30}; /* a hang, not a measurement */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_true(dprintf(fd, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", key) > 0);
	return fd;
}

/* The status of the answer; 0: none. Closes. */
static int status_of(int fd)
{
	char head[16] = "";
	int status = 0;

	if (recv(fd, head, sizeof(head) - 1, MSG_WAITALL) > 0)
		sscanf(head, "HTTP/1.1 %d", &status);
	close(fd);
	return status;
}

static void wait_parked(unsigned count)
{
	for (int i = 0; http_counts(server).parked != count; i++) {
		if (i == 30000)
			fail_msg("%u requests wait, not %u", http_counts(server).parked, count);
		usleep(1000);
	}
}

static void test_wake(void **state)
{
	int one[3], two[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(one); i++) {
		one[i] = ask(1);
		two[i] = ask(2);
	}
	wait_parked(6);
	atomic_store(&ready[1], true);
	http_wake(server, 1);
	for (size_t i = 0; i < ARRAY_SIZE(one); i++)
		assert_int_equal(status_of(one[i]), 200);
	assert_int_equal(http_counts(server).parked, 3);
	assert_int_equal(atomic_load(&steps[2]), 3); /* nobody ran them for nothing */
	atomic_store(&ready[2], true);
	http_wake(server, 2);
	for (size_t i = 0; i < ARRAY_SIZE(two); i++)
		assert_int_equal(status_of(two[i]), 200);
	wait_parked(0);
	http_wake(server, 3); /* nobody waits */
}

/* The event comes after the handler has looked, and before its request is in the list. */
static void test_wake_before_park(void **state)
{
	(void)state;
	atomic_store(&wake_before_park, true);
	assert_int_equal(status_of(ask(1)), 200);
	assert_int_equal(atomic_load(&steps[1]), 2);
}

static void test_deadline(void **state)
{
	int late, soon;

	(void)state;
	late = ask(1);
	wait_parked(1);
	atomic_store(&wait_ms, 20);
	soon = ask(1);
	assert_int_equal(status_of(soon), 504);
	assert_int_equal(http_counts(server).parked, 1);
	atomic_store(&ready[1], true);
	http_wake(server, 1);
	assert_int_equal(status_of(late), 200);
}

/* A client that hangs up is forgotten at once, not at its deadline. */
static void test_gone(void **state)
{
	const struct linger reset = {.l_onoff = 1};
	int gone = ask(1), stays = ask(1);

	(void)state;
	wait_parked(2);
	setsockopt(gone, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(gone);
	wait_parked(1);
	atomic_store(&ready[1], true);
	http_wake(server, 1);
	assert_int_equal(status_of(stays), 200);
}

/* One question for each key, however many wait for it; none when nobody waits. */
static void test_poll_by_key(void **state)
{
	int fds[50], other;
	unsigned crowd, single, first[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = ask(1);
	other = ask(2);
	wait_parked(ARRAY_SIZE(fds) + 1);
	first[1] = atomic_load(&polls[2]);
	first[0] = atomic_load(&polls[1]);
	while (atomic_load(&polls[2]) < first[1] + 20)
		usleep(1000);
	crowd = atomic_load(&polls[1]) - first[0];
	single = atomic_load(&polls[2]) - first[1]; /* read around the others, so not fewer */
	if (crowd > single + 1)
		fail_msg("%u polls for 50 that wait, %u for one", crowd, single);
	for (int i = 1; i <= 2; i++) {
		atomic_store(&ready[i], true);
		http_wake(server, (uint64_t)i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(status_of(fds[i]), 200);
	assert_int_equal(status_of(other), 200);
	assert_int_equal(http_counts(server).parked, 0);
	assert_true(atomic_load(&polls[0]) == 0 && atomic_load(&polls[3]) == 0);
}

static void *waker(void *arg)
{
	while (!atomic_load(&ready[0])) {
		http_wake(server, 1);
		http_wake(server, 2);
	}
	return arg;
}

/* Wakes, deadlines and hangups at once: every request has one end. */
static void test_storm(void **state)
{
	pthread_t threads[2];
	int fds[40];

	(void)state;
	atomic_store(&wait_ms, 100);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, waker, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = ask(1 + (int)(i % 2));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i += 4)
		close(fds[i]);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (i % 4)
			assert_int_equal(status_of(fds[i]), 504);
	atomic_store(&ready[0], true);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	wait_parked(0);
}

static void test_stop(void **state)
{
	int fd = ask(1), status;

	wait_parked(1);
	teardown(state);
	status = status_of(fd);
	assert_true(status == 503 || status == 0);
	setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wake, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wake_before_park, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poll_by_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_storm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
