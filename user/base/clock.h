/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nanoseconds of the clocks that nobody sets. Whatever waits, expires or is compared uses one of
 * these; the wall clock may step, and is only for people to read.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#define CLOCK_S	 1000000000ULL /* nanoseconds of a second */
#define CLOCK_MS 1000000ULL

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * CLOCK_S + (uint64_t)now.tv_nsec;
}

/* As the BPF programs have it: it goes on while the machine sleeps. */
static inline uint64_t clock_boot_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

/* As the kernel's timeouts and condition variables have it. */
static inline uint64_t clock_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline int64_t clock_mono_ms(void)
{
	return (int64_t)(clock_mono_ns() / CLOCK_MS);
}

static inline struct timespec clock_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / CLOCK_S), .tv_nsec = (long)(ns % CLOCK_S)};
}
