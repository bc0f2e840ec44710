// SPDX-License-Identifier: Apache-2.0
#include "daemon/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Newer than Debian 12's headers (ABI 3). */
#define ACCESS_FS_TRUNCATE (1ULL << 14)

/* What is handled is forbidden, as no rule allows it. Reading is not handled. */
#define CHANGES                                                                                    \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                           \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                               \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                             \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static uint64_t forbidden(int abi, bool may_execute)
{
	return CHANGES | (may_execute ? 0 : LANDLOCK_ACCESS_FS_EXECUTE) |
	       (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) | (abi >= 3 ? ACCESS_FS_TRUNCATE : 0);
}

static int allow_below(int ruleset, const char *path, uint64_t access)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};

	if (fd < 0)
		return -errno;
	return syscall(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		       ? -errno
		       : 0;
}

/* -ENOSYS, -EOPNOTSUPP: there is no Landlock. */
static int new_ruleset(bool may_execute, uint64_t more)
{
	long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	const struct landlock_ruleset_attr attr = {.handled_access_fs =
							   forbidden((int)abi, may_execute) | more};
	long ruleset =
		abi < 0 ? abi : syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0);

	return ruleset < 0 ? -errno : (int)ruleset;
}

static int enter(int ruleset)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(__NR_landlock_restrict_self, ruleset, 0) < 0)
		return -errno;
	return 0;
}

int daemon_landlock_read_only(bool may_execute)
{
	_cleanup_close_ int ruleset = new_ruleset(may_execute, 0);
	int r = ruleset < 0 ? ruleset
			    : allow_below(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE);

	return r < 0 ? r : enter(ruleset);
}

int daemon_landlock_read_below(const char *const *directories)
{
	static const uint64_t reads = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	_cleanup_close_ int ruleset = new_ruleset(false, reads);

	if (ruleset < 0)
		return ruleset;
	for (; *directories; directories++)
		allow_below(ruleset, *directories, reads);
	return enter(ruleset);
}
