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
#include "config/broker.h"
#include "config/credentials.h"
#include "config/webhook.h"

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

/* From the one that gives a pod most to the one that gives it least: max() of two is the stricter. */
enum config_policy_action {
	CONFIG_POLICY_EXEMPT, /* goes to the real address */
	CONFIG_POLICY_AUDIT, /* redirected; what would be refused goes to the real address */
	CONFIG_POLICY_REDIRECT, /* as pods that no rule matches */
	CONFIG_POLICY_DENY, /* gets no credentials at all */
};

enum config_choice {
	CONFIG_NO,
	CONFIG_YES,
	CONFIG_EITHER,
};

enum config_operator {
	CONFIG_IN,
	CONFIG_NOT_IN, /* or the pod has no such label */
	CONFIG_EXISTS,
	CONFIG_DOES_NOT_EXIST,
};

/* What a rule wants of one label. Its key, then its values, each with its NUL, are in config.text. */
struct config_requirement {
	uint32_t at;
	uint16_t n_values;
	uint8_t operator; /* enum config_operator */
};

struct config_policy_rule {
	char name_space[K8S_LABEL_SIZE]; /* empty: any */
	char service_account[K8S_SUBDOMAIN_SIZE]; /* empty: any, and none */
	uint8_t host_network; /* enum config_choice */
	uint16_t first_requirement, n_requirements; /* all of them must be met */
	enum config_policy_action action;
	bool imdsv2; /* no IMDS without a session token */
	bool annotations; /* of the pod may tighten this */
	size_t line; /* of the file */
};

#define CONFIG_MAX_POLICY	128
#define CONFIG_MAX_REQUIREMENTS 512 /* of all rules */
#define CONFIG_MAX_TEXT		32768

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
	struct config_requirement requirements[CONFIG_MAX_REQUIREMENTS];
	size_t n_requirements;
	char text[CONFIG_MAX_TEXT];
	size_t text_len;
	struct config_credentials credentials;
	struct config_webhook webhook;
	struct config_broker broker;
};

#define CONFIG_FILE_MAX (1 << 20) /* bytes */

/* What podcred does without a file: the AWS credential services, no agent yet. */
void config_default(struct config *ret);

/* The file's settings over the defaults; a list of destinations replaces the default one.
 * On error *ret is untouched and err says file, line, what is wrong and what to write. */
int config_load(const char *path, struct config *ret, struct pc_err *err);

/* The same from an open file, from its beginning, also while others read it; name is for messages. */
int config_read(int fd, const char *name, struct config *ret, struct pc_err *err);

/* Set agent_v4 or agent_v6 from "ADDRESS:PORT". Refuses loopback, wildcard and link-local
 * addresses, which no pod can reach. -EINVAL with err filled. */
int config_set_agent(struct config *config, const char *text, struct pc_err *err);

/* Set metrics from "ADDRESS:PORT" or "off". -EINVAL with err filled. */
int config_set_metrics(struct config *config, const char *text, struct pc_err *err);

struct config_verdict {
	enum config_policy_action action;
	bool imdsv2;
	bool annotated; /* the pod's annotations have made it stricter */
	size_t line; /* of the rule that decided; 0: none */
};

/* A pod as the policy looks at it. */
struct config_pod {
	const char *name_space; /* empty: its name is not known */
	const char *
		service_account; /* empty: it has none (static pods), and matches no rule that names one */
	bool host_network;
	const char *labels; /* KEY NUL VALUE NUL, up to an empty key; NULL: not known */
	bool asks_deny, asks_redirect, asks_imdsv2; /* its annotations */
	const struct config_verdict
		*before; /* while its labels are not known yet: what was said of it
					      * when they were; else NULL */
};

/*
 * What the policy says of a pod: the first rule that matches, else redirect; and redirect for a pod without a
 * name. When its labels are not known, several rules may be that first one. Then what was said before holds, if
 * one of them says it, and else the strictest of them decides.
 */
struct config_verdict config_policy_for(const struct config *config, const struct config_pod *pod);
