// SPDX-License-Identifier: Apache-2.0
/* MODULES: daemon base */
/* What a confined process reads, writes and executes, in a child that is confined for real. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/landlock.h"

#define BASE "/tmp/podcred-landlock-XXXXXX"

static char base[] = BASE;
static char may[64], other[64], may_file[80], other_file[80], link_out[80];

static void write_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(base, BASE);
	assert_non_null(mkdtemp(base));
	snprintf(may, sizeof(may), "%s/may", base);
	snprintf(other, sizeof(other), "%s/other", base);
	snprintf(may_file, sizeof(may_file), "%s/file", may);
	snprintf(other_file, sizeof(other_file), "%s/file", other);
	snprintf(link_out, sizeof(link_out), "%s/link", may);
	assert_int_equal(mkdir(may, 0755) | mkdir(other, 0755), 0);
	write_file(may_file);
	write_file(other_file);
	assert_int_equal(symlink(other_file, link_out), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(link_out);
	unlink(may_file);
	unlink(other_file);
	rmdir(may);
	rmdir(other);
	return rmdir(base);
}

/* 0, or why not. */
static int tries(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* The line in which the child found something else. */
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			_exit(__LINE__ % 200 + 20);                                                \
	} while (0)
#define NONE 2

static void in_child(void (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NONE)
		skip(); /* this kernel has no Landlock */
	if (status)
		fail_msg("line %d (modulo 200)", WEXITSTATUS(status) - 20);
}

static void read_below(void)
{
	const char *const dirs[] = {"/nowhere/at/all", may, NULL};
	int before = open(other_file, O_RDONLY | O_CLOEXEC), r;
	char byte;

	EXPECT(before >= 0);
	r = daemon_landlock_read_below(dirs);
	if (r == -ENOSYS || r == -EOPNOTSUPP)
		_exit(NONE);
	EXPECT(r == 0);
	EXPECT(tries(may_file, O_RDONLY) == 0);
	EXPECT(tries(may, O_RDONLY | O_DIRECTORY) == 0);
	EXPECT(tries(other_file, O_RDONLY) == EACCES);
	EXPECT(tries(link_out, O_RDONLY) == EACCES);
	EXPECT(tries(other, O_RDONLY | O_DIRECTORY) == EACCES);
	EXPECT(tries("/etc/passwd", O_RDONLY) == EACCES);
	EXPECT(tries("/proc/self/environ", O_RDONLY) == EACCES);
	EXPECT(tries(may_file, O_WRONLY) == EACCES);
	EXPECT(tries("/dev/null", O_WRONLY) == EACCES);
	EXPECT(unlink(may_file) < 0 && errno == EACCES);
	EXPECT(execl("/bin/true", "true", NULL) < 0 && errno == EACCES);
	EXPECT(read(before, &byte, 1) == 1); /* what is open stays open */
}

static void read_only(void)
{
	int r = daemon_landlock_read_only(false);

	if (r == -ENOSYS || r == -EOPNOTSUPP)
		_exit(NONE);
	EXPECT(r == 0);
	EXPECT(tries(other_file, O_RDONLY) == 0);
	EXPECT(tries(other_file, O_WRONLY) == EACCES);
	EXPECT(tries("/dev/null", O_WRONLY) == 0);
	EXPECT(execl("/bin/true", "true", NULL) < 0 && errno == EACCES);
}

static void test_read_below(void **state)
{
	(void)state;
	in_child(read_below);
}

static void test_read_only(void **state)
{
	(void)state;
	in_child(read_only);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_below, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
