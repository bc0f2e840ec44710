// SPDX-License-Identifier: Apache-2.0
/* podcred on the host: what an init container of the DaemonSet leaves for the next boot. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "host/host.h"

#define CONFIG_SIZE_MAX (1 << 20)
#define CGROUP_MOUNT	"/sys/fs/cgroup"
/* --create, up to five paths, two words for each value of --agent and --without */
#define LOAD_WORDS (1 + 5 * 2 + 2 * 2 * CLI_MAX_VALUES + 1)

struct host_command {
	struct cli_setup setup;
	struct host_options options;
	bool json, best_effort;
	const char *load[LOAD_WORDS];
	size_t n_load;
	char *kubepods, *config;
};

static void command_done(struct host_command *command)
{
	free(command->kubepods);
	free(command->config);
}

static void add(struct host_command *command, const char *option, const char *value)
{
	if (!value)
		return;
	command->load[command->n_load++] = option;
	command->load[command->n_load++] = value;
}

/* Where systemd mounts it at boot. */
static int check_kubepods(const struct host_command *command, struct pc_err *err)
{
	if (!strncmp(command->kubepods, CGROUP_MOUNT "/", strlen(CGROUP_MOUNT "/")))
		return 0;
	return pc_err_set(
		err, -EINVAL,
		"%s is not where the host has its kubepods at boot; mount the host's " CGROUP_MOUNT
		" at the same place, or give --kubepods",
		command->kubepods);
}

/* What load would do now is what it has to do at boot, when there is no pod to see it by. */
static int fill_load(struct host_command *command, struct pc_err *err)
{
	const struct cli_setup *setup = &command->setup;
	int r = setup->place.kubepods && (command->kubepods = strdup(setup->place.kubepods))
			? 0
			: node_layout_find_kubepods(&setup->place, &command->kubepods, err);

	if (r == 0)
		r = check_kubepods(command, err);
	if (r < 0)
		return r;
	command->load[command->n_load++] = "--create";
	add(command, "--kubepods", command->kubepods);
	add(command, "--cgroup", setup->place.cgroup);
	add(command, "--agent-cgroup", setup->place.agent_cgroup);
	add(command, "--pin-dir", setup->place.pin_dir);
	for (size_t i = 0; i < setup->agents.n; i++)
		add(command, "--agent", setup->agents.v[i]);
	for (size_t i = 0; i < setup->without.n; i++)
		add(command, "--without", setup->without.v[i]);
	command->options.load = command->load;
	return 0;
}

static int read_config(struct host_command *command, struct pc_err *err)
{
	const char *path = command->setup.config_path;
	int r = path ? file_read(path, CONFIG_SIZE_MAX, &command->config, NULL) : 0;

	command->options.config = command->config;
	return r < 0 ? pc_err_set(err, r, "cannot read %s: %s", path, strerror(-r)) : 0;
}

static int prepare(struct host_command *command, struct pc_err *err)
{
	const struct config *config = &command->setup.config;
	int r = cli_setup_finish(&command->setup, err);

	if (r == 0 && !config->agent_v4.port && !config->agent_v6.port)
		r = pc_err_set(err, -EINVAL,
			       "no agent address: the next boot could not redirect pods; give "
			       "--agent ADDRESS:PORT, or \"agent:\" in the configuration");
	if (r == 0)
		r = read_config(command, err);
	return r < 0 ? r : fill_load(command, err);
}

static int install(struct host_command *command, struct pc_err *err)
{
	const char *dir = command->options.dir;
	struct host_report report = {};
	int r = prepare(command, err);

	if (r == 0)
		r = host_install(&command->options, &report, err);
	if (r < 0)
		return r;
	if (command->json)
		return cli_print_json(json_pack("{sssssbsb}", "directory", dir, "version",
						report.version_dir, "changed", report.changed,
						"replaced", report.replaced));
	if (!report.changed)
		printf("%s/%s is installed already, as it is\n", dir, report.version_dir);
	else
		printf("installed %s/%s: at the next boot podcred-load.service guards %s before "
		       "the "
		       "kubelet starts\n",
		       dir, report.version_dir, command->kubepods);
	return 0;
}

static int uninstall(struct host_command *command, struct pc_err *err)
{
	bool removed = false;
	int r = host_uninstall(&command->options, &removed, err);

	if (r < 0)
		return r;
	if (command->json)
		return cli_print_json(json_pack("{sb}", "removed", removed));
	printf("%s\n", removed ? "removed from the host; the guard that is attached stays until "
				 "podcred unload"
			       : "nothing was installed");
	return 0;
}

static int print_state(const struct host_command *command, const struct host_state *state)
{
	if (!state->program && !state->unit)
		printf("not installed: the next boot starts without a guard\n");
	else
		printf("installed  %s/%s%s\nunit       %s\n", command->options.dir,
		       state->version_dir,
		       !state->program ? ": gone; podcred host install"
		       : state->same   ? ""
				       : ": not this program; podcred host install",
		       !state->unit	? "gone; podcred host install"
		       : state->enabled ? "enabled"
					: "disabled; podcred host install");
	return 0;
}

/* 1: the next boot would not be guarded, or not by this version. */
static int status(struct host_command *command, struct pc_err *err)
{
	struct host_state state = {};
	int r = host_read_state(&command->options, &state, err);

	if (r < 0)
		return r;
	if (command->json)
		cli_print_json(json_pack("{sbsbsbsbss}", "installed", state.program, "same",
					 state.same, "unit", state.unit, "enabled", state.enabled,
					 "version", state.version_dir));
	else
		print_state(command, &state);
	return state.program && state.same && state.unit && state.enabled ? 0 : 1;
}

static int run(struct host_command *command, const char *action, struct pc_err *err)
{
	if (!strcmp(action, "install"))
		return install(command, err);
	if (!strcmp(action, "uninstall"))
		return uninstall(command, err);
	return status(command, err);
}

static bool is_action(const char *action)
{
	return !strcmp(action, "install") || !strcmp(action, "uninstall") ||
	       !strcmp(action, "status");
}

/* The guard of this boot is what counts: a node where nothing can be installed may have that. */
static int fail(const struct host_command *command, int code, const struct pc_err *err)
{
	if (!command->best_effort)
		return cli_fail(command->json, code, err);
	log_warn("%s; the next boot starts without a guard until the DaemonSet runs", err->msg);
	return 0;
}

int cmd_host(const struct cli_command *self, int argc, char **argv)
{
	_cleanup_(command_done) struct host_command command = {};
	struct cli_setup *setup = &command.setup;
	const struct cli_option options[] = {
		{"root", "DIR", "where the host's / is mounted (default /)", &command.options.root,
		 NULL, NULL},
		{"dir", "DIR", "install there, a path of the host (default " HOST_DIR ")",
		 &command.options.dir, NULL, NULL},
		{"config", "FILE", "configuration, copied to the host", &setup->config_path, NULL,
		 NULL},
		{"agent", "ADDRESS:PORT", "as for load", NULL, NULL, &setup->agents},
		{"cgroup", "DIR", "as for load", &setup->place.cgroup, NULL, NULL},
		{"kubepods", "DIR", "as for load", &setup->place.kubepods, NULL, NULL},
		{"agent-cgroup", "DIR", "as for load, at boot (default: podcred.slice)",
		 &setup->place.agent_cgroup, NULL, NULL},
		CLI_PIN_DIR(setup->place.pin_dir),
		CLI_WITHOUT(*setup),
		{"best-effort", NULL, "warn, and exit with 0, where it cannot be installed", NULL,
		 &command.best_effort, NULL},
		CLI_JSON(command.json),
	};
	struct pc_err err = {};
	int n = 0, r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 1,
				 "install|uninstall|status", &n);

	if (r)
		return r - 1;
	if (n != 1 || !is_action(argv[1])) {
		fprintf(stderr,
			"podcred host: say install, uninstall or status; podcred host --help\n");
		return EXIT_USAGE;
	}
	command.options.root = command.options.root ?: "/";
	command.options.dir = command.options.dir ?: HOST_DIR;
	r = run(&command, argv[1], &err);
	return r < 0 ? fail(&command, r, &err) : r;
}
