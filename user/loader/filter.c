// SPDX-License-Identifier: Apache-2.0
#include "filter.h"

#include <string.h>

/* An IPv6 prefix may cover ::ffff:0:0/96, and so addresses whose bit is chosen otherwise. */
static bool may_cover_v4(const struct loader_guard *guard)
{
	static const uint8_t zero[6];

	return guard->bits < 96 && !memcmp(guard->prefix.ip, zero, sizeof(zero));
}

void guard_filter_fill(const struct loader_guard *guards, size_t n, __u64 filter[16])
{
	memset(filter, 0, 16 * sizeof(*filter));
	for (size_t i = 0; i < n; i++) {
		const struct net_addr *prefix = &guards[i].prefix;
		unsigned enough = net_addr_is_v4(prefix->ip) ? 96 + PODCRED_FILTER_V4_BITS
							     : PODCRED_FILTER_V6_BITS;
		uint32_t word[4], bit;

		if (guards[i].bits < enough || may_cover_v4(&guards[i])) {
			memset(filter, 0xff, 16 * sizeof(*filter));
			return;
		}
		memcpy(word, prefix->ip, sizeof(word));
		bit = podcred_filter_bit(word);
		filter[bit / 64] |= 1ULL << bit % 64;
	}
}
