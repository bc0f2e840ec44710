// SPDX-License-Identifier: Apache-2.0
/* MODULES: http base */
/* LIBS: -lmicrohttpd -lgnutls */
/* A server that does not get to run: what has been asked meanwhile is answered all the same. The server
 * is a process of its own, which is stopped for longer than its limits. */
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "http/request.h"
#include "http/server.h"

#define LIMIT_S	 3
#define STOP_S	 5
#define N	 32
#define REQUEST	 "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define PATIENCE 60000 /* a hang, not a measurement */

static atomic_uint *accepted; /* shared with the server */
static uint16_t port;
static pid_t pid;

static int handle(void *ctx, struct http_request *req, struct http_response *resp)
{
	(void)ctx;
	(void)req;
	http_response_begin(resp, 200, "text/plain");
	text_add(&resp->body, "x");
	return HTTP_DONE;
}

static uint64_t share(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	atomic_fetch_add(accepted, 1);
	return 7;
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

static _Noreturn void serve(int fd)
{
	const struct http_options options = {
		.listen_fds = &fd,
		.n_listen_fds = 1,
		.limits = {200, 200, 200},
		.threads = 2,
		.idle_timeout_s = LIMIT_S,
		.request_timeout_ms = LIMIT_S * 1000,
		.handle = handle,
		.share = share,
	};
	struct http_server *server;
	struct pc_err err = {};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (http_start(&options, &server, &err) < 0)
		_exit(1);
	for (;;) {
		struct pollfd p = {.fd = http_fd(server), .events = POLLIN};

		poll(&p, 1, http_turn(server));
	}
}

static int setup(void **state)
{
	_cleanup_close_ int fd = make_listener();

	(void)state;
	accepted = mmap(NULL, sizeof(*accepted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	assert_ptr_not_equal(accepted, MAP_FAILED);
	pid = fork();
	if (pid == 0)
		serve(fd);
	return pid < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(accepted, sizeof(*accepted));
	return 0;
}

static int dial(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct timeval patience = {.tv_sec = PATIENCE / 1000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void ask(int fd)
{
	assert_int_equal(send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
}

static bool is_answered(int fd)
{
	char head[500];
	ssize_t n = recv(fd, head, sizeof(head), 0);

	return n > 12 && !memcmp(head, "HTTP/1.1 200", 12);
}

static void wait_accepted(unsigned count)
{
	for (int i = 0; atomic_load(accepted) < count; i++) {
		if (i == PATIENCE)
			fail_msg("%u accepted, not %u", atomic_load(accepted), count);
		usleep(1000);
	}
}

static void stop(void)
{
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
}

static unsigned answered(const int *fds)
{
	unsigned count = 0;

	for (size_t i = 0; i < N; i++) {
		count += is_answered(fds[i]);
		close(fds[i]);
	}
	return count;
}

/* Connections that have an answer, and others that are only accepted; then it is stopped. On a slow machine that takes longer
 * than the server waits, and it is right to end some. Returns whether it was in time. */
static bool stop_with(int kept[N], int fresh[N])
{
	unsigned before = atomic_load(accepted);
	uint64_t began = clock_mono_ns();

	for (size_t i = 0; i < N; i++)
		ask(kept[i] = dial());
	for (size_t i = 0; i < N; i++)
		assert_true(is_answered(kept[i]));
	for (size_t i = 0; i < N; i++)
		fresh[i] = dial();
	wait_accepted(before + 2 * N);
	stop();
	return clock_mono_ns() - began < LIMIT_S * CLOCK_S - CLOCK_S / 2;
}

static void close_all(const int *fds)
{
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
}

/* Those that came just now, those that had an answer before, and those that it had not even accepted. */
static void test_stopped(void **state)
{
	const struct timespec longer = {.tv_sec = STOP_S};
	int fresh[N], kept[N], queued[N];

	(void)state;
	while (!stop_with(kept, fresh)) {
		kill(pid, SIGCONT);
		close_all(kept);
		close_all(fresh);
	}
	for (size_t i = 0; i < N; i++) {
		queued[i] = dial();
		ask(fresh[i]);
		ask(kept[i]);
		ask(queued[i]);
	}
	nanosleep(&longer, NULL);
	kill(pid, SIGCONT);
	assert_int_equal(answered(queued), N);
	assert_int_equal(answered(fresh), N);
	assert_int_equal(answered(kept), N);
}

/* Nobody is kept for ever: who never asks, asks for half, or has been answered. */
static void test_ended(void **state)
{
	struct pollfd p[3];
	char c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = (struct pollfd){.fd = dial(), .events = POLLIN};
	assert_int_equal(send(p[1].fd, REQUEST, 20, MSG_NOSIGNAL), 20);
	ask(p[2].fd);
	assert_true(is_answered(p[2].fd));
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		assert_int_equal(poll(&p[i], 1, PATIENCE), 1);
		assert_int_equal(recv(p[i].fd, &c, 1, 0), 0);
		close(p[i].fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ended, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
