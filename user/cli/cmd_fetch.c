// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "daemon/fetch.h"
#include "daemon/supervised.h"

static int check_socket(const char *path, struct pc_err *err)
{
	if (!path && !daemon_is_supervised())
		return pc_err_set(err, -EINVAL,
				  "no agent to work for; give --socket PATH, as podcred serve has "
				  "--fetch-socket");
	if (path && strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return pc_err_set(
			err, -ENAMETOOLONG,
			"--socket: the path of a socket has 107 characters at most; give a "
			"shorter one");
	return 0;
}

int cmd_fetch(const struct cli_command *self, int argc, char **argv)
{
	struct daemon_fetch_options fetch = {};
	struct cli_setup setup = {.program = daemon_is_supervised() ? "podcred-fetch" : NULL};
	const struct cli_option options[] = {
		{"socket", "PATH", "where podcred serve listens with --fetch-socket (required)",
		 &fetch.socket, NULL, NULL},
		{"config", "FILE", "configuration: its section credentials", &setup.config_path,
		 NULL, NULL},
		{"associations", "FILE", "which service account gets which role",
		 &fetch.associations, NULL, NULL},
		{"kubeconfig", "FILE", "the Kubernetes API (default in a pod: its service account)",
		 &fetch.kubeconfig, NULL, NULL},
		{"context", "NAME", "context of the kubeconfig (default: its current one)",
		 &fetch.context, NULL, NULL},
		{"node", "NAME", "this node's name in the API (default: $NODE_NAME)", &fetch.node,
		 NULL, NULL},
		{"user", "USER", "switch to that user, a name or a number", &fetch.user, NULL,
		 NULL},
		CLI_LOG(setup),
	};
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	log_queue();
	r = cli_setup_finish(&setup, &err);
	r = r ?: cli_check_node_source(&setup, &err);
	if (r == 0)
		r = check_socket(fetch.socket, &err);
	fetch.config = &setup.config;
	fetch.config_path = setup.config_path;
	if (r == 0)
		r = daemon_fetch(&fetch, &err);
	return r < 0 ? cli_fail(false, r, &err) : r;
}
