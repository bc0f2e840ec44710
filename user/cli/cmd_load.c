// SPDX-License-Identifier: Apache-2.0
/* load, unload, run: the commands that change what is attached. */
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"
#include "config.h"
#include "ifaces.h"
#include "loader.h"
#include "older.h"
#include "place.h"
#include "run.h"
#include "setup.h"

static int print_load(const struct place *place, const struct loader_report *report,
		      const struct reset_report *older)
{
	if (report->mounted_bpffs)
		printf("mounted a BPF file system on /sys/fs/bpf\n");
	printf("guarding %s (kubepods %s)\nagent cgroup %s\n", place->guard, place->kubepods,
	       place->agent_cgroup);
	if (older->found)
		printf("%u older connections of pods ended, %u could not be: their packets are "
		       "dropped\n",
		       older->destroyed, older->failed);
	printf("%u programs attached, %u updated in place\n", report->attached, report->updated);
	return 0;
}

static json_t *json_load(const struct place *place, const struct loader_report *report,
			 const struct reset_report *older)
{
	return json_pack("{sssssssbsisisis{sisi}}", "guard", place->guard, "kubepods",
			 place->kubepods, "agentCgroup", place->agent_cgroup, "mountedBpffs",
			 report->mounted_bpffs, "attached", report->attached, "updated",
			 report->updated, "interfaces", report->interfaces, "olderConnections",
			 "ended", older->destroyed, "failed", older->failed);
}

int cmd_load(const struct cli_command *self, int argc, char **argv)
{
	struct cli_setup setup = {};
	bool json = false, verbose = false;
	const struct cli_option options[] = {
		CLI_SETUP(setup),
		CLI_WITHOUT(setup),
		{"verbose", NULL, "show what libbpf and the verifier say", NULL, &verbose, NULL},
		CLI_JSON(json),
	};
	struct loader_report report = {};
	struct reset_report older = {};
	struct pc_err err = {};
	struct place place = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	loader_verbose(verbose);
	r = cli_setup_finish(&setup, &err);
	if (r == 0)
		r = place_find(&setup.place, &place, &err);
	if (r == 0)
		r = loader_load(&place.loader, &report, &err);
	if (r == 0) {
		report.interfaces = (unsigned)ifaces_attach(place.loader.pin_dir);
		loader_iface_settle(place.loader.pin_dir);
		older_reset(&place, &older);
	}
	if (r < 0)
		r = cli_fail(json, r, &err);
	else if (json)
		r = cli_print_json(json_load(&place, &report, &older));
	else
		r = print_load(&place, &report, &older);
	place_done(&place);
	return r;
}

int cmd_unload(const struct cli_command *self, int argc, char **argv)
{
	const char *pin_dir = NULL;
	bool json = false;
	const struct cli_option options[] = {CLI_PIN_DIR(pin_dir), CLI_JSON(json)};
	struct pc_err err = {};
	unsigned removed = 0;
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	r = loader_unload(pin_dir ?: LOADER_PIN_DIR, &removed, &err);
	if (r < 0)
		return cli_fail(json, r, &err);
	if (json)
		return cli_print_json(json_pack("{si}", "detached", removed));
	if (removed)
		printf("%u programs detached; nothing is guarded any more\n", removed);
	else
		printf("nothing was attached\n");
	return 0;
}

int cmd_run(const struct cli_command *self, int argc, char **argv)
{
	struct cli_setup setup = {};
	struct run_options run = {};
	bool verbose = false;
	const struct cli_option options[] = {
		CLI_SETUP(setup),
		CLI_WITHOUT(setup),
		{"pods", "FILE", "PodList, JSON or YAML: names of the pods", &run.pods, NULL, NULL},
		CLI_METRICS(run.metrics),
		{"associations", "FILE", "which service account gets what (required)",
		 &run.associations, NULL, NULL},
		{"token-key", "FILE", "keeps IMDS session tokens valid over a restart",
		 &run.token_key, NULL, NULL},
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
	loader_verbose(verbose);
	r = cli_setup_finish(&setup, &err);
	if (r == 0 && !run.associations)
		r = pc_err_set(&err, -EINVAL,
			       "no associations: nobody would get credentials; give --associations "
			       "FILE");
	if (r == 0 && !setup.config.agent_v4.port && !setup.config.agent_v6.port)
		r = run_default_agent(&setup.config, &err);
	run.place = setup.place;
	run.config_path = setup.config_path;
	if (r == 0)
		r = run_all(&run, &err);
	return r < 0 ? cli_fail(false, r, &err) : 0;
}
