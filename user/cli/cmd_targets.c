// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "cli/listing.h"
#include "kernel/maps.h"
#include "kernel/status.h"

static const char *protocol_name(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "other";
}

static int row_target(void *arg, const void *key, const void *value)
{
	const struct podcred_action_value *action = value;
	const struct podcred_target_key *target = key;
	struct listing *list = arg;
	char addr[NET_ADDR_TEXT], port[8];

	net_addr_format(target->addr.ip, 0, addr, sizeof(addr));
	snprintf(port, sizeof(port), "%u", ntohs(target->port));
	if (list->json)
		cli_listing_put(list, json_pack("{sssissss}", "address", addr, "port",
						ntohs(target->port), "protocol",
						protocol_name(target->protocol), "action",
						kern_action_name(action->action)));
	else
		cli_table_row(list->table, addr, port, protocol_name(target->protocol),
			      kern_action_name(action->action));
	return 0;
}

static int row_guard(void *arg, const void *key, const void *value)
{
	const struct podcred_action_value *action = value;
	const struct podcred_guard_key *guard = key;
	unsigned bits = guard->prefixlen;
	struct listing *list = arg;
	char addr[NET_ADDR_TEXT + 8];

	net_addr_format(guard->addr.ip, 0, addr, NET_ADDR_TEXT);
	if (bits != 128)
		snprintf(addr + strlen(addr), 8, "/%u",
			 net_addr_is_v4(guard->addr.ip) ? bits - 96 : bits);
	if (list->json)
		cli_listing_put(list, json_pack("{ssss}", "address", addr, "action",
						kern_action_name(action->action)));
	else
		cli_table_row(list->table, addr, "all else", "all",
			      kern_action_name(action->action));
	return 0;
}

int cmd_targets(const struct cli_command *self, int argc, char **argv)
{
	static const char *const headings[] = {"ADDRESS", "PORT", "PROTOCOL", "ACTION"};
	static const struct listing_source sources[] = {
		{KERN_MAP_TARGETS, sizeof(struct podcred_target_key),
		 sizeof(struct podcred_action_value), row_target, NULL},
		{KERN_MAP_GUARD, sizeof(struct podcred_guard_key),
		 sizeof(struct podcred_action_value), row_guard, NULL},
	};

	return cli_listing_run(self, argc, argv, sources, ARRAY_SIZE(sources), headings,
			       ARRAY_SIZE(headings));
}
