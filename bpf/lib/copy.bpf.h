/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * To read a map's value that may be recycled for another key meanwhile: copy it, look it up again,
 * and accept the copy only if the value is still there. The second lookup must not happen before
 * the copy. x86 does not reorder loads, but arm64 does. There the order of two loads is kept when
 * the address of the second is computed from what the first returned. So the copy returns a digest
 * of all that it read, and the key of the second lookup is made to depend on it.
 *
 * A barrier would also do, but BPF has one only as an atomic operation that returns a value, which
 * arm64 before Linux 5.18 cannot compile.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* Volatile: each word is loaded once, so what was loaded is what was copied and is in the digest. */
static __always_inline __u64 copy_words(void *to, const void *from, __u32 size)
{
	const volatile __u64 *source = from;
	__u64 *target = to, seen = 0;

#pragma unroll
	for (__u32 i = 0; i < size / sizeof(__u64); i++) {
		__u64 word = source[i];

		target[i] = word;
		seen ^= word;
	}
	return seen;
}

#define COPY(to, from)                                                                             \
	({                                                                                         \
		_Static_assert(sizeof(*(to)) == sizeof(*(from)), "not the same type");             \
		_Static_assert(sizeof(*(to)) % sizeof(__u64) == 0, "not in words");                \
		copy_words(to, from, sizeof(*(to)));                                               \
	})

/* The same value, and known only once all of seen is. Assembly: clang would see that it cancels out. */
static __always_inline __u64 after(__u64 value, __u64 seen)
{
#ifdef __bpf__ /* tests compile this for the host, too */
	asm volatile("%0 ^= %1\n\t%0 ^= %1" : "+r"(value) : "r"(seen));
#else
	asm volatile("" : "+r"(value) : "r"(seen));
#endif
	return value;
}
