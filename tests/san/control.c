// SPDX-License-Identifier: Apache-2.0
/*
 * The defects that each sanitizer exists to find, made on purpose and as nobody, as the agent is.
 * tests/san/reports.sh has to find the report; if it does not, a clean run means nothing.
 */
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOBODY 65534

static int shared;

static void *write_shared(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100000; i++)
		*(volatile int *)&shared += 1;
	return NULL;
}

static int race(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, write_shared, NULL) != 0)
			return 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static int overrun(int by)
{
	char *volatile heap = malloc(8);
	char byte = heap[8 + by];

	free(heap);
	return byte == 1;
}

static int leak(void)
{
	void *volatile lost = malloc(64);

	lost = NULL;
	return lost != NULL;
}

static int overflow(int by)
{
	volatile int most = 0x7fffffff;

	most += by + 1;
	return most == 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return 3;
	if (strcmp(what, "race") == 0)
		return race();
	if (strcmp(what, "overrun") == 0)
		return overrun(argc - 2);
	if (strcmp(what, "leak") == 0)
		return leak();
	if (strcmp(what, "overflow") == 0)
		return overflow(argc - 2);
	fprintf(stderr, "usage: control race|overrun|leak|overflow\n");
	return 2;
}
