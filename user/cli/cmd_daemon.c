// SPDX-License-Identifier: Apache-2.0
/* resolve and serve: the daemons, one by one. */
#include <errno.h>

#include "cleanup.h"
#include "cli.h"
#include "loader.h"
#include "log.h"
#include "parse.h"
#include "resolve.h"
#include "serve.h"
#include "setup.h"
#include "supervised.h"

int cmd_resolve(const struct cli_command *self, int argc, char **argv)
{
	struct resolve_options resolve = {.conflict_s = RESOLVE_CONFLICT_S};
	const char *conflict = NULL;
	struct cli_setup setup = {.program = supervised() ? "podcred-resolve" : NULL};
	const struct cli_option options[] = {
		{"config", "FILE", "configuration: the policy", &resolve.config_path, NULL, NULL},
		{"pods", "FILE", "PodList, JSON or YAML: names of the pods", &resolve.pods, NULL,
		 NULL},
		{"kubepods", "DIR", "kubepods cgroup (default: the guarded one)", &resolve.kubepods,
		 NULL, NULL},
		CLI_METRICS(resolve.metrics),
		{"conflict-seconds", "N", "how long a disputed connection key stamps nobody (300)",
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
		resolve.pin_dir = LOADER_PIN_DIR;
	if (conflict &&
	    (parse_u64(conflict, 86400, &resolve.conflict_s) < 0 || !resolve.conflict_s))
		r = pc_err_set(&err, -EINVAL,
			       "--conflict-seconds \"%s\" is not a number from 1 to 86400",
			       conflict);
	if (r == 0)
		r = resolve_run(&resolve, &err);
	return r < 0 ? cli_fail(false, r, &err) : 0;
}

int cmd_serve(const struct cli_command *self, int argc, char **argv)
{
	struct serve_options serve = {};
	struct cli_setup setup = {.program = supervised() ? "podcred-serve" : NULL};
	const struct cli_option options[] = {
		{"config", "FILE", "configuration: the agent's address", &setup.config_path, NULL,
		 NULL},
		{"agent", "ADDRESS:PORT", "listen here", NULL, NULL, &setup.agents},
		{"associations", "FILE", "which service account gets what (required)",
		 &serve.associations, NULL, NULL},
		{"token-key", "FILE", "keeps IMDS session tokens valid over a restart",
		 &serve.token_key, NULL, NULL},
		{"user", "USER", "become that user, name or number", &serve.user, NULL, NULL},
		{"require-authorization", NULL, "refuse Pod Identity requests without a token",
		 NULL, &serve.require_authorization, NULL},
		CLI_LOG(setup),
	};
	struct net_addr listen[SERVE_LISTEN_MAX];
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	log_queue();
	r = cli_setup_finish(&setup, &err);
	if (setup.config.agent_v4.port)
		listen[serve.n_listen++] = setup.config.agent_v4;
	if (setup.config.agent_v6.port)
		listen[serve.n_listen++] = setup.config.agent_v6;
	serve.listen = listen;
	if (r == 0 && !serve.n_listen)
		r = pc_err_set(&err, -EINVAL, "no address to listen on; give --agent ADDRESS:PORT");
	if (r == 0 && !serve.associations)
		r = pc_err_set(&err, -EINVAL,
			       "no associations: nobody would get credentials; give --associations "
			       "FILE");
	if (r == 0)
		r = serve_run(&serve, &err);
	return r < 0 ? cli_fail(false, r, &err) : 0;
}
