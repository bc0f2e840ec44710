/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podcred's configuration file: where the agent is, which destinations are guarded, and which pods
 * are exceptions. It holds no secrets. docs/configuration.md describes it for operators.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/k8s_name.h"

/* The same numbers as enum podcred_action of the kernel side. */
enum config_action {
	CONFIG_ALLOW = 0,
	CONFIG_REDIRECT = 1,
	CONFIG_DENY = 2,
	CONFIG_AUDIT = 4, /* pass, count and report; 3 is not for configurations */
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

enum config_policy_action {
	CONFIG_POLICY_REDIRECT, /* as pods that no rule matches */
	CONFIG_POLICY_EXEMPT, /* goes to the real address */
	CONFIG_POLICY_DENY, /* gets no credentials at all */
};

struct config_policy_rule {
	char name_space[K8S_LABEL_SIZE]; /* empty: any */
	char service_account[K8S_SUBDOMAIN_SIZE]; /* empty: any, and none */
	enum config_policy_action action;
	size_t line; /* of the file */
};

#define CONFIG_MAX_POLICY 128

struct config {
	struct net_addr agent_v4, agent_v6; /* port 0: none */
	struct net_addr metrics; /* where the agent tells its counters; port 0: nowhere */
	uint32_t max_pending_per_pod;
	struct config_destination destinations[CONFIG_MAX_DESTINATIONS];
	size_t n_destinations;
	bool audit; /* count and report what would be refused, refuse nothing */
	bool fail_open; /* once the agent's lease has ended, pass to the real address */
	struct config_policy_rule policy[CONFIG_MAX_POLICY]; /* the first that matches decides */
	size_t n_policy;
};

#define CONFIG_FILE_MAX (1 << 20) /* bytes */

/* What podcred does without a file: the three AWS credential services, no agent yet. */
void config_default(struct config *ret);

/* The file's settings over the defaults; a list of destinations replaces the default one.
 * On error *ret is untouched and err says file, line, what is wrong and what to write. */
int config_load(const char *path, struct config *ret, struct pc_err *err);

/* The same from an open file, from its beginning; name is for messages. */
int config_read(int fd, const char *name, struct config *ret, struct pc_err *err);

/* Set agent_v4 or agent_v6 from "ADDRESS:PORT". Refuses loopback, wildcard and link-local
 * addresses, which no pod can reach. -EINVAL with err filled. */
int config_set_agent(struct config *config, const char *text, struct pc_err *err);

/* Set metrics from "ADDRESS:PORT" or "off". -EINVAL with err filled. */
int config_set_metrics(struct config *config, const char *text, struct pc_err *err);

/* What the policy says of a pod. Without a namespace (a pod whose name is not known) always
 * redirect. An empty service account (static pods have none) is matched by no rule that names one. */
enum config_policy_action config_policy_for(const struct config *config, const char *name_space,
					    const char *service_account);
