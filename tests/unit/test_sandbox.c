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

#include "daemon/sandbox.h"
#include "planted.h"

#define IPPROTO_MPTCP_ 262 /* newer than some headers */

static const struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_port = 0x901f};
static char *const no_args[] = {NULL};

/* Without the filter root gets another errno from each, or none. */
PLANT(execve, execve("/nowhere", no_args, no_args))
PLANT(execveat, syscall(__NR_execveat, -1, "nowhere", no_args, no_args, 0))
PLANT(fork, syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0))
PLANT(clone_user, syscall(__NR_clone, CLONE_NEWUSER | CLONE_FS, 0, 0, 0, 0))
PLANT(ptrace, ptrace(PTRACE_PEEKDATA, getppid(), NULL, NULL))
PLANT(vm_readv, syscall(__NR_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0))
PLANT(bpf, syscall(__NR_bpf, 9999, NULL, 0))
PLANT(unshare, unshare(0))
PLANT(setns, setns(-1, 0))
PLANT(io_uring, syscall(__NR_io_uring_setup, 0, NULL))
PLANT(memfd, memfd_create("x", 0))
PLANT(keyctl, syscall(__NR_keyctl, 9999))
PLANT(perf, syscall(__NR_perf_event_open, NULL, 0, 0, 0, 0))
PLANT(userfaultfd, syscall(__NR_userfaultfd, -1))
PLANT(mount, syscall(__NR_fsopen, NULL, 0xff))
PLANT(kill, kill(getppid(), 0))
PLANT(kill_self, kill(getpid(), 0))
PLANT(tgkill, syscall(__NR_tgkill, getppid(), getppid(), 0))
PLANT(pidfd, syscall(__NR_pidfd_open, getppid(), 0))
PLANT(setuid, setuid(getuid()))
PLANT(socket_packet, socket(AF_PACKET, 99, 0))
PLANT(socket_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
PLANT(socket_unix, socket(AF_UNIX, SOCK_STREAM, 0))
PLANT(socket_udp, socket(AF_INET, SOCK_DGRAM, 0))
PLANT(socket_udp6, socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0))
PLANT(socket_mptcp, socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP_))
PLANT(socket_sctp6, socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP))
PLANT(socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){}))
PLANT(connect, connect(-1, (const void *)&nowhere, sizeof(nowhere)))
PLANT(fastopen, sendto(-1, "x", 1, MSG_FASTOPEN, (const void *)&nowhere, sizeof(nowhere)))
PLANT(fastopen_msg, sendmsg(-1, &(struct msghdr){}, MSG_FASTOPEN))
PLANT(open_write, open("/dev/null", O_WRONLY))
PLANT(open_rdwr, open("/dev/null", O_RDWR))
PLANT(create, open("/tmp/podcred-sandbox", O_RDONLY | O_CREAT, 0600))
PLANT(openat2, syscall(437, -1, "x", NULL, 0))
PLANT(unlink, unlink("/nowhere"))
PLANT(rename, rename("/nowhere", "/nowhere2"))
PLANT(mkdir, mkdirat(-1, "x", 0700))
PLANT(chmod, fchmodat(-1, "x", 0, 0))
PLANT(ftruncate, ftruncate(-1, 0))
PLANT(mmap_exec, (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
PLANT(mprotect_exec, mprotect(NULL, 0, PROT_EXEC))
PLANT(dumpable, prctl(PR_SET_DUMPABLE, 1))
PLANT(fcntl_owner, fcntl(STDERR_FILENO, F_SETOWN, 0))
PLANT(ioctl, syscall(__NR_ioctl, -1, 0x5412 /* TIOCSTI */, NULL))
PLANT(prlimit, syscall(__NR_prlimit64, getppid(), 0, NULL, NULL))
PLANT(seccomp, syscall(__NR_seccomp, 9999, 0, NULL))

static const struct planted_row planted[] = {
	ROW(execve),	    ROW(execveat),	 ROW(fork),	    ROW(clone_user),
	ROW(ptrace),	    ROW(vm_readv),	 ROW(bpf),	    ROW(unshare),
	ROW(setns),	    ROW(io_uring),	 ROW(memfd),	    ROW(keyctl),
	ROW(perf),	    ROW(userfaultfd),	 ROW(mount),	    ROW(kill),
	ROW(kill_self),	    ROW(tgkill),	 ROW(pidfd),	    ROW(setuid),
	ROW(socket_packet), ROW(socket_netlink), ROW(socket_unix),  ROW(socket_udp),
	ROW(socket_udp6),   ROW(socket_mptcp),	 ROW(socket_sctp6), ROW(socketpair),
	ROW(connect),	    ROW(fastopen),	 ROW(fastopen_msg), ROW(open_write),
	ROW(open_rdwr),	    ROW(create),	 ROW(openat2),	    ROW(unlink),
	ROW(rename),	    ROW(mkdir),		 ROW(chmod),	    ROW(ftruncate),
	ROW(mmap_exec),	    ROW(mprotect_exec),	 ROW(dumpable),	    ROW(fcntl_owner),
	ROW(ioctl),	    ROW(prlimit),	 ROW(seccomp),
};

static int confine(int confined)
{
	return confined ? daemon_sandbox_enter(true) : 0;
}

static int outcome(long (*call)(void), bool confined)
{
	return planted_outcome(call, confine, confined);
}

static void test_refused(void **state)
{
	size_t rows = sizeof(planted) / sizeof(*planted), proven = 0;

	(void)state;
	for (size_t i = 0; i < rows; i++) {
		int before = outcome(planted[i].call, false);
		int after = outcome(planted[i].call, true);

		if (after != EPERM)
			fail_msg("%s: %s with the filter, %s without", planted[i].name,
				 strerror(after), strerror(before));
		proven += before != EPERM;
		if (before == EPERM)
			print_message("# %s: this user may not do it anyway\n", planted[i].name);
	}
	assert_true(proven > rows - 8);
	unlink("/tmp/podcred-sandbox");
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
	(void)state;
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		int error = outcome(needed[i].call, true);

		if (error)
			fail_msg("%s: %s", needed[i].name, strerror(error));
	}
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
	assert_int_equal(outcome(do_old_thread, false), 0);
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

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused),
		TEST(test_goes_on),
		TEST(test_ends),
		TEST(test_all_threads),
	};

	if (has_seccomp(NULL)) {
		printf("1..1\nok 1 - what serve may not do any more # SKIP no seccomp filters "
		       "here\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
