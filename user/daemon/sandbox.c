// SPDX-License-Identifier: Apache-2.0
/*
 * A seccomp filter, written by hand: a list of system calls, some with a condition on an argument.
 * A filter cannot follow pointers, so nothing here depends on a path or an address.
 *
 * A refused call fails with EPERM instead of killing the process: a C library that tries something
 * new must not deprive all pods of their credentials.
 */
#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/seccomp.h"

/* Arguments are read as their lower half. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little endian");

#define PR_SET_VMA_ 0x53564d41U /* glibc names its mappings; too new for Debian 12's headers */
#define THREAD	    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_NEWS                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
#define OPEN_WRITES (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)
#define SELF	    UINT32_MAX /* stands for the own pid */

/* (argument & mask) == value */
struct condition {
	uint32_t mask, value;
	uint8_t arg;
};

/* All of its conditions hold. Several rules for one call: one of them has to. */
struct rule {
	int nr;
	unsigned n;
	struct condition when[3];
};

#define ALWAYS(name)                                                                               \
	{                                                                                          \
		.nr = __NR_##name                                                                  \
	}
#define WHEN(name, i, m, v)                                                                        \
	{                                                                                          \
		.nr = __NR_##name, .n = 1, .when = { {(m), (v), (i)} }                             \
	}
#define EQUALS(name, i, v) WHEN(name, i, UINT32_MAX, v)
/* TCP by its number, or as the default: the two others that pass (2, 4) have no streams. */
#define NOT_TCP (~(uint32_t)IPPROTO_TCP)
#define TCP_OF(family)                                                                             \
	{                                                                                          \
		.nr = __NR_socket, .n = 3,                                                         \
		.when = {{UINT32_MAX, (family), 0}, {0xf, SOCK_STREAM, 1}, {NOT_TCP, 0, 2}},       \
	}

/* Those that come with each request first: the list is walked from the top. */
static const struct rule rules[] = {
	ALWAYS(futex),
	ALWAYS(read),
	ALWAYS(write),
#ifdef __NR_epoll_wait
	ALWAYS(epoll_wait),
#endif
	ALWAYS(epoll_pwait),
	ALWAYS(epoll_ctl),
	ALWAYS(accept4),
	ALWAYS(recvfrom),
	/* MSG_FASTOPEN is a connect: the agent dials nobody */
	WHEN(sendto, 3, MSG_FASTOPEN, 0),
	WHEN(sendmsg, 2, MSG_FASTOPEN, 0),
	ALWAYS(recvmsg),
	ALWAYS(readv),
	ALWAYS(writev),
	ALWAYS(getsockopt),
	ALWAYS(setsockopt),
	ALWAYS(shutdown),
	ALWAYS(close),
	ALWAYS(clock_gettime),
	/* memory, none of it executable */
	WHEN(mmap, 2, PROT_EXEC, 0),
	WHEN(mprotect, 2, PROT_EXEC, 0),
	ALWAYS(munmap),
	ALWAYS(mremap),
	ALWAYS(madvise),
	ALWAYS(brk),
	/* files, to read: associations, time zone, /sys/devices/system/cpu (malloc) */
	WHEN(openat, 2, OPEN_WRITES, O_RDONLY),
#ifdef __NR_open
	WHEN(open, 1, OPEN_WRITES, O_RDONLY),
#endif
	ALWAYS(fstat),
	ALWAYS(newfstatat),
	ALWAYS(statx),
	ALWAYS(lseek),
	ALWAYS(pread64),
	/* not F_SETOWN, which sends signals */
	EQUALS(fcntl, 1, F_GETFL),
	EQUALS(fcntl, 1, F_SETFL),
	EQUALS(fcntl, 1, F_GETFD),
	EQUALS(fcntl, 1, F_SETFD),
	EQUALS(fcntl, 1, F_DUPFD_CLOEXEC),
	EQUALS(ioctl, 1, TCGETS), /* isatty */
	/* sockets: IPv4 and IPv6, no connect; of streams TCP alone, as SCTP dials with sendmsg */
	TCP_OF(AF_INET),
	TCP_OF(AF_INET6),
	ALWAYS(bind),
	ALWAYS(listen),
	ALWAYS(getsockname),
	ALWAYS(getpeername),
/* waiting */
#ifdef __NR_poll
	ALWAYS(poll),
#endif
	ALWAYS(ppoll),
#ifdef __NR_epoll_create
	ALWAYS(epoll_create),
#endif
	ALWAYS(epoll_create1),
	ALWAYS(eventfd2),
	ALWAYS(nanosleep),
	ALWAYS(clock_nanosleep),
	ALWAYS(restart_syscall),
	/* time */
	ALWAYS(clock_getres),
	ALWAYS(gettimeofday),
#ifdef __NR_time
	ALWAYS(time),
#endif
	/* threads of this process */
	{.nr = __NR_clone, .n = 1, .when = {{THREAD | CLONE_NEWS, THREAD, 0}}},
	ALWAYS(set_robust_list),
	ALWAYS(rseq),
	EQUALS(prctl, 0, PR_SET_NAME),
	EQUALS(prctl, 0, PR_SET_VMA_),
	ALWAYS(sched_yield),
	ALWAYS(sched_getaffinity),
	ALWAYS(getcpu),
	ALWAYS(exit),
	ALWAYS(exit_group),
	/* signals, to itself alone (abort) */
	ALWAYS(rt_sigprocmask),
	ALWAYS(rt_sigaction),
	ALWAYS(rt_sigreturn),
	ALWAYS(sigaltstack),
	EQUALS(tgkill, 0, SELF),
	/* what it is */
	ALWAYS(getpid),
	ALWAYS(gettid),
	ALWAYS(getuid),
	ALWAYS(geteuid),
	ALWAYS(getgid),
	ALWAYS(getegid),
	ALWAYS(uname),
	ALWAYS(sysinfo), /* qsort asks how much memory there is */
	EQUALS(prlimit64, 0, 0),
	ALWAYS(getrandom),
};

#define REFUSE(e) SECCOMP_RETURN(SECCOMP_ERRNO(e))

/* A rule is at most: compare the call, three times load, mask and compare, allow, load the call
 * again. */
#define RULE_MAX 12
#define PROLOGUE 8 /* with clone3 */
_Static_assert(PROLOGUE + RULE_MAX * ARRAY_SIZE(rules) < SECCOMP_CODE_MAX, "room for all rules");

static void put(struct seccomp_filter *filter, struct sock_filter insn)
{
	daemon_seccomp_put(filter, insn);
}

/* The accumulator holds the number of the call, before and after. */
static void put_rule(struct seccomp_filter *filter, const struct rule *rule)
{
	uint8_t skip = rule->n ? (uint8_t)(3 * rule->n + 2) : 1;

	put(filter,
	    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->nr, 0, skip));
	for (unsigned i = 0; i < rule->n; i++) {
		const struct condition *when = &rule->when[i];
		uint32_t value = when->value == SELF ? (uint32_t)getpid() : when->value;
		uint8_t fails = (uint8_t)(3 * (rule->n - 1 - i) + 1);
		struct sock_filter load = SECCOMP_LOAD(args[0]);

		load.k += when->arg * sizeof(uint64_t);
		put(filter, load);
		put(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, when->mask));
		put(filter,
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, fails));
	}
	put(filter, (struct sock_filter)SECCOMP_RETURN(SECCOMP_RET_ALLOW));
	if (rule->n)
		put(filter, (struct sock_filter)SECCOMP_LOAD(nr));
}

/* The flags of clone3 are behind a pointer. glibc takes ENOSYS for an older kernel and uses clone. A
 * filter of its own, which logs nothing: this comes with every thread. */
static int refuse_clone3(void)
{
	const struct seccomp_filter filter = {
		.code = {SECCOMP_LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
			 REFUSE(ENOSYS), SECCOMP_RETURN(SECCOMP_RET_ALLOW)},
		.n = 4,
	};

	return daemon_seccomp_install(&filter, 0);
}

int daemon_sandbox_enter(bool refuse)
{
	struct seccomp_filter filter = {};
	int r;

	daemon_seccomp_put_abi(&filter);
	put_rule(&filter, &(const struct rule)ALWAYS(clone3));
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		put_rule(&filter, &rules[i]);
	put(&filter, refuse ? (struct sock_filter)REFUSE(EPERM)
			    : (struct sock_filter)SECCOMP_RETURN(SECCOMP_RET_ALLOW));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = refuse_clone3();
	return r < 0 ? r : daemon_seccomp_install(&filter, SECCOMP_FILTER_FLAG_LOG);
}
