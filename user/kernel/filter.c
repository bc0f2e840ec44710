// SPDX-License-Identifier: Apache-2.0
#include "kernel/filter.h"

#include <string.h>
#include "base/addr.h"

/* An IPv6 prefix may cover ::ffff:0:0/96, and so addresses whose bit is chosen otherwise. */
static bool may_cover_v4(const struct kern_guard *guard)
{
	static const uint8_t zero[6];

	return guard->bits < 96 && !memcmp(guard->prefix.ip, zero, sizeof(zero));
}

/* The rule that every agent's address has: the hooks know it without a table. */
static bool is_agents_own(const struct kern_guard *guard, const struct podcred_config *config,
			  const struct podcred_addr *addr)
{
	return guard->bits == 128 && guard->action == PODCRED_ACTION_ALLOW &&
	       podcred_agent_at(config, addr);
}

void kern_guard_filter_fill(const struct kern_guard *guards, size_t n,
			    struct podcred_config *config)
{
	__u64 *filter = config->guard_filter;

	memset(filter, 0, sizeof(config->guard_filter));
	for (size_t i = 0; i < n; i++) {
		const struct net_addr *prefix = &guards[i].prefix;
		unsigned enough = net_addr_is_v4(prefix->ip) ? 96 + PODCRED_FILTER_V4_BITS
							     : PODCRED_FILTER_V6_BITS;
		struct podcred_addr addr;
		uint32_t bit;

		memcpy(addr.ip, prefix->ip, sizeof(addr.ip));
		if (is_agents_own(&guards[i], config, &addr))
			continue;
		if (guards[i].bits < enough || may_cover_v4(&guards[i])) {
			memset(filter, 0xff, sizeof(config->guard_filter));
			return;
		}
		bit = podcred_filter_bit(&addr);
		filter[bit / 64] |= 1ULL << bit % 64;
	}
}
