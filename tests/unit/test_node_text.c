// SPDX-License-Identifier: Apache-2.0
/* MODULES: agent base */
/* What the resolver wrote is passed on while it writes, and not for longer. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/node_text.h"
#include "base/clock.h"
#include "base/file.h"

static char path[] = "/tmp/podcred-node-text-XXXXXX";
static const char text[] = "# HELP podcred_pods x\npodcred_pods 3\n";

static void write_it(const char *s)
{
	assert_int_equal(file_write_atomic(path, s, strlen(s), 0644), 0);
}

static int read_at(struct node_text *t, uint64_t seconds, char **ret)
{
	return agent_node_text_read(t, seconds * CLOCK_S, ret);
}

static void assert_reads(struct node_text *t, uint64_t seconds, const char *want)
{
	char *got = NULL;

	assert_int_equal(read_at(t, seconds, &got), 0);
	assert_string_equal(got, want);
	free(got);
}

static void assert_fails(struct node_text *t, uint64_t seconds, int error)
{
	char *got = NULL;

	assert_int_equal(read_at(t, seconds, &got), error);
	assert_null(got);
}

static void test_written_again(void **state)
{
	struct node_text t = {.path = path};

	(void)state;
	for (uint64_t now = 1000; now < 1500; now += 50) {
		write_it(text);
		assert_reads(&t, now, text);
	}
	write_it("podcred_pods 4\n");
	assert_reads(&t, 1500, "podcred_pods 4\n");
}

/* By how long it has been the same, whatever time the file has. */
static void test_not_written_any_more(void **state)
{
	struct node_text t = {.path = path};
	const struct timespec times[2] = {{4102444800, 0}, {4102444800, 0}};

	(void)state;
	write_it(text);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_reads(&t, 1000, text);
	assert_reads(&t, 1060, text);
	assert_fails(&t, 1061, -ESTALE);
	assert_fails(&t, 2000, -ESTALE);
	write_it(text);
	assert_reads(&t, 2001, text);
}

static void test_cannot_be_passed_on(void **state)
{
	struct node_text t = {.path = path}, none = {.path = "/nowhere/podcred.prom"};
	char *large = malloc(300 * 1024);

	(void)state;
	assert_fails(&none, 1000, -ENOENT);
	write_it("podcred_pods 3"); /* what came after it would be in the same line */
	assert_fails(&t, 1000, -EBADMSG);
	write_it("");
	assert_fails(&t, 1000, -EBADMSG);
	assert_non_null(large);
	memset(large, '\n', 300 * 1024);
	assert_int_equal(file_write_atomic(path, large, 300 * 1024, 0644), 0);
	assert_fails(&t, 1000, -EFBIG);
	free(large);
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_again),
		cmocka_unit_test(test_not_written_any_more),
		cmocka_unit_test(test_cannot_be_passed_on),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
