// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "daemon/resolve.h"
#include "daemon/supervised.h"
#include "kernel/load.h"

int cmd_resolve(const struct cli_command *self, int argc, char **argv)
{
	struct resolver_options resolve = {.conflict_s = RESOLVER_CONFLICT_S};
	const char *conflict = NULL;
	struct cli_setup setup = {.program = daemon_is_supervised() ? "podcred-resolve" : NULL};
	const struct cli_option options[] = {
		{"config", "FILE", "configuration: the policy", &resolve.config_path, NULL, NULL},
		CLI_SOURCE(resolve.source),
		{"kubepods", "DIR", "kubepods cgroup (default: the guarded one)", &resolve.kubepods,
		 NULL, NULL},
		CLI_METRICS(resolve.metrics),
		{"fetch-socket", "PATH", "tell the agent there which pods have ended",
		 &resolve.fetch_socket, NULL, NULL},
		{"standby", NULL, "wait for the resolver that is at work to end, for updates", NULL,
		 &resolve.standby, NULL},
		{"conflict-seconds", "N", "how long a disputed connection key is unusable (300)",
		 &conflict, NULL, NULL},
		CLI_PIN_DIR(resolve.pin_dir),
		CLI_LOG(setup),
	};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	log_queue();
	cli_setup_log(&setup);
	if (!resolve.pin_dir)
		resolve.pin_dir = KERN_PIN_DIR;
	if (conflict &&
	    (parse_u64(conflict, 86400, &resolve.conflict_s) < 0 || !resolve.conflict_s))
		r = pc_err_set(&err, -EINVAL,
			       "--conflict-seconds \"%s\" is not a number from 1 to 86400",
			       conflict);
	if (r == 0)
		r = daemon_resolve(&resolve, &err);
	return r < 0 ? cli_fail(false, r, &err) : 0;
}
