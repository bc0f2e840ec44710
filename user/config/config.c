// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/config_section.h"

#define MAX_PENDING  128
#define METRICS_PORT 7778

/* IMDS, ECS, EKS Pod Identity, and STS at an address of podcred's own. DNS, NTP and the rest of 169.254.0.0/16 are not ours. */
static const char *const guarded[] = {
	"169.254.169.254", "169.254.170.2", "169.254.170.23",	  "169.254.170.83",
	"fd00:ec2::254",   "fd00:ec2::23",  "fd70:6f64:6372::83",
};

void config_default(struct config *ret)
{
	*ret = (struct config){
		.max_pending_per_pod = MAX_PENDING,
		.metrics = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = METRICS_PORT},
	};
	config_credentials_default(&ret->credentials);
	config_webhook_default(&ret->webhook);
	config_broker_default(&ret->broker);
	for (size_t i = 0; i < ARRAY_SIZE(guarded); i++) {
		struct config_destination *dest = &ret->destinations[ret->n_destinations++];

		net_prefix_parse(guarded[i], &dest->prefix, &dest->bits);
		dest->action = CONFIG_DENY;
		dest->ports[dest->n_ports++] = (struct config_port){
			.port = 80, .protocol = IPPROTO_TCP, .action = CONFIG_REDIRECT};
	}
}

/* Why a pod could not reach the agent there, or NULL. */
static const char *unreachable(const struct net_addr *addr)
{
	static const uint8_t v6_loopback[16] = {[15] = 1}, any[16];

	if (net_addr_is_v4(addr->ip)) {
		if (addr->ip[12] == 127)
			return "is a loopback address: each pod has its own";
		if (addr->ip[12] == 0)
			return "is a wildcard, not an address";
		if (addr->ip[12] >= 224)
			return "is a multicast or reserved address";
		if (addr->ip[12] == 169 && addr->ip[13] == 254)
			return "is link-local: pods have no route to it";
		return NULL;
	}
	if (!memcmp(addr->ip, v6_loopback, 16))
		return "is a loopback address: each pod has its own";
	if (!memcmp(addr->ip, any, 16))
		return "is a wildcard, not an address";
	if (addr->ip[0] == 0xff)
		return "is a multicast address";
	if (addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80)
		return "is link-local: pods cannot reach it without an interface";
	return NULL;
}

int config_set_agent(struct config *config, const char *text, struct pc_err *err)
{
	struct net_addr addr, *slot;
	const char *why;

	if (net_addr_parse(text, &addr) < 0 || !addr.port)
		return pc_err_set(err, -EINVAL,
				  "agent \"%.64s\" is not ADDRESS:PORT; write 10.0.0.1:7777 or "
				  "[fd00::1]:7777",
				  text);
	why = unreachable(&addr);
	if (why)
		return pc_err_set(
			err, -EINVAL,
			"agent \"%.64s\" %s; give an address of this node that every pod can "
			"reach",
			text, why);
	slot = net_addr_is_v4(addr.ip) ? &config->agent_v4 : &config->agent_v6;
	if (slot->port)
		return pc_err_set(
			err, -EINVAL,
			"agent \"%.64s\" is the second of its family; give one IPv4 and one "
			"IPv6 address at most",
			text);
	*slot = addr;
	return 0;
}

int config_set_metrics(struct config *config, const char *text, struct pc_err *err)
{
	struct net_addr addr = {};

	if (strcmp(text, "off") != 0 && (net_addr_parse(text, &addr) < 0 || !addr.port))
		return pc_err_set(err, -EINVAL,
				  "metrics \"%.64s\" is not ADDRESS:PORT; write 127.0.0.1:%d, or "
				  "off",
				  text, METRICS_PORT);
	config->metrics = addr;
	return 0;
}
