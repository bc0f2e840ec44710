/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podcred's configuration file: where the agent is, and which destinations are guarded. It holds
 * no secrets. docs/configuration.md describes it to its writers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "err.h"

/* The same numbers as enum podcred_action of the kernel side. */
enum config_action {
	CONFIG_ALLOW,
	CONFIG_REDIRECT,
	CONFIG_DENY,
};

struct config_port {
	uint16_t port;
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	enum config_action action;
};

#define CONFIG_MAX_PORTS 16

struct config_destination {
	struct net_addr prefix;
	unsigned bits; /* of the 16-byte form: 128 is one address */
	enum config_action action; /* for all ports and protocols not listed */
	struct config_port ports[CONFIG_MAX_PORTS];
	size_t n_ports;
};

#define CONFIG_MAX_DESTINATIONS 64

struct config {
	struct net_addr agent_v4, agent_v6; /* port 0: none */
	uint32_t max_pending_per_pod;
	struct config_destination destinations[CONFIG_MAX_DESTINATIONS];
	size_t n_destinations;
};

/* What podcred does without a file: the three AWS credential services, no agent yet. */
void config_default(struct config *ret);

/* The file's settings over the defaults; a list of destinations replaces the default one.
 * On error *ret is untouched and err says file, line, what is wrong and what to write. */
int config_load(const char *path, struct config *ret, struct pc_err *err);

/* Set agent_v4 or agent_v6 from "ADDRESS:PORT". Refuses loopback, wildcard and link-local
 * addresses, which no pod can reach. -EINVAL with err filled. */
int config_set_agent(struct config *config, const char *text, struct pc_err *err);

const char *config_action_name(enum config_action action);
