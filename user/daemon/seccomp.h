/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp filters as lists of the system calls that are allowed, some with conditions on their arguments. A filter cannot
 * follow pointers, so nothing here depends on a path or an address.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* (argument & mask) == value, of the argument's lower half. */
struct seccomp_condition {
	uint32_t mask, value;
	uint8_t arg;
};

#define SECCOMP_SELF UINT32_MAX /* as a value: the own pid */

/* All of its conditions hold. Several rules for one call: one of them has to. */
struct seccomp_rule {
	int nr;
	unsigned n;
	struct seccomp_condition when[3];
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
/* Of that family, type and protocol. */
#define SOCKET(family, type, mask, protocol)                                                       \
	{                                                                                          \
		.nr = __NR_socket, .n = 3,                                                         \
		.when = {{UINT32_MAX, (family), 0}, {0xf, (type), 1}, {(mask), (protocol), 2}},    \
	}

struct seccomp_list {
	const struct seccomp_rule *rules;
	size_t n;
};

/* What every daemon does, and any program: memory, threads, time, waiting, files to read. */
extern const struct seccomp_list daemon_seccomp_common;

/* From this number on, calls are younger than the lists: Linux 6.1 has none of them. */
#define SECCOMP_UNKNOWN 451

enum seccomp_others {
	SECCOMP_LOGS, /* nothing is refused; the kernel would, and does not log it either */
	SECCOMP_REFUSES, /* EPERM */
	/* the same, but ENOSYS from SECCOMP_UNKNOWN on: programs that try a new call take it for an older kernel */
	SECCOMP_REFUSES_PROGRAMS,
};

/*
 * For all threads and what they execute, for good: what is on none of the lists fails as others says, and the kernel
 * logs it (audit record 1326); a call of another ABI (i386, x32) ends the process. The lists are walked from their
 * beginning, so what is frequent comes first. Sets no_new_privs. clone3 fails with ENOSYS, without a log: its flags are
 * behind a pointer, and the C library then uses clone. -EINVAL, -ENOSYS: this kernel has no seccomp filters; -EBUSY.
 */
int daemon_seccomp_enter(const struct seccomp_list *lists, size_t n, enum seccomp_others others);
