// SPDX-License-Identifier: Apache-2.0
/*
 * pause.so: to be preloaded. Each nanosleep() writes a line to the file $PAUSE_BEGUN. While there is a
 * FIFO $PAUSE_FIFO, which somebody has open for writing, it then lasts until that is closed: who must
 * not wait for such a pause cannot by chance be fast enough. With $PAUSE_UNLINK it is unlinkat()
 * that waits, before it does anything, and not nanosleep().
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void say_begun(void)
{
	const char *path = getenv("PAUSE_BEGUN");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;

	if (fd < 0 || write(fd, "\n", 1) != 1)
		abort(); /* a test that tests nothing */
	close(fd);
}

/* 0: nobody wants it to wait. */
static int wait_for_end(void)
{
	const char *path = getenv("PAUSE_FIFO");
	int fd;
	char byte;

	say_begun();
	fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return 0;
	while (read(fd, &byte, 1) > 0)
		;
	close(fd);
	return 1;
}

int nanosleep(const struct timespec *time, struct timespec *ret_left)
{
	if (!getenv("PAUSE_UNLINK") && wait_for_end())
		return 0;
	return (int)syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, time, ret_left);
}

int unlinkat(int dir, const char *path, int flags)
{
	if (getenv("PAUSE_UNLINK"))
		wait_for_end();
	return (int)syscall(SYS_unlinkat, dir, path, flags);
}
