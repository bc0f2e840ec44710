// SPDX-License-Identifier: Apache-2.0
#include "planted.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define IPPROTO_MPTCP_ 262 /* newer than some headers */

static char *const no_args[] = {NULL};

/* Without a filter root gets another errno from each, or none. */
PLANT(ptrace, ptrace(PTRACE_PEEKDATA, getppid(), NULL, NULL))
PLANT(vm_readv, syscall(__NR_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0))
PLANT(pidfd_getfd, syscall(__NR_pidfd_getfd, -1, 0, 0))
PLANT(bpf, syscall(__NR_bpf, 9999, NULL, 0))
PLANT(unshare, unshare(0))
PLANT(setns, setns(-1, 0))
PLANT(clone_user, syscall(__NR_clone, CLONE_NEWUSER | CLONE_FS, 0, 0, 0, 0))
PLANT(io_uring, syscall(__NR_io_uring_setup, 0, NULL))
PLANT(memfd, memfd_create("x", 0))
PLANT(keyctl, syscall(__NR_keyctl, 9999))
PLANT(perf, syscall(__NR_perf_event_open, NULL, 0, 0, 0, 0))
PLANT(userfaultfd, syscall(__NR_userfaultfd, -1))
PLANT(mount, syscall(__NR_fsopen, NULL, 0xff))
PLANT(personality, syscall(__NR_personality, 0xffffffff))
PLANT(setuid, setuid(getuid()))
PLANT(priority, setpriority(PRIO_PROCESS, 0, 0))
PLANT(shm, shmget(IPC_PRIVATE, 0, 0))
PLANT(socket_packet, socket(AF_PACKET, 99, 0))
PLANT(socket_raw, socket(AF_INET, SOCK_RAW, 0))
PLANT(socket_mptcp, socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP_))
PLANT(socket_sctp6, socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP))
PLANT(socket_vsock, socket(AF_VSOCK, 99, 0))
PLANT(unlink, unlink("/nowhere"))
PLANT(rename, rename("/nowhere", "/nowhere2"))
PLANT(mkdir, mkdirat(-1, "x", 0700))
PLANT(chmod, fchmodat(-1, "x", 0, 0))
PLANT(ftruncate, ftruncate(-1, 0))
PLANT(seccomp, syscall(__NR_seccomp, 9999, 0, NULL))
PLANT(ioctl, syscall(__NR_ioctl, -1, 0x5412 /* TIOCSTI */, NULL))
PLANT(execve, execve("/nowhere", no_args, no_args))
PLANT(execveat, syscall(__NR_execveat, -1, "nowhere", no_args, no_args, 0))
PLANT(fork, syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0))
PLANT(kill, kill(getppid(), 0))
PLANT(kill_self, kill(getpid(), 0))
PLANT(tgkill, syscall(__NR_tgkill, getppid(), getppid(), 0))
PLANT(pidfd, syscall(__NR_pidfd_open, getppid(), 0))
PLANT(open_write, open("/dev/null", O_WRONLY))
PLANT(open_rdwr, open("/dev/null", O_RDWR))
PLANT(create, open("/tmp/podcred-sandbox", O_RDONLY | O_CREAT, 0600))
PLANT(mmap_exec, (long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
PLANT(mprotect_exec, mprotect(NULL, 0, PROT_EXEC))
PLANT(dumpable, prctl(PR_SET_DUMPABLE, 1))
PLANT(fcntl_owner, fcntl(STDERR_FILENO, F_SETOWN, 0))
PLANT(prlimit, syscall(__NR_prlimit64, getppid(), 0, NULL, NULL))
PLANT(openat2, syscall(437, -1, "x", NULL, 0))

static const struct planted_row never[] = {
	ROW(ptrace),	   ROW(vm_readv),      ROW(pidfd_getfd), ROW(bpf),
	ROW(unshare),	   ROW(setns),	       ROW(clone_user),	 ROW(io_uring),
	ROW(memfd),	   ROW(keyctl),	       ROW(perf),	 ROW(userfaultfd),
	ROW(mount),	   ROW(personality),   ROW(setuid),	 ROW(priority),
	ROW(shm),	   ROW(socket_packet), ROW(socket_raw),	 ROW(socket_mptcp),
	ROW(socket_sctp6), ROW(socket_vsock),  ROW(unlink),	 ROW(rename),
	ROW(mkdir),	   ROW(chmod),	       ROW(ftruncate),	 ROW(seccomp),
	ROW(ioctl)};
static const struct planted_row by_programs[] = {
	ROW(execve),	ROW(execveat),	  ROW(fork),	  ROW(kill),
	ROW(kill_self), ROW(tgkill),	  ROW(pidfd),	  ROW(open_write),
	ROW(open_rdwr), ROW(create),	  ROW(mmap_exec), ROW(mprotect_exec),
	ROW(dumpable),	ROW(fcntl_owner), ROW(prlimit),	  ROW(openat2)};

const struct planted_rows planted_never = {never, ARRAY_SIZE(never)};
const struct planted_rows planted_by_programs = {by_programs, ARRAY_SIZE(by_programs)};

int planted_outcome(long (*call)(void), int (*confine)(int how), int how)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		pid_t self = getpid();
		long r;

		if (confine(how) < 0)
			_exit(255);
		r = call();
		if (getpid() != self)
			_exit(0); /* a fork that worked */
		_exit(r < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int not_at_all(int how)
{
	return how;
}

void planted_expect(const struct planted_rows *rows, int (*confine)(int how), int how, int wanted)
{
	size_t proven = 0;

	for (size_t i = 0; i < rows->n; i++) {
		int before = planted_outcome(rows->row[i].call, not_at_all, 0);
		int after = planted_outcome(rows->row[i].call, confine, how);

		if (after != wanted)
			fail_msg("%s: %s confined, %s before", rows->row[i].name, strerror(after),
				 strerror(before));
		proven += !wanted || before != wanted;
		if (wanted && before == wanted)
			print_message("# %s: this user may not do it anyway\n", rows->row[i].name);
	}
	unlink("/tmp/podcred-sandbox");
	assert_true(proven + 8 > rows->n);
}

static void *thread(void *arg)
{
	*(bool *)arg = true;
	return NULL;
}

long planted_threads(void)
{
	bool ran = false;
	pthread_t id;

	if (pthread_create(&id, NULL, thread, &ran) || pthread_join(id, NULL))
		return -1;
	return ran ? 0 : -1;
}

bool planted_is_skipped(void)
{
	if (prctl(PR_GET_SECCOMP) >= 0 &&
	    syscall(__NR_seccomp, 2 /* GET_ACTION_AVAIL */, 0, &(uint32_t){0x80000000U}) == 0)
		return false;
	printf("1..1\nok 1 - what may not be done any more # SKIP no seccomp filters here: %s\n",
	       strerror(errno));
	return true;
}
