// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "daemon/run.h"
#include "kernel/load.h"

int cmd_run(const struct cli_command *self, int argc, char **argv)
{
	struct cli_setup setup = {};
	struct run_options run = {};
	bool verbose = false;
	const struct cli_option options[] = {
		CLI_SETUP(setup),
		CLI_WITHOUT(setup),
		CLI_SOURCE(run.source),
		CLI_METRICS(run.metrics),
		{"associations", "FILE", "which service account gets which credentials (required)",
		 &run.associations, NULL, NULL},
		{"token-key", "FILE", "key that keeps IMDS session tokens valid across restarts",
		 &run.token_key, NULL, NULL},
		{"user", "USER", "user that the agent switches to (default: podcred, or 60777)",
		 &run.user, NULL, NULL},
		{"fetch-user", "USER",
		 "user that podcred fetch switches to (default: podcred-fetch, or 60778)",
		 &run.fetch_user, NULL, NULL},
		{"require-authorization", NULL, "refuse Pod Identity requests without a token",
		 NULL, &run.require_authorization, NULL},
		{"keep", NULL, "leave the guard attached when stopped", NULL, &run.keep, NULL},
		{"verbose", NULL, "show what libbpf and the verifier say", NULL, &verbose, NULL},
		CLI_LOG(setup),
	};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	log_queue();
	kern_verbose(verbose);
	r = cli_setup_finish(&setup, &err);
	r = r ?: cli_check_node_source(&setup, &err);
	if (r == 0 && !run.associations)
		r = pc_err_set(&err, -EINVAL,
			       "no associations: nobody would get credentials; give --associations "
			       "FILE");
	if (r == 0 && !setup.config.agent_v4.port && !setup.config.agent_v6.port)
		r = daemon_run_default_agent(&setup.config, &err);
	run.place = setup.place;
	run.config_path = setup.config_path;
	run.log_json = setup.log_json;
	run.log_debug = setup.log_debug;
	if (r == 0)
		r = daemon_run(&run, &err);
	return r < 0 ? cli_fail(false, r, &err) : 0;
}
