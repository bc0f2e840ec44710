// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "agent/metrics.h"
#include "agent/service.h"
#include "base/addr.h"
#include "base/cleanup.h"

#define SERVICE_PORT 80

static const struct agent_service *const services[] = {
	&agent_pod_identity,
	&agent_ecs,
	&agent_imds,
};

_Static_assert(ARRAY_SIZE(services) < METRICS_SERVICES, "more services: more counters");

const struct agent_service *agent_service_at(size_t i)
{
	return i < ARRAY_SIZE(services) ? services[i] : NULL;
}

static bool is_at(const struct agent_service *service, const uint8_t ip[16])
{
	static const uint8_t none[16];

	if (!memcmp(ip, none, sizeof(none)))
		return false;
	for (size_t i = 0; i < AGENT_SERVICE_ADDRESSES; i++)
		if (!memcmp(service->addresses[i].ip, ip, 16))
			return true;
	return false;
}

const struct agent_service *agent_service_of(const struct podcred_peer *peer)
{
	if (peer->port != SERVICE_PORT)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (is_at(services[i], peer->address))
			return services[i];
	return NULL;
}

bool agent_service_host_ok(const struct agent_service *service, const struct http_head *head)
{
	struct net_addr addr;

	if (head->host_repeated)
		return false;
	if (!head->host)
		return true;
	if (net_addr_parse(head->host, &addr) < 0)
		return false;
	if (addr.port && addr.port != SERVICE_PORT)
		return false;
	return is_at(service, addr.ip);
}
