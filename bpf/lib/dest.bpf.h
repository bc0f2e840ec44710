/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Destination -> action. Most connections of a pod go to other addresses, and a trie lookup would
 * be their greatest cost: a bit in the configuration rules it out for nearly all of them.
 */
#pragma once

#include "addr.bpf.h"
#include "maps.bpf.h"

/* Without a look at any table; "no" says nothing. */
static __always_inline int dest_is_foreign(const struct podcred_config *cfg,
					   const struct podcred_addr *addr)
{
	return podcred_is_foreign(cfg, addr) && !podcred_agent_at(cfg, addr);
}

/*
 * PODCRED_NOT_GUARDED for the many destinations that are none of our business, else enum
 * podcred_action. The agent's own address is known without a table, and the filter does not cover
 * it: it is dialled by every redirected connection, and each packet of those would pay. An entry for
 * port and protocol wins over the one of the address, so it is looked up first, and spares the trie.
 */
static __always_inline int dest_action(const struct podcred_config *cfg,
				       const struct podcred_target_key *dest)
{
	const struct podcred_endpoint *agent = podcred_agent_at(cfg, &dest->addr);
	const struct podcred_action_value *guard, *target;
	struct podcred_guard_key key = {.prefixlen = 128, .addr = dest->addr};

	if (agent)
		return podcred_agent_action(agent, dest);
	if (podcred_is_foreign(cfg, &dest->addr))
		return PODCRED_NOT_GUARDED;
	target = bpf_map_lookup_elem(&podcred_targets, dest);
	if (target)
		return target->action;
	guard = bpf_map_lookup_elem(&podcred_guard, &key);
	return guard ? guard->action : PODCRED_NOT_GUARDED;
}
