// SPDX-License-Identifier: Apache-2.0
#include "planted.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

int planted_outcome(long (*call)(void), int (*confine)(int how), int how)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		pid_t self = getpid();
		long r;

		if (confine(how) < 0)
			_exit(255);
		r = call();
		if (getpid() != self)
			_exit(0); /* a fork that worked */
		_exit(r < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void *thread(void *arg)
{
	*(bool *)arg = true;
	return NULL;
}

long planted_threads(void)
{
	bool ran = false;
	pthread_t id;

	if (pthread_create(&id, NULL, thread, &ran) || pthread_join(id, NULL))
		return -1;
	return ran ? 0 : -1;
}
