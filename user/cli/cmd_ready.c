// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "doctor/ready.h"

/* A kubelet does not expand $(VAR) in the command of a probe where the value is a field of the pod. */
static void read_environment(struct cli_setup *setup, const char **pod_uid)
{
	const char *agent = getenv("PODCRED_AGENT");

	if (agent && !setup->agents.n && !setup->config_path)
		setup->agents.v[setup->agents.n++] = agent;
	if (!*pod_uid)
		*pod_uid = getenv("PODCRED_POD_UID");
}

static int ready_agent(struct cli_setup *setup, const char *pod_uid, struct pc_err *err)
{
	struct net_addr agents[2];
	size_t n = 0;
	int r;

	read_environment(setup, &pod_uid);
	r = cli_setup_finish(setup, err);
	if (r < 0)
		return r;
	if (setup->config.agent_v4.port)
		agents[n++] = setup->config.agent_v4;
	if (setup->config.agent_v6.port)
		agents[n++] = setup->config.agent_v6;
	if (!n)
		return pc_err_set(err, -EINVAL,
				  "whose readiness? give --agent ADDRESS:PORT, or --resolver");
	return doctor_ready_agent(agents, n, pod_uid, err);
}

int cmd_ready(const struct cli_command *self, int argc, char **argv)
{
	struct cli_setup setup = {};
	const char *pod_uid = NULL;
	bool resolver = false, json = false;
	const struct cli_option options[] = {
		{"config", "FILE", "configuration: the agent's address", &setup.config_path, NULL,
		 NULL},
		{"agent", "ADDRESS:PORT", "ask the agent there (default: $PODCRED_AGENT)", NULL,
		 NULL, &setup.agents},
		{"pod-uid", "UID",
		 "it has to be this pod's, and to know this pod (default: $PODCRED_POD_UID)",
		 &pod_uid, NULL, NULL},
		{"resolver", NULL, "ask for the resolver, not for the agent", NULL, &resolver,
		 NULL},
		CLI_PIN_DIR(setup.place.pin_dir),
		CLI_JSON(json),
	};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	r = resolver ? doctor_ready_resolver(setup.place.pin_dir ?: KERN_PIN_DIR, &err)
		     : ready_agent(&setup, pod_uid, &err);
	if (r < 0)
		return cli_fail(json, r, &err);
	if (json)
		return cli_print_json(json_pack("{sb}", "ready", true));
	printf("ready\n");
	return 0;
}
