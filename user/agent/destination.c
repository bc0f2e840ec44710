// SPDX-License-Identifier: Apache-2.0
#include "destination.h"

#include <string.h>

#include "addr.h"
#include "cleanup.h"

#define SERVICE_PORT 80

static const struct {
	enum destination destination;
	uint8_t ip[16];
} services[] = {
	{DESTINATION_POD_IDENTITY, {[10] = 0xff, 0xff, 169, 254, 170, 23}},
	{DESTINATION_POD_IDENTITY, {0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}},
	{DESTINATION_ECS, {[10] = 0xff, 0xff, 169, 254, 170, 2}},
	{DESTINATION_IMDS, {[10] = 0xff, 0xff, 169, 254, 169, 254}},
	{DESTINATION_IMDS, {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}},
};

static enum destination lookup(const uint8_t ip[16])
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (!memcmp(services[i].ip, ip, 16))
			return services[i].destination;
	return DESTINATION_OTHER;
}

enum destination destination_of(const struct podcred_peer *peer)
{
	return peer->port == SERVICE_PORT ? lookup(peer->address) : DESTINATION_OTHER;
}

bool destination_host_ok(enum destination d, const char *host)
{
	struct net_addr addr;

	if (net_addr_parse(host, &addr) < 0)
		return false;
	if (addr.port && addr.port != SERVICE_PORT)
		return false;
	return lookup(addr.ip) == d;
}
