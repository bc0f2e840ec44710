// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/agent_harness.c */
/* MODULES: agent credentials aws http upstream crypto yaml base */
/* LIBS: -lmicrohttpd -lgnutls -ljansson -lyaml -lpcre2-8 -lcrypto */
/* Waiting for names, shares and limits, reload, start and stop, over real sockets. */
#include "agent_harness.h"
#include "base/addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static void test_named_late(void **state)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	(void)state;
	atomic_store(&identity, UNNAMED);
	atomic_store(&named_after, 8);
	send_text(fd, GET23 "\r\n" GET23 "\r\n");
	for (int i = 0; i < 2; i++) {
		assert_true(read_answer(fd, false, &a));
		assert_credentials(&a);
	}
	assert_true(atomic_load(&asked) > 8);
}

static void test_never_named(void **state)
{
	struct answer a;

	(void)state;
	restart(30, 0);
	atomic_store(&identity, UNNAMED);
	a = ask(GET23 "\r\n");
	assert_int_equal(a.status, 503);
	assert_non_null(strstr(a.body, "\"code\":\"PodNotResolved\""));
	assert_string_equal(find_header(&a, "Content-Type"), "application/json");
	atomic_store(&identity, IMDS_UNNAMED);
	a = ask("PUT /latest/api/token HTTP/1.1\r\n" HOST254
		"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n");
	assert_int_equal(a.status, 503);
}

/* While one caller waits, which would take a minute, others are answered. */
static void test_waiting_blocks_nobody(void **state)
{
	int waiting[8];
	struct answer a;

	(void)state;
	atomic_store(&identity, UNNAMED);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		waiting[i] = dial();
		send_text(waiting[i], GET23 "\r\n");
	}
	a = ask("GET /nothing HTTP/1.1\r\n" HOST23 "\r\n");
	assert_int_equal(a.status, 404);
	/* an identity that is lost while waiting ends the wait */
	atomic_store(&identity, UNSTAMPED);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		assert_true(read_answer(waiting[i], false, &a));
		assert_int_equal(a.status, 403);
		close(waiting[i]);
	}
}

/* A job that starts with hundreds of processes, before its pod has a name: all of them wait. */
static void test_waiting_crowd(void **state)
{
	int fds[400];
	struct answer a;

	(void)state;
	atomic_store(&identity, UNNAMED);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		send_text(fds[i], GET23 "\r\n");
	}
	atomic_store(&identity, NAMED);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_true(read_answer(fds[i], false, &a));
		assert_credentials(&a);
		close(fds[i]);
	}
}

/* Whichever they are: the server may have sent an answer and not yet know that it has. Waits for so
 * many of these idle connections to end, and closes them. */
static void end_of(int *fds, size_t n, size_t count)
{
	struct pollfd p[300];

	assert_true(n <= ARRAY_SIZE(p));
	while (count) {
		for (size_t i = 0; i < n; i++)
			p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
		assert_true(poll(p, n, 60000) > 0);
		for (size_t i = 0; i < n && count; i++) {
			if (!p[i].revents)
				continue;
			assert_true(at_end(fds[i]));
			close(fds[i]);
			fds[i] = -1;
			count--;
		}
	}
}

static void open_and_ask(int *fds, size_t n)
{
	struct answer a;

	for (size_t i = 0; i < n; i++) {
		fds[i] = dial();
		send_text(fds[i], GET23 "\r\n");
		assert_true(read_answer(fds[i], false, &a));
		assert_credentials(&a);
	}
}

static size_t ask_again_and_close(const int *fds, size_t n)
{
	struct answer a;
	size_t open = 0;

	for (size_t i = 0; i < n; i++) {
		if (fds[i] < 0)
			continue;
		send_text(fds[i], GET23 "\r\n");
		assert_true(read_answer(fds[i], false, &a));
		assert_credentials(&a);
		close(fds[i]);
		open++;
	}
	return open;
}

/* One pod has all connections there are, and more come: those that rest make room. */
static void test_own_room(void **state)
{
	int fds[8];

	(void)state;
	restart(60000, 4);
	open_and_ask(fds, 8);
	end_of(fds, 8, 4);
	assert_int_equal(ask_again_and_close(fds, 8), 4);
}

/* All slots are one pod's: another pod gets those that it misses least, up to as many. */
static void test_eviction(void **state)
{
	int fds[4], other[3];

	(void)state;
	restart(60000, 4);
	open_and_ask(fds, 4);
	atomic_store(&identity, OTHER_POD);
	open_and_ask(other, 2);
	end_of(fds, 4, 2);
	/* two each: a third one is at its own pod's cost */
	open_and_ask(other + 2, 1);
	end_of(other, 3, 1);
	assert_int_equal(ask_again_and_close(other, 3), 2);
	assert_int_equal(ask_again_and_close(fds, 4), 2);
}

/* One that waits for its name ends as well, although libmicrohttpd does not look at it. */
static void test_evict_waiting(void **state)
{
	_cleanup_close_ int fd = -EBADF;
	struct answer a;
	int before, tries = 0;

	(void)state;
	restart(60000, 1);
	atomic_store(&identity, UNNAMED);
	fd = dial();
	send_text(fd, GET23 "\r\n");
	while (atomic_load(&asked) < 10)
		usleep(1000); /* it waits: it is asked about again and again */
	atomic_store(&identity, OTHER_UNNAMED);
	a = ask("GET /nothing HTTP/1.1\r\n" HOST23 "\r\n");
	assert_int_equal(a.status, 404);
	assert_true(at_end(fd));
	do { /* and then no more, long before its minute is over */
		before = atomic_load(&asked);
		usleep(200000);
	} while (atomic_load(&asked) != before && ++tries < 50);
	assert_true(tries < 50);
}

/* Half requests from outside, whose callers have no stamp: neither pods nor the node's probes lose
 * a slot to them, and among them the oldest goes first, so one that asks at once is answered. */
static void test_unstamped_flood(void **state)
{
	static const char health[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
	_cleanup_close_ int probe = -EBADF, late = -EBADF;
	int fds[300]; /* of 256 */
	struct answer a;

	(void)state;
	restart(60000, 2);
	atomic_store(&identity, UNSTAMPED);
	probe = dial();
	send_text(probe, health);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial_from(INADDR_LOOPBACK + 1);
		send_text(fds[i], "GET /healthz HTTP/1.1\r\n");
	}
	end_of(fds, ARRAY_SIZE(fds), ARRAY_SIZE(fds) - 256);
	send_text(probe, "\r\n");
	assert_true(read_answer(probe, false, &a));
	assert_int_equal(a.status, 200);
	assert_string_equal(find_header(&a, "Connection"), "close");
	atomic_store(&identity, NAMED);
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
	atomic_store(&identity, UNSTAMPED);
	late = dial_from(INADDR_LOOPBACK + 1); /* at the cost of one of the others */
	send_text(late, health);
	send_text(late, "\r\n");
	assert_true(read_answer(late, false, &a));
	assert_int_equal(a.status, 200);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void test_requests_per_connection(void **state)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	(void)state;
	for (int i = 1; i <= 100; i++) {
		send_text(fd, GET23 "\r\n");
		assert_true(read_answer(fd, false, &a));
		assert_credentials(&a);
		assert_int_equal(find_header(&a, "Connection") != NULL, i == 100);
	}
	assert_string_equal(find_header(&a, "Connection"), "close");
	assert_true(at_end(fd));
}

static void *client_thread(void *arg)
{
	struct answer *a = arg;
	_cleanup_close_ int fd = dial();

	for (int i = 0; i < 10; i++) {
		send_text(fd, GET23 "\r\n");
		if (!read_answer(fd, false, a) || a->status != 200)
			break;
	}
	return NULL;
}

static void test_concurrent(void **state)
{
	static struct answer answers[20];
	pthread_t threads[20];
	struct pc_err err;

	(void)state;
	atomic_store(&identity, UNNAMED);
	atomic_store(&named_after, 60);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, client_thread, &answers[i]), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(cred_store_reload(store, NULL, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], NULL);
		assert_credentials(&answers[i]);
	}
}

static void test_reload(void **state)
{
	struct pc_err err = {};
	struct answer a;

	(void)state;
	write_file(FILE_TEXT("AKIATWO") "    rolle: x\n");
	assert_int_equal(cred_store_reload(store, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "rolle"));
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
	write_file(FILE_TEXT("AKIATWO"));
	assert_int_equal(chmod(file_path, 0644), 0);
	assert_int_equal(cred_store_reload(store, file_path, &err), 0);
	assert_true(cred_store_exposed(store));
	assert_int_equal(cred_store_count(store), 1);
	a = ask(GET23 "\r\n");
	assert_non_null(strstr(a.body, "AKIATWO"));
	assert_int_equal(chmod(file_path, 0600), 0);
	write_file("associations: []\n");
	assert_int_equal(cred_store_reload(store, NULL, &err), 0);
	assert_false(cred_store_exposed(store));
	a = ask(GET23 "\r\n");
	assert_int_equal(a.status, 404);
}

/* Idle, half-sent and suspended connections all end with the server. */
static void test_stop(void **state)
{
	_cleanup_close_ int idle = dial(), half = dial(), waiting = dial(), used = dial();
	struct answer a;

	(void)state;
	send_text(half, "GET /v1/cred");
	send_text(used, GET23 "\r\n");
	assert_true(read_answer(used, false, &a));
	atomic_store(&identity, UNNAMED);
	send_text(waiting, GET23 "\r\n");
	/* answered after the waiting one was sent, so that one is most likely suspended by now */
	a = ask("GET /nothing HTTP/1.1\r\n" HOST23 "\r\n");
	assert_int_equal(a.status, 404);
	stop_server();
	assert_true(at_end(idle));
	assert_true(at_end(half));
	assert_true(at_end(used));
	while (!at_end(waiting))
		; /* it may have been told to come back */
}

static void test_start_errors(void **state)
{
	struct net_addr addr = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = port};
	struct net_addr elsewhere = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 8080};
	struct agent_options options = {.credentials = store, .peer = fake_peer};
	struct agent_server *other = NULL;
	struct cred_store *missing = NULL;
	struct pc_err err = {};
	int closed = -1;
	char text[64];

	(void)state;
	assert_int_equal(agent_server_start(&options, &other, &err), -EINVAL);
	options.listen = &addr;
	options.n_listen = 1;
	assert_int_equal(agent_server_start(&options, &other, &err), -EADDRINUSE);
	snprintf(text, sizeof(text), "127.0.0.1:%u: Address already in use; ", port);
	assert_non_null(strstr(err.msg, text));
	options.listen = &elsewhere;
	assert_int_equal(agent_server_start(&options, &other, &err), -EADDRNOTAVAIL);
	addr.port = 0;
	options.listen = &addr;
	assert_int_equal(agent_server_start(&options, &other, &err), -EINVAL);
	options.n_listen = 0;
	options.listen_fds = &closed;
	options.n_listen_fds = 1;
	assert_int_equal(agent_server_start(&options, &other, &err), -EINVAL);
	assert_int_equal(cred_store_open("/nonexistent/a.yaml", 0, &missing, &err), -ENOENT);
	assert_null(missing);
	assert_null(other);
}

static int bound(const struct net_addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = net_addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	if (bind(fd, (struct sockaddr *)&sa, len) == 0)
		return fd;
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	return -1;
}

/* A port that both addresses have. Until the sockets are closed nobody is given it who does not ask
 * for it, and who asks, as the agent does (SO_REUSEADDR), may listen there. */
static void hold_port(struct net_addr addrs[2], int ret_fds[2])
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	for (;;) {
		addrs[0].port = 0;
		ret_fds[0] = bound(&addrs[0]);
		assert_true(ret_fds[0] >= 0);
		assert_int_equal(getsockname(ret_fds[0], (struct sockaddr *)&sa, &len), 0);
		port = ntohs(((struct sockaddr_in *)&sa)->sin_port);
		addrs[0].port = addrs[1].port = port;
		ret_fds[1] = bound(&addrs[1]);
		if (ret_fds[1] >= 0)
			return;
		close(ret_fds[0]);
	}
}

static void release_port(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* The agent's own listener: IPv4 and IPv6 on the same port, side by side. */
static void test_own_listeners(void **state)
{
	struct net_addr addrs[2] = {{.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}}, {.ip = {[15] = 1}}};
	struct agent_options options = {
		.listen = addrs, .n_listen = 2, .credentials = store, .peer = fake_peer};
	struct sockaddr_in6 probe = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	_cleanup_close_ int six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct answer a;
	int held[2];

	(void)state;
	if (six < 0 || bind(six, (struct sockaddr *)&probe, sizeof(probe)) < 0)
		skip(); /* no IPv6 here */
	hold_port(addrs, held);
	stop_server();
	assert_int_equal(start_server(&options, NULL), 0);
	release_port(held);
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
}

/* One of two addresses is missing, or somebody else has its port: the other is served meanwhile. */
static void test_missing_address(void **state)
{
	struct net_addr addrs[2] = {
		{.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}},
		{.ip = {[10] = 0xff, 0xff, 127, 0, 0, 3}}}; /* no test dials from it */
	struct agent_options options = {
		.listen = addrs, .n_listen = 2, .credentials = store, .peer = fake_peer};
	struct pc_err err = {};
	struct answer a;
	int taken, held[2];

	(void)state;
	stop_server();
	hold_port(addrs, held);
	taken = bound(&addrs[0]);
	assert_true(taken >= 0);
	assert_int_equal(listen(taken, 1), 0);
	assert_int_equal(start_server(&options, &err), 0);
	assert_int_equal(agent_server_listen(server, 1, &err), 0);
	assert_int_equal(agent_server_listen(server, 0, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, "cannot listen on 127.0.0.1:"));
	close(taken);
	assert_int_equal(agent_server_listen(server, 0, &err), 0);
	assert_int_equal(agent_server_listen(server, 0, &err), 0);
	release_port(held);
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
	stop_server();
	/* an address that can never be listened on is a mistake, whatever the other one is */
	addrs[1].port = 0;
	assert_int_equal(start_server(&options, &err), -EINVAL);
	assert_null(server);
}

/* Somebody has the address of the metrics: no reason not to serve, and it comes when it is free. */
static void test_metrics_address(void **state)
{
	struct net_addr metrics = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}};
	uint16_t at;
	int taken = make_listener(&at);
	const struct agent_options options = {.listen_fds = &(int){make_listener(&port)},
					      .n_listen_fds = 1,
					      .metrics = &metrics,
					      .credentials = store,
					      .peer = fake_peer};
	struct pc_err err = {};
	struct answer a;

	(void)state;
	metrics.port = at;
	stop_server();
	assert_int_equal(start_server(&options, &err), 0);
	close(options.listen_fds[0]);
	assert_int_equal(agent_server_listen_metrics(server, &err), -EADDRINUSE);
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
	close(taken);
	assert_int_equal(agent_server_listen_metrics(server, &err), 0);
	port = at;
	a = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, "\npodcred_agent_grants_total 1\n"));
	a = ask("GET /v1/credentials HTTP/1.1\r\n" HOST23 "\r\n");
	assert_int_equal(a.status, 404);
}

static void test_few_files(void **state)
{
	const struct agent_options options = {.listen_fds = &(int){make_listener(&port)},
					      .n_listen_fds = 1,
					      .credentials = store,
					      .peer = fake_peer,
					      .max_files = AGENT_FILES / 4};

	(void)state;
	assert_int_equal(agent_server_connections(server), 1024);
	stop_server();
	assert_int_equal(start_server(&options, NULL), 0);
	/* what it has open without any connection comes first */
	assert_in_range(agent_server_connections(server), 240, 255);
	close(options.listen_fds[0]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_named_late),
		TEST(test_never_named),
		TEST(test_waiting_blocks_nobody),
		TEST(test_waiting_crowd),
		TEST(test_own_room),
		TEST(test_eviction),
		TEST(test_evict_waiting),
		TEST(test_unstamped_flood),
		TEST(test_requests_per_connection),
		TEST(test_concurrent),
		TEST(test_reload),
		TEST(test_stop),
		TEST(test_start_errors),
		TEST(test_own_listeners),
		TEST(test_missing_address),
		TEST(test_metrics_address),
		TEST(test_few_files),
	};

	return run_agent_tests(tests, ARRAY_SIZE(tests));
}
