// SPDX-License-Identifier: Apache-2.0
/* MODULES: base */
/* Giving up capabilities, for real, in a child. As a user without any, what is left to see is that
 * nothing is asked of the kernel then. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/caps.h"

#define KEEP (CAPS_BIT(CAP_BPF) | CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_SETPCAP))

static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A line number tells what failed. */
#define NEED(what)                                                                                 \
	do {                                                                                       \
		if (!(what))                                                                       \
			return __LINE__;                                                           \
	} while (0)

static int keeps(void)
{
	struct caps before, after;

	NEED(caps_read(0, &before) == 0);
	caps_bound(KEEP);
	NEED(caps_keep(KEEP) == 0);
	NEED(caps_read(0, &after) == 0);
	NEED(after.permitted == (before.permitted & KEEP));
	NEED(after.effective == after.permitted);
	if (before.effective & CAPS_BIT(CAP_SETPCAP))
		NEED(after.bounding == (before.bounding & KEEP));
	NEED(prctl(PR_GET_KEEPCAPS) == 0);
	NEED(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_BPF, 0, 0) == 0);
	return 0;
}

static int outlives_user(void)
{
	struct caps after;

	if (geteuid() != 0)
		return 0;
	caps_bound(CAPS_BIT(CAP_NET_BIND_SERVICE));
	NEED(setresuid(65533, 65533, 65533) == 0);
	NEED(caps_keep(CAPS_BIT(CAP_NET_BIND_SERVICE)) == 0);
	NEED(caps_read(0, &after) == 0);
	NEED(after.effective == CAPS_BIT(CAP_NET_BIND_SERVICE));
	NEED(setresuid(0, 0, 0) < 0);
	return 0;
}

static int forbid_capset(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_capset, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 4, .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0;
}

/* As below SystemCallFilter=~@privileged. */
static int nothing_to_give_up(void)
{
	NEED(caps_keep(0) == 0);
	if (forbid_capset())
		return 0; /* an emulator has no filters */
	NEED(caps_keep(0) == 0);
	return 0;
}

static int cannot_give_up(void)
{
	struct caps self;

	NEED(caps_read(0, &self) == 0);
	if (!self.permitted || forbid_capset())
		return 0;
	NEED(caps_keep(0) == -EPERM);
	return 0;
}

static void test_keep(void **state)
{
	(void)state;
	assert_int_equal(in_child(keeps), 0);
	assert_int_equal(in_child(outlives_user), 0);
}

static void test_filtered(void **state)
{
	(void)state;
	assert_int_equal(in_child(nothing_to_give_up), 0);
	assert_int_equal(in_child(cannot_give_up), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_filtered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
