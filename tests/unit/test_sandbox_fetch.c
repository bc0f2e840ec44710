// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/planted.c */
/* MODULES: daemon base */
/*
 * What podcred fetch may not do, each in a child: a planted call is refused by its filter, or by Landlock, and what
 * fetch does goes on. One that fails as it is proves nothing, so that is looked at first.
 */
#include <errno.h>
#include <fcntl.h>
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
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/landlock.h"
#include "daemon/sandbox_fetch.h"
#include "planted.h"

static char *const no_args[] = {NULL};

PLANT(listen, listen(-1, 1))
PLANT(accept, accept4(-1, NULL, NULL, 0))
PLANT(ptrace, ptrace(PTRACE_PEEKDATA, getppid(), NULL, NULL))
PLANT(vm_readv, syscall(__NR_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0))
PLANT(pidfd_getfd, syscall(__NR_pidfd_getfd, -1, 0, 0))
PLANT(mount, syscall(__NR_fsopen, NULL, 0xff))
PLANT(unshare, unshare(0))
PLANT(setns, setns(-1, 0))
PLANT(bpf, syscall(__NR_bpf, 9999, NULL, 0))
PLANT(perf, syscall(__NR_perf_event_open, NULL, 0, 0, 0, 0))
PLANT(io_uring, syscall(__NR_io_uring_setup, 0, NULL))
PLANT(userfaultfd, syscall(__NR_userfaultfd, -1))
PLANT(keyctl, syscall(__NR_keyctl, 9999))
PLANT(personality, syscall(__NR_personality, 0xffffffff))
PLANT(execve, execve("/nowhere", no_args, no_args))
PLANT(execveat, syscall(__NR_execveat, -1, "nowhere", no_args, no_args, 0))
PLANT(fork, syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0))

static const struct planted_row refused[] = {
	ROW(listen),   ROW(accept),	 ROW(ptrace), ROW(vm_readv),	ROW(pidfd_getfd),
	ROW(mount),    ROW(unshare),	 ROW(setns),  ROW(bpf),		ROW(perf),
	ROW(io_uring), ROW(userfaultfd), ROW(keyctl), ROW(personality),
};
static const struct planted_row executes[] = {ROW(execve), ROW(execveat), ROW(fork)};

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

static const struct planted_row needed[] = {ROW(connect), ROW(threads), ROW(read)};

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
	LANDLOCK,
	LANDLOCK_EXECUTES,
};

static int confine(int how)
{
	switch (how) {
	case FILTER:
	case FILTER_ALONE:
		return daemon_sandbox_fetch_enter(how == FILTER, true);
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

static void expect(const struct planted_row *rows, size_t n, enum confinement how, int wanted)
{
	for (size_t i = 0; i < n; i++) {
		int before = outcome(rows[i].call, NONE), after;

		if (target && unlink(target) < 0)
			rmdir(target); /* what it has made */
		after = outcome(rows[i].call, how);

		if (after != wanted)
			fail_msg("%s: %s confined, %s before", rows[i].name, strerror(after),
				 strerror(before));
		if (wanted && before == wanted)
			print_message("# %s: this user may not do it anyway\n", rows[i].name);
	}
}

static void test_refused(void **state)
{
	(void)state;
	expect(refused, ARRAY_SIZE(refused), FILTER, EPERM);
	expect(refused, ARRAY_SIZE(refused), FILTER_ALONE, EPERM);
	expect(executes, ARRAY_SIZE(executes), FILTER_ALONE, EPERM);
	assert_int_equal(outcome(do_spawn, FILTER_ALONE), EPERM);
}

static void test_goes_on(void **state)
{
	(void)state;
	expect(needed, ARRAY_SIZE(needed), FILTER, 0);
	expect(needed, ARRAY_SIZE(needed), FILTER_ALONE, 0);
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
	expect(writes, ARRAY_SIZE(writes), LANDLOCK_EXECUTES, EACCES);
	rmdir(dir);
	target = NULL;
	expect(needed, ARRAY_SIZE(needed), LANDLOCK, 0);
	assert_int_equal(outcome(do_null, LANDLOCK), 0);
	assert_int_equal(outcome(do_spawn, LANDLOCK), EACCES);
	assert_int_equal(outcome(do_spawn, LANDLOCK_EXECUTES), 0);
}

/* An emulator (qemu-user) has none. */
static int has_seccomp(void **state)
{
	(void)state;
	if (prctl(PR_GET_SECCOMP) >= 0 &&
	    syscall(__NR_seccomp, 2 /* GET_ACTION_AVAIL */, 0, &(uint32_t){0x80000000U}) == 0)
		return 0;
	print_message("# no seccomp filters here: %s\n", strerror(errno));
	return 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_landlock),
	};

	if (has_seccomp(NULL)) {
		printf("1..1\nok 1 - what fetch may not do any more # SKIP no seccomp filters "
		       "here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
