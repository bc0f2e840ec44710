// SPDX-License-Identifier: Apache-2.0
/*
 * Written by hand, instruction by instruction. A refused call fails instead of killing the process: a C library that
 * tries something new must not deprive all pods of their credentials.
 */
#include "daemon/seccomp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#if defined(__x86_64__)
#define NATIVE_ABI AUDIT_ARCH_X86_64
#define X32_BIT	   0x40000000U
#elif defined(__aarch64__)
#define NATIVE_ABI AUDIT_ARCH_AARCH64
#else
#error "the system calls of this architecture have no list yet"
#endif

/* Arguments are read as their lower half. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little endian");

#define PR_SET_VMA_ 0x53564d41U /* glibc names its mappings; too new for Debian 12's headers */
#define THREAD	    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_NEWS                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
#define OPEN_WRITES (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)

static const struct seccomp_rule common[] = {
	ALWAYS(futex),
	ALWAYS(read),
	ALWAYS(write),
#ifdef __NR_epoll_wait
	ALWAYS(epoll_wait),
#endif
	ALWAYS(epoll_pwait),
	ALWAYS(epoll_ctl),
	ALWAYS(recvfrom),
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
	EQUALS(tgkill, 0, SECCOMP_SELF),
	/* what it is */
	ALWAYS(getpid),
	ALWAYS(gettid),
	ALWAYS(getuid),
	ALWAYS(geteuid),
	ALWAYS(getgid),
	ALWAYS(getegid),
	ALWAYS(getgroups), /* whose file the associations are */
	ALWAYS(uname),
	ALWAYS(sysinfo), /* qsort asks how much memory there is */
	EQUALS(prlimit64, 0, 0),
	ALWAYS(getrandom),
};

const struct seccomp_list daemon_seccomp_common = {common, ARRAY_SIZE(common)};

/* ---- instructions ---- */

#define CODE_MAX  4096 /* the kernel takes no more */
#define LOAD(m)	  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, m))
#define RETURN(v) BPF_STMT(BPF_RET | BPF_K, (v))
#define REFUSE(e) RETURN(SECCOMP_RET_ERRNO | ((e)&SECCOMP_RET_DATA))

struct filter {
	struct sock_filter code[CODE_MAX];
	unsigned short n;
};

static void put(struct filter *filter, struct sock_filter insn)
{
	assert(filter->n < CODE_MAX);
	filter->code[filter->n++] = insn;
}

/* Numbers mean something else in another ABI. The accumulator then holds the number of the call. */
static void put_abi(struct filter *filter)
{
	put(filter, (struct sock_filter)LOAD(arch));
	put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ABI, 1, 0));
	put(filter, (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS));
	put(filter, (struct sock_filter)LOAD(nr));
#ifdef X32_BIT
	put(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
	put(filter, (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS));
#endif
}

/* The accumulator holds the number of the call, before and after. */
static void put_rule(struct filter *filter, const struct seccomp_rule *rule)
{
	uint8_t skip = rule->n ? (uint8_t)(3 * rule->n + 2) : 1;

	put(filter,
	    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->nr, 0, skip));
	for (unsigned i = 0; i < rule->n; i++) {
		const struct seccomp_condition *when = &rule->when[i];
		uint32_t value = when->value == SECCOMP_SELF ? (uint32_t)getpid() : when->value;
		uint8_t fails = (uint8_t)(3 * (rule->n - 1 - i) + 1);
		struct sock_filter load = LOAD(args[0]);

		load.k += when->arg * sizeof(uint64_t);
		put(filter, load);
		put(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, when->mask));
		put(filter,
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, fails));
	}
	put(filter, (struct sock_filter)RETURN(SECCOMP_RET_ALLOW));
	if (rule->n)
		put(filter, (struct sock_filter)LOAD(nr));
}

static void put_others(struct filter *filter, enum seccomp_others others)
{
	if (others == SECCOMP_REFUSES_PROGRAMS) {
		put(filter,
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SECCOMP_UNKNOWN, 0, 1));
		put(filter, (struct sock_filter)REFUSE(ENOSYS));
	}
	put(filter, others == SECCOMP_LOGS ? (struct sock_filter)RETURN(SECCOMP_RET_ALLOW)
					   : (struct sock_filter)REFUSE(EPERM));
}

static int install(const struct filter *filter, unsigned flags)
{
	const struct sock_fprog prog = {.len = filter->n,
					.filter = (struct sock_filter *)filter->code};
	long r = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_TSYNC,
			 &prog);

	if (r < 0)
		return -errno;
	return r ? -EBUSY : 0; /* a thread with a filter of its own */
}

/* A filter of its own, which logs nothing: this comes with every thread. */
static int refuse_clone3(void)
{
	const struct filter filter = {
		.code = {LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
			 REFUSE(ENOSYS), RETURN(SECCOMP_RET_ALLOW)},
		.n = 4,
	};

	return install(&filter, 0);
}

int daemon_seccomp_enter(const struct seccomp_list *lists, size_t n, enum seccomp_others others)
{
	struct filter filter = {};
	int r;

	put_abi(&filter);
	put_rule(&filter, &(const struct seccomp_rule)ALWAYS(clone3));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < lists[i].n; j++)
			put_rule(&filter, &lists[i].rules[j]);
	put_others(&filter, others);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = refuse_clone3();
	return r < 0 ? r : install(&filter, SECCOMP_FILTER_FLAG_LOG);
}
