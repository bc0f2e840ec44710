/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * podcred_addr.h - an address as the maps, the programs and the loader use it: 16 bytes in network
 * byte order, IPv4 as ::ffff:a.b.c.d.
 */
#ifndef PODCRED_ADDR_H
#define PODCRED_ADDR_H

#include "podcred_uapi.h"

/* Aligned: compilers for BPF copy what may lie anywhere in smaller pieces. */
struct podcred_addr {
	__u8 ip[16];
} __attribute__((aligned(4)));

/* A quarter of an address, as it lies in memory. */
typedef __u32 __attribute__((may_alias)) podcred_word;

static inline __attribute__((always_inline)) int podcred_addr_is_same(const struct podcred_addr *a,
								      const struct podcred_addr *b)
{
	const podcred_word *one = (const podcred_word *)a->ip, *two = (const podcred_word *)b->ip;

	/* the last word first: it is the one that differs */
	return one[3] == two[3] && one[2] == two[2] && one[1] == two[1] && one[0] == two[0];
}

/* The masks of words depend on the machine's byte order, as words do. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PODCRED_WORD_FIRST_TWO	 0x0000ffffu
#define PODCRED_WORD_FIRST_THREE 0x00ffffffu
#define PODCRED_WORD_V4_MARK	 0xffff0000u
#else
#define PODCRED_WORD_FIRST_TWO	 0xffff0000u
#define PODCRED_WORD_FIRST_THREE 0xffffff00u
#define PODCRED_WORD_V4_MARK	 0x0000ffffu
#endif

static inline __attribute__((always_inline)) int podcred_addr_is_v4(const struct podcred_addr *addr)
{
	const podcred_word *word = (const podcred_word *)addr->ip;

	return word[0] == 0 && word[1] == 0 && word[2] == PODCRED_WORD_V4_MARK;
}

#endif /* PODCRED_ADDR_H */
