// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "daemon/serve.h"
#include "daemon/supervised.h"

static int check(const struct serve_options *serve, struct pc_err *err)
{
	if (!serve->n_listen)
		return pc_err_set(err, -EINVAL,
				  "no address to listen on; give --agent ADDRESS:PORT");
	if (!serve->associations)
		return pc_err_set(
			err, -EINVAL,
			"no associations: nobody would get credentials; give --associations FILE");
	if (serve->jwks && serve->credentials->tokens.verify != CONFIG_VERIFY_JWKS)
		return pc_err_set(err, -EINVAL,
				  "--jwks verifies tokens, and the configuration has another word "
				  "for credentials.tokens.verify; write jwks there, or leave "
				  "--jwks out");
	return 0;
}

int cmd_serve(const struct cli_command *self, int argc, char **argv)
{
	struct serve_options serve = {};
	const char *metrics = NULL;
	struct cli_setup setup = {.program = daemon_is_supervised() ? "podcred-serve" : NULL};
	const struct cli_option options[] = {
		{"config", "FILE", "configuration: the agent's address, and that of its metrics",
		 &setup.config_path, NULL, NULL},
		{"agent", "ADDRESS:PORT", "listen here", NULL, NULL, &setup.agents},
		{"metrics-address", "ADDRESS:PORT",
		 "where the metrics are, or off (default: as the configuration says)", &metrics,
		 NULL, NULL},
		{"associations", "FILE", "which service account gets which credentials (required)",
		 &serve.associations, NULL, NULL},
		{"token-key", "FILE", "key that keeps IMDS session tokens valid across restarts",
		 &serve.token_key, NULL, NULL},
		{"node-metrics", "FILE", "what the resolver writes with --metrics; passed on",
		 &serve.node_metrics, NULL, NULL},
		{"user", "USER", "switch to that user, a name or a number", &serve.user, NULL,
		 NULL},
		{"fetch-socket", "PATH",
		 "listen there for podcred fetch, which gets what the associations do not hold",
		 &serve.fetch_socket, NULL, NULL},
		{"fetch-user", "USER",
		 "who may be podcred fetch, a name or a number (default: podcred-fetch)",
		 &serve.fetch_user, NULL, NULL},
		{"pod-uid", "UID", "uid of the agent's own pod, which /readyz tells",
		 &serve.pod_uid, NULL, NULL},
		{"handover", NULL, "take over from a running agent of the same user, for updates",
		 NULL, &serve.handover, NULL},
		{"require-authorization", NULL, "refuse Pod Identity requests without a token",
		 NULL, &serve.require_authorization, NULL},
		{"jwks", "FILE", "verify tokens of Pod Identity with the cluster's keys in it",
		 &serve.jwks, NULL, NULL},
		CLI_LOG(setup),
	};
	struct net_addr listen[SERVE_LISTEN_MAX];
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	log_queue();
	r = cli_setup_finish(&setup, &err);
	r = r ?: cli_check_node_source(&setup, &err);
	if (r == 0 && metrics)
		r = config_set_metrics(&setup.config, metrics, &err);
	if (setup.config.agent_v4.port)
		listen[serve.n_listen++] = setup.config.agent_v4;
	if (setup.config.agent_v6.port)
		listen[serve.n_listen++] = setup.config.agent_v6;
	serve.listen = listen;
	serve.metrics = setup.config.metrics;
	serve.credentials = &setup.config.credentials;
	r = r ?: check(&serve, &err);
	if (r == 0)
		r = daemon_serve(&serve, &err);
	return r < 0 ? cli_fail(false, r, &err) : 0;
}
