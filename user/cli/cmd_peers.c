// SPDX-License-Identifier: Apache-2.0
#include "base/addr.h"
#include "base/cleanup.h"
#include "cli/listing.h"
#include "kernel/maps.h"

static int row_peer(void *arg, const void *key, const void *value)
{
	const struct podcred_peer_key *peer = key;
	char client[NET_ADDR_TEXT], agent[NET_ADDR_TEXT];

	net_addr_format(peer->client.ip, peer->client_port, client, sizeof(client));
	net_addr_format(peer->agent.ip, peer->agent_port, agent, sizeof(agent));
	cli_listing_put_connection(arg, client, agent, value, NULL);
	return 0;
}

int cmd_peers(const struct cli_command *self, int argc, char **argv)
{
	static const char *const headings[] = LISTING_CONNECTION_HEADINGS;
	static const struct listing_source source = {KERN_MAP_PEERS,
						     sizeof(struct podcred_peer_key),
						     sizeof(struct podcred_seal), row_peer, NULL};

	return cli_listing_run(self, argc, argv, &source, 1, headings, ARRAY_SIZE(headings));
}
