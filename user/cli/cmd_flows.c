// SPDX-License-Identifier: Apache-2.0
#include "base/addr.h"
#include "base/cleanup.h"
#include "cli/listing.h"
#include "kernel/maps.h"

static int row_flow(void *arg, const void *key, const void *value)
{
	const struct podcred_flow_key *flow_key = key;
	const struct podcred_flow *flow = value;
	char client[NET_ADDR_TEXT], agent[NET_ADDR_TEXT];

	net_addr_format(flow_key->client.ip, flow_key->client_port, client, sizeof(client));
	net_addr_format(flow_key->agent.ip, flow_key->agent_port, agent, sizeof(agent));
	cli_listing_put_connection(arg, client, agent, &flow->stamp,
				   flow->conflict_ns ? "conflict" : "");
	return 0;
}

int cmd_flows(const struct cli_command *self, int argc, char **argv)
{
	static const char *const headings[] = LISTING_CONNECTION_HEADINGS;
	static const struct listing_source source = {KERN_MAP_FLOWS,
						     sizeof(struct podcred_flow_key),
						     sizeof(struct podcred_flow), row_flow, NULL};

	return cli_listing_run(self, argc, argv, &source, 1, headings, ARRAY_SIZE(headings));
}
