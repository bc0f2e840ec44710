// SPDX-License-Identifier: Apache-2.0
/* MODULES: base */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/secret_pool.h"

#define MANY 2000

static bool is_zero(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i])
			return false;
	return true;
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 240, 241, 1000, 4080, 4081, 32752};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *p = secret_pool_alloc(sizes[i]);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(is_zero(p, sizes[i]));
		memset(p, 0xaa, sizes[i]);
		secret_pool_free(p);
	}
	assert_null(secret_pool_alloc(SECRET_POOL_MAX + 1));
	assert_null(secret_pool_alloc(SIZE_MAX));
	assert_null(secret_pool_free(NULL));
}

/* Nobody sees what was there before, and nobody gets what another has. */
static void test_wiped_and_apart(void **state)
{
	static uint8_t *p[MANY];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < MANY; i++) {
			size_t size = i * 7 % 3000 + 1;

			p[i] = secret_pool_alloc(size);
			assert_non_null(p[i]);
			assert_true(is_zero(p[i], size));
			memset(p[i], (int)(i % 255 + 1), size);
		}
		for (size_t i = 0; i < MANY; i++) {
			assert_int_equal(p[i][0], i % 255 + 1);
			assert_int_equal(p[i][i * 7 % 3000], i % 255 + 1);
			secret_pool_free(p[i]);
		}
	}
}

static void test_wiped_when_freed(void **state)
{
	uint8_t *p = secret_pool_alloc(100);

	(void)state;
	memset(p, 0xaa, 100);
	secret_pool_free(p);
	assert_true(is_zero(p, 100)); /* the pool's own memory: it is still there */
}

/* The flags of the mapping that p is in, as the kernel has them. */
static void flags_of(const void *p, char *ret, size_t size)
{
	_cleanup_fclose_ FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long from = 0, to = 0;
	char line[256];

	ret[0] = '\0';
	while (smaps && fgets(line, sizeof(line), smaps)) {
		unsigned long a, b;

		if (sscanf(line, "%lx-%lx ", &a, &b) == 2)
			from = a, to = b;
		if ((uintptr_t)p >= from && (uintptr_t)p < to && !strncmp(line, "VmFlags:", 8))
			snprintf(ret, size, "%s", line + 8);
	}
}

static void test_what_the_kernel_is_told(void **state)
{
	void *p = secret_pool_alloc(100);
	char flags[512];

	(void)state;
	flags_of(p, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd")); /* in no core dump */
	assert_non_null(strstr(flags, " wf")); /* in no child */
	if (!secret_pool_is_swappable())
		assert_non_null(strstr(flags, " lo"));
	secret_pool_free(p);
}

static void test_children_have_none(void **state)
{
	uint8_t *p = secret_pool_alloc(100);
	int status = -1;
	pid_t pid;

	(void)state;
	memset(p, 0xaa, 100);
	pid = fork();
	if (pid == 0)
		_exit(is_zero(p, 100) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	secret_pool_free(p);
}

/* Without the right to lock any it works all the same, and says so. In a child, as it is for the whole process. */
static void test_without_locked_memory(void **state)
{
	struct rlimit none = {};
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || (geteuid() == 0 && setuid(65534) < 0))
			_exit(2);
		for (size_t i = 0; i < 100; i++)
			if (!secret_pool_alloc(SECRET_POOL_MAX))
				_exit(3);
		_exit(secret_pool_is_swappable() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void *take_and_give(void *arg)
{
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *p = secret_pool_alloc(i % 600 + 1);

		if (!p || !is_zero(p, i % 600 + 1))
			return (void *)1;
		memset(p, (int)(uintptr_t)arg, i % 600 + 1);
		secret_pool_free(p);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (uintptr_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_wiped_and_apart),
		cmocka_unit_test(test_wiped_when_freed),
		cmocka_unit_test(test_what_the_kernel_is_told),
		cmocka_unit_test(test_children_have_none),
		cmocka_unit_test(test_without_locked_memory),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
