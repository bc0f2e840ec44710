/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the commands that need to know where things are: load and run. */
#pragma once

#include "cli/cli.h"
#include "config/config.h"
#include "node/layout.h"

struct cli_setup {
	struct layout_options place;
	struct config config;
	const char *config_path;
	struct cli_values agents, without;
	const char *program; /* in the log; NULL: podcred */
	bool log_json, log_debug;
};

#define CLI_SETUP(s)                                                                                 \
	{"config",	   "FILE", "configuration (default: the AWS addresses)",                     \
	 &(s).config_path, NULL,   NULL},                                                            \
		{"agent", "ADDRESS:PORT", "where the agent listens, reachable from every pod",       \
		 NULL,	  NULL,		  &(s).agents},                                              \
		{"cgroup",	    "DIR", "guarded cgroup (default: kubepods)",                     \
		 &(s).place.cgroup, NULL,  NULL},                                                    \
		{"kubepods",	      "DIR", "kubepods cgroup (default: searched for)",              \
		 &(s).place.kubepods, NULL,  NULL},                                                  \
		{"create",	    NULL, "create the --kubepods cgroup if it does not exist", NULL, \
		 &(s).place.create, NULL},                                                           \
		{"force",	   NULL, "guard --kubepods even if pods run in another", NULL,       \
		 &(s).place.force, NULL},                                                            \
		{"agent-cgroup",                                                                     \
		 "DIR",                                                                              \
		 "the agent's cgroup (default: own pod, else podcred.slice)",                        \
		 &(s).place.agent_cgroup,                                                            \
		 NULL,                                                                               \
		 NULL},                                                                              \
		CLI_PIN_DIR((s).place.pin_dir)

/* For those that load programs. */
#define CLI_WITHOUT(s)                                                                             \
	{                                                                                          \
		"without", "FEATURE", "do without an optional kernel feature", NULL, NULL,         \
			&(s).without                                                               \
	}

/* Of whoever resolves. */
#define CLI_SOURCE(s)                                                                              \
	{"pods", "FILE", "names of the pods: PodList, JSON or YAML", &(s).pods, NULL, NULL},       \
		{"kubeconfig",                                                                     \
		 "FILE",                                                                           \
		 "or by the Kubernetes API (default in a pod: its service account)",               \
		 &(s).kubeconfig,                                                                  \
		 NULL,                                                                             \
		 NULL},                                                                            \
		{"context",    "NAME", "context of the kubeconfig (default: its current one)",     \
		 &(s).context, NULL,   NULL},                                                      \
	{                                                                                          \
		"node", "NAME",                                                                    \
			"this node's name in the API (default: $NODE_NAME, else the host's)",      \
			&(s).node, NULL, NULL                                                      \
	}

#define CLI_METRICS(variable)                                                                      \
	{                                                                                          \
		"metrics", "FILE", "write the counters there, for node_exporter", &(variable),     \
			NULL, NULL                                                                 \
	}

/* Logging options of the daemons. */
#define CLI_LOG(s)                                                                                 \
	{"log-json", NULL, "log JSON lines", NULL, &(s).log_json, NULL},                           \
	{                                                                                          \
		"debug", NULL, "log more", NULL, &(s).log_debug, NULL                              \
	}

/* Read the configuration, lay the options over it, set up the log. -errno. */
int cli_setup_finish(struct cli_setup *setup, struct pc_err *err);

/* The value of an option that is an address to listen on. -EINVAL. */
int cli_read_address(const char *option, const char *text, struct net_addr *ret,
		     struct pc_err *err);

/* Of a process on a node: whether it may have that source of credentials. -EINVAL. */
int cli_check_node_source(const struct cli_setup *setup, struct pc_err *err);

void cli_setup_log(const struct cli_setup *setup);
