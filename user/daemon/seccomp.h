/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp filters, instruction by instruction: what those of the daemons have in common. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define SECCOMP_CODE_MAX 2048

#define SECCOMP_LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SECCOMP_RETURN(v)   BPF_STMT(BPF_RET | BPF_K, (v))
#define SECCOMP_ERRNO(e)    (SECCOMP_RET_ERRNO | ((e)&SECCOMP_RET_DATA))

struct seccomp_filter {
	struct sock_filter code[SECCOMP_CODE_MAX];
	unsigned short n;
};

void daemon_seccomp_put(struct seccomp_filter *filter, struct sock_filter insn);

/* Numbers mean something else in another ABI (i386, x32), which ends the process. The accumulator then holds the number
 * of the call. */
void daemon_seccomp_put_abi(struct seccomp_filter *filter);

/* For all threads, for good. flags: beside SECCOMP_FILTER_FLAG_TSYNC. -EINVAL, -ENOSYS: this kernel has no seccomp
 * filters; -EBUSY. */
int daemon_seccomp_install(const struct seccomp_filter *filter, unsigned flags);
