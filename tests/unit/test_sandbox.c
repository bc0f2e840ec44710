// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/planted.c */
/* MODULES: daemon */
/*
 * The agent's seccomp filter, in force in a child: what serve does goes on, and each planted call is
 * refused by it. One that fails with EPERM as it is proves nothing, so that is looked at first.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/sandbox.h"
#include "planted.h"

static const struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_port = 0x901f};

PLANT(socket_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
PLANT(socket_unix, socket(AF_UNIX, SOCK_STREAM, 0))
PLANT(socket_udp, socket(AF_INET, SOCK_DGRAM, 0))
PLANT(socket_udp6, socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0))
PLANT(socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){}))
PLANT(connect, connect(-1, (const void *)&nowhere, sizeof(nowhere)))
PLANT(fastopen, sendto(-1, "x", 1, MSG_FASTOPEN, (const void *)&nowhere, sizeof(nowhere)))
PLANT(fastopen_msg, sendmsg(-1, &(struct msghdr){}, MSG_FASTOPEN))
PLANT(unknown, syscall(9999))

static const struct planted_row dials[] = {ROW(socket_netlink), ROW(socket_unix),  ROW(socket_udp),
					   ROW(socket_udp6),	ROW(socketpair),   ROW(connect),
					   ROW(fastopen),	ROW(fastopen_msg), ROW(unknown)};
static const struct planted_rows planted_dials = {dials, ARRAY_SIZE(dials)};

static int confine(int confined)
{
	return confined ? daemon_sandbox_enter(true) : 0;
}

static void test_refused(void **state)
{
	(void)state;
	planted_expect(&planted_never, confine, true, EPERM);
	planted_expect(&planted_by_programs, confine, true, EPERM);
	planted_expect(&planted_dials, confine, true, EPERM);
}

/* ---- what serve does ---- */

PLANT(threads, planted_threads())

static long do_memory(void)
{
	char *p = malloc(64 << 20);

	if (!p)
		return -1;
	memset(p, 1, 64 << 20);
	p = realloc(p, 96 << 20);
	free(p);
	return p ? 0 : -1;
}

static long do_listen(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

	if (fd < 0 || bind(fd, (const void *)&any, sizeof(any)) < 0 || listen(fd, 1) < 0)
		return -1;
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC) < 0 && errno == EAGAIN ? 0 : -1;
}

static long do_socket6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 || errno == EAFNOSUPPORT ? 0 : -1;
}

static long do_read_files(void)
{
	time_t now = time(NULL);
	struct tm tm;

	setenv("TZ", "Europe/Paris", 1);
	tzset();
	return open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0 || !localtime_r(&now, &tm);
}

static long do_rest(void)
{
	char buf[16];

	return getrandom(buf, sizeof(buf), 0) < 0 || eventfd(0, EFD_CLOEXEC) < 0 ? -1 : 0;
}

static const struct planted_row needed[] = {ROW(threads), ROW(memory),	   ROW(listen),
					    ROW(socket6), ROW(read_files), ROW(rest)};

static void test_goes_on(void **state)
{
	static const struct planted_rows rows = {needed, ARRAY_SIZE(needed)};

	(void)state;
	planted_expect(&rows, confine, true, 0);
}

/* The signal that ends a child. */
static int ended_by(void (*call)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		signal(SIGABRT, SIG_DFL);
		if (daemon_sandbox_enter(true) < 0)
			_exit(255);
		call();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

#ifdef __x86_64__
/* getpid has number 20 for i386, which is writev here: allowed, were it not for the ABI. */
static void call_i386(void)
{
	long r = 20;

	__asm__ volatile("int $0x80" : "+a"(r)::"memory", "r8", "r9", "r10", "r11");
}

static void call_x32(void)
{
	syscall(0x40000000L | __NR_read, -1, NULL, 0);
}
#endif

static void test_ends(void **state)
{
	(void)state;
	assert_int_equal(ended_by(abort), SIGABRT);
#ifdef __x86_64__
	assert_int_equal(ended_by(call_i386), SIGSYS);
	assert_int_equal(ended_by(call_x32), SIGSYS);
#endif
}

/* A thread that exists is confined as well. */
static int pipe_to_thread[2], pipe_back[2];

static void *old_thread(void *arg)
{
	char byte;

	(void)arg;
	if (read(pipe_to_thread[0], &byte, 1) != 1)
		return NULL;
	byte = syscall(__NR_bpf, 9999, NULL, 0) < 0 && errno == EPERM ? 'y' : 'n';
	if (write(pipe_back[1], &byte, 1) != 1)
		return NULL;
	return NULL;
}

static long do_old_thread(void)
{
	char byte = 0;
	pthread_t id;

	if (pipe(pipe_to_thread) < 0 || pipe(pipe_back) < 0 ||
	    pthread_create(&id, NULL, old_thread, NULL) || daemon_sandbox_enter(true) < 0)
		return -1;
	if (write(pipe_to_thread[1], "", 1) != 1 || read(pipe_back[0], &byte, 1) != 1)
		return -1;
	return byte == 'y' ? 0 : -1;
}

static void test_all_threads(void **state)
{
	(void)state;
	assert_int_equal(planted_outcome(do_old_thread, confine, false), 0);
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused),
		TEST(test_goes_on),
		TEST(test_ends),
		TEST(test_all_threads),
	};

	if (planted_is_skipped())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
