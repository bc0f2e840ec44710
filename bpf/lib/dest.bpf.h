/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Destination -> action. Pure: plain values in, decision out. */
#pragma once

#include "maps.bpf.h"

#define DEST_NOT_GUARDED (-1)

/*
 * Most connections of a pod go elsewhere, and a trie lookup is the dearest thing on their way: a
 * bit in the configuration rules it out for nearly all of them.
 */
static __always_inline int addr_is_foreign(const struct podcred_config *cfg,
					   const struct podcred_addr *addr)
{
	__u32 bit = podcred_filter_bit((const __u32 *)addr->ip);

	return !(cfg->guard_filter[(bit >> 6) & 15] & 1ULL << (bit & 63));
}

/*
 * DEST_NOT_GUARDED for the many destinations that are none of our business, else enum
 * podcred_action. One trie lookup decides the first; only guarded addresses pay for the second.
 */
static __always_inline int dest_action(const struct podcred_config *cfg,
				       const struct podcred_target_key *dest)
{
	const struct podcred_action_value *guard, *target;
	struct podcred_guard_key key = {.prefixlen = 128, .addr = dest->addr};

	if (addr_is_foreign(cfg, &dest->addr))
		return DEST_NOT_GUARDED;
	guard = bpf_map_lookup_elem(&podcred_guard, &key);
	if (!guard)
		return DEST_NOT_GUARDED;
	target = bpf_map_lookup_elem(&podcred_targets, dest);
	return target ? target->action : guard->action;
}
