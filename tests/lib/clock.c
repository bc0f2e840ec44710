// SPDX-License-Identifier: Apache-2.0
/*
 * clock.so: to be preloaded. The wall clock of the process is as many seconds ahead as the file
 * $CLOCK_AHEAD says at that moment; the kernel's, and so its timeouts, are the machine's. That is
 * what a process meets whose clock is stepped, where nobody may step the machine's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead(void)
{
	const char *path = getenv("CLOCK_AHEAD");
	FILE *file = path ? fopen(path, "re") : NULL;
	long s = 0;

	if (!file || fscanf(file, "%ld", &s) != 1)
		abort(); /* a test that tests nothing */
	fclose(file);
	return s;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	long r = syscall(SYS_clock_gettime, clock, ret);

	if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ret->tv_sec += ahead();
	return (int)r;
}

time_t time(time_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}
