// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/lib/podcred.c */
/* LIBS: -Wl,--wrap=getsockopt */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <podcred/podcred.h>

#define PATTERN 0xa5
#define ROOM	(sizeof(struct podcred_peer) + 64)

/* The kernel's side, played by the test. Real sockets are asked when it is off. */
static struct {
	bool on;
	int error; /* errno to fail with, or 0 */
	socklen_t len; /* length to report; 0: what the caller had room for */
	int name_after; /* set PODCRED_PEER_NAMED from this call on; 0: never */
	int fail_after; /* ENODATA from this call on; 0: never */
	int calls;
	socklen_t asked;
	struct podcred_peer peer;
} fake;

int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	if (!fake.on)
		return __real_getsockopt(fd, level, option, value, len);
	assert_int_equal(level, 0x7063);
	assert_int_equal(option, 1);
	fake.asked = *len;
	fake.calls++;
	if (fake.fail_after && fake.calls >= fake.fail_after)
		fake.error = ENODATA;
	if (fake.error) {
		memset(value, 0xee, *len);
		errno = fake.error;
		return -1;
	}
	if (fake.name_after && fake.calls >= fake.name_after)
		fake.peer.flags |= PODCRED_PEER_NAMED;
	memcpy(value, &fake.peer, *len < sizeof(fake.peer) ? *len : sizeof(fake.peer));
	if (fake.len)
		*len = fake.len;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.peer.size = sizeof(fake.peer);
	fake.peer.cgroup_id = 0x1122334455667788;
	fake.peer.pod_cgroup_id = 42;
	fake.peer.family = AF_INET;
	fake.peer.port = 80;
	memcpy(fake.peer.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xa9\xfe\xaa\x17", 16);
	strcpy(fake.peer.service_account, "builder");
	return 0;
}

static void assert_filled(const void *data, size_t len, int byte)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(((const unsigned char *)data)[i], byte);
}

/* Ask with every function; each must say error and write nothing. */
static void assert_refused(int fd, int error)
{
	unsigned char buffer[ROOM];
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	memset(buffer, PATTERN, sizeof(buffer));
	memset(&addr, PATTERN, sizeof(addr));
	assert_int_equal(podcred_peer(fd, (void *)buffer, sizeof(struct podcred_peer)), error);
	assert_int_equal(podcred_peer_wait(fd, (void *)buffer, sizeof(buffer), 1000), error);
	assert_int_equal(podcred_original_destination(fd, (struct sockaddr *)&addr, &len), error);
	assert_filled(buffer, sizeof(buffer), PATTERN);
	assert_filled(&addr, sizeof(addr), PATTERN);
	assert_int_equal(len, sizeof(addr));
}

static void test_closed_fd(void **state)
{
	int fd = dup(0);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_refused(fd, -EBADF);
	assert_refused(-1, -EBADF);
}

static void test_pipe(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_refused(fds[0], -ENOTSOCK);
	close(fds[0]);
	close(fds[1]);
}

static void test_not_attached(void **state)
{
	static const struct {
		int family, type;
	} kinds[] = {
		{AF_INET, SOCK_STREAM}, {AF_INET6, SOCK_STREAM}, {AF_INET, SOCK_DGRAM},
		{AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd = socket(kinds[i].family, kinds[i].type, 0);

		if (fd < 0 && kinds[i].family == AF_INET6)
			continue; /* a machine without IPv6 */
		assert_true(fd >= 0);
		assert_refused(fd, -ENOPROTOOPT);
		close(fd);
	}
}

/* A connection that was really accepted, in the family that most callers use. */
static void test_accepted_socket(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	int fd;

	(void)state;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_refused(fd, -ENOPROTOOPT);
	close(fd);
	close(client);
	close(listener);
}

static void test_error_mapping(void **state)
{
	static const struct {
		int kernel, library;
	} errors[] = {
		{ENODATA, -ENODATA},	    {EPERM, -EPERM},   {ENOPROTOOPT, -ENOPROTOOPT},
		{EOPNOTSUPP, -ENOPROTOOPT}, {EINVAL, -EINVAL}, {EFAULT, -EFAULT},
	};

	(void)state;
	fake.on = true;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake.error = errors[i].kernel;
		assert_refused(0, errors[i].library);
	}
}

static void test_bad_arguments(void **state)
{
	unsigned char buffer[ROOM];
	struct podcred_peer *peer = (void *)buffer;
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	(void)state;
	fake.on = true;
	memset(buffer, PATTERN, sizeof(buffer));
	assert_int_equal(podcred_peer(0, peer, 0), -EINVAL);
	assert_int_equal(podcred_peer(0, peer, PODCRED_PEER_SIZE_V0 - 1), -EINVAL);
	assert_int_equal(podcred_peer_wait(0, peer, PODCRED_PEER_SIZE_V0 - 1, 0), -EINVAL);
	assert_int_equal(podcred_peer_wait(0, peer, sizeof(*peer), -2), -EINVAL);
	assert_int_equal(podcred_peer(0, NULL, sizeof(*peer)), -EINVAL);
	assert_int_equal(podcred_peer_wait(0, NULL, sizeof(*peer), 0), -EINVAL);
	assert_int_equal(podcred_original_destination(0, NULL, &len), -EINVAL);
	assert_int_equal(podcred_original_destination(0, (struct sockaddr *)&addr, NULL), -EINVAL);
	assert_filled(buffer, sizeof(buffer), PATTERN);
	assert_int_equal(fake.calls, 0);
}

static void test_nonsense_answer(void **state)
{
	(void)state;
	fake.on = true;
	fake.len = sizeof(fake.peer) - 1; /* claims more than it wrote */
	assert_refused(0, -EPROTO);
	fake.len = 4;
	assert_refused(0, -EPROTO);
	fake.len = sizeof(fake.peer) + 1; /* more than there was room for */
	assert_refused(0, -EPROTO);
	fake.len = 0;
	fake.peer.size = PODCRED_PEER_SIZE_V0 - 1;
	assert_refused(0, -EPROTO);
	fake.peer.size = 0;
	assert_refused(0, -EPROTO);
}

static void test_success(void **state)
{
	struct podcred_peer peer;

	(void)state;
	fake.on = true;
	memset(&peer, PATTERN, sizeof(peer));
	assert_int_equal(podcred_peer(0, &peer, sizeof(peer)), 0);
	assert_memory_equal(&peer, &fake.peer, sizeof(peer));
	assert_int_equal(fake.asked, sizeof(peer));
	assert_int_equal(fake.calls, 1);
}

/* A caller that was built with a later header: the rest is zero, and nothing beyond is touched. */
static void test_larger_size(void **state)
{
	unsigned char buffer[ROOM];
	size_t size = sizeof(buffer) - 8;

	(void)state;
	fake.on = true;
	memset(buffer, PATTERN, sizeof(buffer));
	assert_int_equal(podcred_peer(0, (void *)buffer, size), 0);
	assert_memory_equal(buffer, &fake.peer, sizeof(fake.peer));
	assert_filled(buffer + sizeof(fake.peer), size - sizeof(fake.peer), 0);
	assert_filled(buffer + size, sizeof(buffer) - size, PATTERN);
}

/* A caller that was built with the first header. */
static void test_smallest_size(void **state)
{
	unsigned char buffer[ROOM];

	(void)state;
	fake.on = true;
	fake.peer.size = PODCRED_PEER_SIZE_V0;
	memset(buffer, PATTERN, sizeof(buffer));
	assert_int_equal(podcred_peer(0, (void *)buffer, PODCRED_PEER_SIZE_V0), 0);
	assert_int_equal(fake.asked, PODCRED_PEER_SIZE_V0);
	assert_memory_equal(buffer, &fake.peer, PODCRED_PEER_SIZE_V0);
	assert_filled(buffer + PODCRED_PEER_SIZE_V0, sizeof(buffer) - PODCRED_PEER_SIZE_V0,
		      PATTERN);
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void test_wait_named(void **state)
{
	static const int timeouts[] = {-1, 10000};
	struct podcred_peer peer;

	(void)state;
	fake.on = true;
	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		fake.calls = 0;
		fake.name_after = 4;
		fake.peer.flags = 0;
		assert_int_equal(podcred_peer_wait(0, &peer, sizeof(peer), timeouts[i]), 0);
		assert_int_equal(fake.calls, 4);
		assert_int_equal(peer.flags, PODCRED_PEER_NAMED);
		assert_string_equal(peer.service_account, "builder");
	}
}

static void test_wait_timeout(void **state)
{
	unsigned char buffer[ROOM];
	struct podcred_peer *peer = (void *)buffer;
	struct timespec start;

	(void)state;
	fake.on = true;
	memset(buffer, PATTERN, sizeof(buffer));
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(podcred_peer_wait(0, peer, sizeof(buffer), 60), -ETIMEDOUT);
	assert_true(elapsed_ms(&start) >= 60);
	assert_in_range(fake.calls, 2, 9); /* at 0 1 3 7 15 31 51 60 ms; a slow machine asks less */
	assert_int_equal(peer->flags & PODCRED_PEER_NAMED, 0);
	assert_int_equal(peer->pod_cgroup_id, 42);
	assert_filled(buffer + sizeof(*peer), sizeof(buffer) - sizeof(*peer), 0);
}

static void test_wait_once(void **state)
{
	struct podcred_peer peer;

	(void)state;
	fake.on = true;
	assert_int_equal(podcred_peer_wait(0, &peer, sizeof(peer), 0), -ETIMEDOUT);
	assert_int_equal(fake.calls, 1);
	assert_int_equal(peer.pod_cgroup_id, 42);
}

/* An unnamed answer that is followed by a failure leaves no trace. */
static void test_wait_fails_later(void **state)
{
	struct podcred_peer peer;

	(void)state;
	fake.on = true;
	fake.fail_after = 3;
	memset(&peer, PATTERN, sizeof(peer));
	assert_int_equal(podcred_peer_wait(0, &peer, sizeof(peer), -1), -ENODATA);
	assert_int_equal(fake.calls, 3);
	assert_filled(&peer, sizeof(peer), PATTERN);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void *send_signals(void *arg)
{
	pthread_t target = *(pthread_t *)arg;

	for (int i = 0; i < 10; i++) {
		usleep(2000);
		pthread_kill(target, SIGUSR1);
	}
	return NULL;
}

static void test_wait_ignores_signals(void **state)
{
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t self = pthread_self(), sender;
	struct podcred_peer peer;
	struct timespec start;

	(void)state;
	fake.on = true;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(pthread_create(&sender, NULL, send_signals, &self), 0);
	assert_int_equal(podcred_peer_wait(0, &peer, sizeof(peer), 50), -ETIMEDOUT);
	assert_true(elapsed_ms(&start) >= 50);
	pthread_join(sender, NULL);
}

static void test_destination_v4(void **state)
{
	struct sockaddr_storage addr;
	struct sockaddr_in *in = (void *)&addr;
	socklen_t len = sizeof(*in);

	(void)state;
	fake.on = true;
	memset(&addr, PATTERN, sizeof(addr));
	assert_int_equal(podcred_original_destination(0, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(len, sizeof(*in));
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(in->sin_port, htons(80));
	assert_memory_equal(&in->sin_addr, "\xa9\xfe\xaa\x17", 4);
	assert_filled(in->sin_zero, sizeof(in->sin_zero), 0);
	assert_filled(in + 1, sizeof(addr) - sizeof(*in), PATTERN);
}

static void test_destination_v6(void **state)
{
	static const unsigned char ip[16] = {0xfd, 0, 0x0e, 0xc2, [15] = 0x23};
	struct sockaddr_storage addr;
	struct sockaddr_in6 *in6 = (void *)&addr;
	socklen_t len = sizeof(addr);

	(void)state;
	fake.on = true;
	fake.peer.family = AF_INET6;
	fake.peer.port = 8080;
	memcpy(fake.peer.address, ip, sizeof(ip));
	memset(&addr, PATTERN, sizeof(addr));
	assert_int_equal(podcred_original_destination(0, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(len, sizeof(*in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(8080));
	assert_int_equal(in6->sin6_flowinfo, 0);
	assert_int_equal(in6->sin6_scope_id, 0);
	assert_memory_equal(&in6->sin6_addr, ip, sizeof(ip));
	assert_filled(in6 + 1, sizeof(addr) - sizeof(*in6), PATTERN);
}

static void test_destination_errors(void **state)
{
	static const struct {
		int family;
		socklen_t len;
		int error;
	} cases[] = {
		{AF_INET, sizeof(struct sockaddr_in) - 1, -EINVAL},
		{AF_INET6, sizeof(struct sockaddr_in6) - 1, -EINVAL},
		{AF_INET, 0, -EINVAL},
		{AF_UNIX, sizeof(struct sockaddr_storage), -EPROTO},
		{0, sizeof(struct sockaddr_storage), -EPROTO},
	};

	(void)state;
	fake.on = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_storage addr;
		socklen_t len = cases[i].len;
		int r;

		fake.peer.family = (__u16)cases[i].family;
		memset(&addr, PATTERN, sizeof(addr));
		r = podcred_original_destination(0, (struct sockaddr *)&addr, &len);
		assert_int_equal(r, cases[i].error);
		assert_int_equal(len, cases[i].len);
		assert_filled(&addr, sizeof(addr), PATTERN);
	}
}

static void test_version(void **state)
{
	(void)state;
	assert_non_null(podcred_version());
	assert_true(strlen(podcred_version()) > 0);
}

/* Frozen: these numbers may be added to, never edited. Strangers have them in their own source. */
static void test_layout(void **state)
{
	(void)state;
#define AT(field, offset, bytes)                                                                   \
	do {                                                                                       \
		assert_int_equal(offsetof(struct podcred_peer, field), offset);                    \
		assert_int_equal(sizeof(((struct podcred_peer *)0)->field), bytes);                \
	} while (0)
	AT(size, 0, 4);
	AT(flags, 4, 4);
	AT(cgroup_id, 8, 8);
	AT(pod_cgroup_id, 16, 8);
	AT(netns_cookie, 24, 8);
	AT(connect_time_ns, 32, 8);
	AT(generation, 40, 8);
	AT(tgid, 48, 4);
	AT(uid, 52, 4);
	AT(family, 56, 2);
	AT(port, 58, 2);
	AT(address, 60, 16);
	AT(reserved, 76, 4);
	AT(pod_uid, 80, 40);
	AT(pod_namespace, 120, 64);
	AT(pod_name, 184, 256);
	AT(service_account, 440, 256);
#undef AT
	assert_int_equal(sizeof(struct podcred_peer), 696);
	assert_int_equal(PODCRED_PEER_SIZE_V0, 696);
	assert_int_equal(SOL_PODCRED, 0x7063);
	assert_int_equal(PODCRED_PEER, 1);
	assert_int_equal(PODCRED_PEER_NAMED, 1);
	assert_int_equal(PODCRED_PEER_DIRECT, 2);
	assert_int_equal(PODCRED_PEER_HOST_NETWORK, 4);
	assert_int_equal(PODCRED_PEER_IMDSV2, 8);
}

int main(void)
{
	static const struct CMUnitTest descriptors[] = {
		cmocka_unit_test_setup(test_closed_fd, setup),
		cmocka_unit_test_setup(test_pipe, setup),
	};
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_not_attached, setup),
		cmocka_unit_test_setup(test_accepted_socket, setup),
		cmocka_unit_test_setup(test_error_mapping, setup),
		cmocka_unit_test_setup(test_bad_arguments, setup),
		cmocka_unit_test_setup(test_nonsense_answer, setup),
		cmocka_unit_test_setup(test_success, setup),
		cmocka_unit_test_setup(test_larger_size, setup),
		cmocka_unit_test_setup(test_smallest_size, setup),
		cmocka_unit_test_setup(test_wait_named, setup),
		cmocka_unit_test_setup(test_wait_timeout, setup),
		cmocka_unit_test_setup(test_wait_once, setup),
		cmocka_unit_test_setup(test_wait_fails_later, setup),
		cmocka_unit_test_setup(test_wait_ignores_signals, setup),
		cmocka_unit_test_setup(test_destination_v4, setup),
		cmocka_unit_test_setup(test_destination_v6, setup),
		cmocka_unit_test_setup(test_destination_errors, setup),
		cmocka_unit_test_setup(test_version, setup),
		cmocka_unit_test_setup(test_layout, setup),
	};
	int failed = 0;

	if (getenv("EMULATED"))
		printf("1..1\nok 1 - descriptors that are no sockets # SKIP %s answers unknown "
		       "options "
		       "itself\n",
		       getenv("EMULATED"));
	else
		failed = cmocka_run_group_tests(descriptors, NULL, NULL);
	fflush(stdout);
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
