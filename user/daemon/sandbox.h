/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent may ask of the kernel, since it reads untrusted input and holds keys. */
#pragma once

#include <stdbool.h>

/* The runtime of an instrumented build (sanitizers, coverage) makes calls of its own: there the
 * filter judges everything and refuses nothing. */
#ifdef PODCRED_INSTRUMENTED
#define SANDBOX_REFUSES false
#else
#define SANDBOX_REFUSES true
#endif

/*
 * For all threads, for good: a system call that serve does not need fails with EPERM, and the kernel
 * logs it (audit record 1326); one of another ABI (i386, x32) ends the process. Sets no_new_privs.
 * -EINVAL, -ENOSYS: this kernel has no seccomp filters.
 */
int daemon_sandbox_enter(bool refuse);
