// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"

const struct cli_command cli_commands[] = {
	{"load", cmd_load, "attach the guard and pin it; upgrade it in place"},
	{"unload", cmd_unload, "detach the guard and remove every pin"},
	{"run", cmd_run, "load, resolve and serve in one process tree"},
	{"resolve", cmd_resolve, "keep the map of pods up to date (daemon)"},
	{"serve", cmd_serve, "hand out credentials (daemon, unprivileged)"},
	{"fetch", cmd_fetch, "get credentials from AWS for serve (daemon, unprivileged)"},
	{"control", cmd_control,
	 "the associations as an API, and the webhook (daemon of a cluster)"},
	{"broker", cmd_broker, "credentials of pods for the agents of all nodes (daemon)"},
	{"issuer", cmd_issuer, "what the broker publishes as an OIDC issuer, as files"},
	{"status", cmd_status, "what is attached, as the kernel reports it, and the counters"},
	{"trace", cmd_trace, "refusals, or all decisions, as they are made"},
	{"metrics", cmd_metrics, "the counters for Prometheus"},
	{"pods", cmd_pods, "pods that the kernel knows"},
	{"peers", cmd_peers, "live connections to the agent, and whose they are"},
	{"flows", cmd_flows, "connections that the agent has not accepted yet"},
	{"targets", cmd_targets, "guarded destinations and what happens to them"},
	{"explain", cmd_explain, "what would happen to a pod's connection, and why"},
	{"doctor", cmd_doctor, "check what silently breaks podcred on this node"},
	{"host", cmd_host, "install the guard on the host, so that it is there before the kubelet"},
	{"ready", cmd_ready, "whether agent or resolver work, for probes of the kubelet"},
	{"features", cmd_features, "what this kernel supports, and what is lost without it"},
	{"association", cmd_association,
	 "associations, with the options of \"aws eks\": create, list, describe, ..."},
	{"associate-service-account-role", cmd_associate,
	 "association create, as older guides call it"},
	{"migrate", cmd_migrate, "annotations of IRSA, kube2iam and kiam as associations"},
	{"trust-policy", cmd_trust_policy, "the trust policy that a role needs"},
	{"check-config", cmd_check_config, "check configuration files, change nothing"},
	{"version", cmd_version, "version of podcred and libbpf"},
	{},
};

static int usage(FILE *out)
{
	fprintf(out, "usage: podcred COMMAND [OPTIONS]\n\n"
		     "Tells which pod is at the other end of a socket, and hands out its cloud\n"
		     "credentials.\n\nCommands:\n");
	for (const struct cli_command *c = cli_commands; c->name; c++)
		fprintf(out, "  %-13s %s\n", c->name, c->brief);
	fprintf(out,
		"\npodcred COMMAND --help lists a command's options. Without a command: status.\n"
		"Exit status: 0 ok, 1 failed, 2 wrong usage, 3 no rights to check everything.\n");
	return out == stdout ? 0 : EXIT_USAGE;
}

/* Whatever is opened next would get the number of a standard stream that is closed, and be written
 * to as one. Nothing but stderr may be missing without an error. */
static void open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int mode = fd == STDERR_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode) < 0 &&
		    open("/", O_RDONLY | O_DIRECTORY) < 0)
			abort();
	}
}

static int run(int argc, char **argv)
{
	static char *const bare[] = {(char *)"status", NULL};
	const char *name = argc > 1 ? argv[1] : "status";

	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
		return usage(stdout);
	if (!strcmp(name, "--version"))
		name = "version";
	for (const struct cli_command *c = cli_commands; c->name; c++) {
		if (strcmp(c->name, name) != 0)
			continue;
		return argc > 1 ? c->run(c, argc - 1, argv + 1) : c->run(c, 1, (char **)bare);
	}
	log_error("unknown command \"%s\"; podcred --help lists them", name);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	int status;

	open_standard_streams();
	signal(SIGPIPE, SIG_IGN); /* a reader that is gone ends nobody */
	log_setup("podcred", LOG_LEVEL_INFO, false);
	status = cli_flush(run(argc, argv));
	log_stop();
	return status;
}
