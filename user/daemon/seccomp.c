// SPDX-License-Identifier: Apache-2.0
#include "daemon/seccomp.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ABI AUDIT_ARCH_X86_64
#define X32_BIT	   0x40000000U
#elif defined(__aarch64__)
#define NATIVE_ABI AUDIT_ARCH_AARCH64
#else
#error "the system calls of this architecture have no list yet"
#endif

void daemon_seccomp_put(struct seccomp_filter *filter, struct sock_filter insn)
{
	assert(filter->n < SECCOMP_CODE_MAX);
	filter->code[filter->n++] = insn;
}

void daemon_seccomp_put_abi(struct seccomp_filter *filter)
{
	daemon_seccomp_put(filter, (struct sock_filter)SECCOMP_LOAD(arch));
	daemon_seccomp_put(
		filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ABI, 1, 0));
	daemon_seccomp_put(filter, (struct sock_filter)SECCOMP_RETURN(SECCOMP_RET_KILL_PROCESS));
	daemon_seccomp_put(filter, (struct sock_filter)SECCOMP_LOAD(nr));
#ifdef X32_BIT
	daemon_seccomp_put(filter,
			   (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
	daemon_seccomp_put(filter, (struct sock_filter)SECCOMP_RETURN(SECCOMP_RET_KILL_PROCESS));
#endif
}

int daemon_seccomp_install(const struct seccomp_filter *filter, unsigned flags)
{
	const struct sock_fprog prog = {.len = filter->n,
					.filter = (struct sock_filter *)filter->code};
	long r = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_TSYNC,
			 &prog);

	if (r < 0)
		return -errno;
	return r ? -EBUSY : 0; /* a thread with a filter of its own */
}
