// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/planted.c */
/* MODULES: daemon base */
/*
 * What podcred fetch may not do, each in a child: a planted call is refused by its filter, or by Landlock, and what
 * fetch does goes on. One that fails as it is proves nothing, so that is looked at first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/netlink.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/landlock.h"
#include "daemon/sandbox_fetch.h"
#include "planted.h"

static char *const no_args[] = {NULL};

PLANT(listen, listen(-1, 1))
PLANT(accept, accept4(-1, NULL, NULL, 0))
PLANT(netlink, socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))
PLANT(ping, socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP))
PLANT(madvise, syscall(__NR_process_madvise, -1, NULL, 0, 0, 0))
PLANT(unknown, syscall(451, -1, NULL, NULL, 0)) /* cachestat, of Linux 6.5 */
/* A file that is mapped to be changed and executed. */
PLANT(mmap_changes, (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, -1, 0))

static const struct planted_row serves[] = {ROW(listen), ROW(accept), ROW(netlink), ROW(ping),
					    ROW(madvise)};
static const struct planted_row others[] = {ROW(unknown), ROW(mmap_changes)};
static const struct planted_row news[] = {ROW(unknown)};

static long do_connect(void)
{
	const struct sockaddr_in nowhere = {.sin_family = AF_INET,
					    .sin_port = htons(9),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	return connect(fd, (const void *)&nowhere, sizeof(nowhere)) == 0 || errno == ECONNREFUSED
		       ? 0
		       : -1;
}

PLANT(threads, planted_threads())

static long do_read(void)
{
	return open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
}

static long do_spawn(void)
{
	char *const args[] = {"/bin/true", NULL};
	pid_t pid;
	int status = -1;

	errno = posix_spawn(&pid, args[0], NULL, NULL, args, no_args);
	if (errno)
		return -1;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static long do_resolve(void)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list;
	int r = getaddrinfo("localhost", "443", &hints, &list);

	if (r == 0)
		freeaddrinfo(list);
	return r;
}

/* A library, as a plugin of the resolver is. */
static long do_plugin(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const void *text = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	return fd < 0 || text == MAP_FAILED ? -1 : 0;
}

static long do_directory(void)
{
	DIR *dir = opendir("/proc/self/fd");
	long r = dir && readdir(dir) ? 0 : -1;

	if (dir)
		closedir(dir);
	return r;
}

static const struct planted_row needed[] = {ROW(connect), ROW(threads), ROW(read),
					    ROW(resolve), ROW(plugin),	ROW(directory)};

static char *target; /* of what writes */

static long do_create(void)
{
	return open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}
PLANT(mkdir, mkdir(target, 0700))
PLANT(symlink, symlink("x", target))
PLANT(open_write, open("/proc/self/comm", O_WRONLY | O_CLOEXEC))
PLANT(null, open("/dev/null", O_WRONLY | O_CLOEXEC))

static const struct planted_row writes[] = {ROW(create), ROW(mkdir), ROW(symlink), ROW(open_write)};

enum confinement {
	NONE,
	FILTER, /* with programs */
	FILTER_ALONE,
	SERVICE,
	LANDLOCK,
	LANDLOCK_EXECUTES,
};

static int confine(int how)
{
	switch (how) {
	case FILTER:
	case FILTER_ALONE:
		return daemon_sandbox_fetch_enter(how == FILTER, true);
	case SERVICE:
		return daemon_sandbox_service_enter(true);
	case LANDLOCK:
	case LANDLOCK_EXECUTES:
		return daemon_landlock_read_only(how == LANDLOCK_EXECUTES);
	default:
		return 0;
	}
}

static int outcome(long (*call)(void), enum confinement how)
{
	return planted_outcome(call, confine, (int)how);
}

#define EXPECT(rows, how, wanted)                                                                  \
	planted_expect(&(const struct planted_rows){(rows), ARRAY_SIZE(rows)}, confine, (how),     \
		       (wanted))

static void test_refused(void **state)
{
	(void)state;
	planted_expect(&planted_never, confine, FILTER, EPERM);
	planted_expect(&planted_never, confine, FILTER_ALONE, EPERM);
	planted_expect(&planted_by_programs, confine, FILTER_ALONE, EPERM);
	EXPECT(serves, FILTER, EPERM);
	EXPECT(serves, FILTER_ALONE, EPERM);
	EXPECT(others, FILTER_ALONE, EPERM);
	assert_int_equal(outcome(do_spawn, FILTER_ALONE), EPERM);
}

/* podcred control: it serves, and executes nothing. */
static void test_service(void **state)
{
	(void)state;
	planted_expect(&planted_never, confine, SERVICE, EPERM);
	planted_expect(&planted_by_programs, confine, SERVICE, EPERM);
	EXPECT(needed, SERVICE, 0);
	assert_int_equal(outcome(do_listen, SERVICE), EBADF);
	assert_int_equal(outcome(do_accept, SERVICE), EBADF);
}

/* As from a kernel that does not have it yet: programs try something else then. */
static void test_new_calls(void **state)
{
	(void)state;
	EXPECT(news, FILTER, ENOSYS);
}

static void test_goes_on(void **state)
{
	(void)state;
	EXPECT(needed, FILTER, 0);
	EXPECT(needed, FILTER_ALONE, 0);
	assert_int_equal(outcome(do_spawn, FILTER), 0);
}

static void test_landlock(void **state)
{
	char dir[] = "/tmp/podcred-landlock-XXXXXX", path[64];

	(void)state;
	if (outcome(do_read, LANDLOCK) == 255) {
		print_message("# no Landlock here\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x", dir);
	target = path;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		int before = outcome(writes[i].call, NONE);

		if (unlink(target) < 0)
			rmdir(target); /* what it has made */
		if (outcome(writes[i].call, LANDLOCK_EXECUTES) != EACCES || before)
			fail_msg("%s: not refused, or %s before", writes[i].name, strerror(before));
	}
	rmdir(dir);
	target = NULL;
	EXPECT(needed, LANDLOCK, 0);
	assert_int_equal(outcome(do_null, LANDLOCK), 0);
	assert_int_equal(outcome(do_spawn, LANDLOCK), EACCES);
	assert_int_equal(outcome(do_spawn, LANDLOCK_EXECUTES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_service),
		cmocka_unit_test(test_new_calls), cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_landlock),
	};

	if (planted_is_skipped())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
