/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses from the hooks, in the form that the maps use: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "podcred_maps.h"

static __always_inline void addr_set_words(struct podcred_addr *addr, __u32 a, __u32 b, __u32 c,
					   __u32 d)
{
	podcred_word *word = (podcred_word *)addr->ip;

	word[0] = a;
	word[1] = b;
	word[2] = c;
	word[3] = d;
}

static __always_inline void addr_set_v4(struct podcred_addr *addr, __u32 ip4)
{
	addr_set_words(addr, 0, 0, PODCRED_WORD_V4_MARK, ip4);
}
