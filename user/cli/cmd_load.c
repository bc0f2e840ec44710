// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/cleanup.h"
#include "base/plural.h"
#include "cli/cli.h"
#include "cli/setup.h"
#include "daemon/token_key.h"
#include "node/guard_up.h"

static int print_load(const struct layout *place, const struct guard_up *up)
{
	const struct reset_report *older = &up->older;
	const struct kern_report *report = &up->load;

	if (report->mounted_bpffs)
		printf("mounted a BPF file system on /sys/fs/bpf\n");
	printf("guarding %s (kubepods %s)\nagent cgroup %s\n", place->guard, place->kubepods,
	       place->agent_cgroup);
	if (older->found)
		printf("older connections of pods to guarded addresses: %u ended, %u left: "
		       "their packets are dropped\n",
		       older->destroyed, older->failed);
	if (up->taken_over)
		printf("%u program%s of another load detached; restart podcred resolve\n",
		       up->taken_over, plural(up->taken_over));
	printf("%u program%s attached, %u updated in place\n", report->attached,
	       plural(report->attached), report->updated);
	return 0;
}

static json_t *json_load(const struct layout *place, const struct guard_up *up)
{
	const struct reset_report *older = &up->older;
	const struct kern_report *report = &up->load;

	return json_pack("{sssssssbsisisisisis{sisi}}", "guard", place->guard, "kubepods",
			 place->kubepods, "agentCgroup", place->agent_cgroup, "mountedBpffs",
			 report->mounted_bpffs, "attached", report->attached, "updated",
			 report->updated, "interfaces", report->interfaces, "takenOver",
			 up->taken_over, "othersUnknown", report->others_unknown,
			 "olderConnections", "ended", older->destroyed, "failed", older->failed);
}

static int print_mended(unsigned attached)
{
	if (attached)
		printf("%u program%s attached to cgroups that were removed and recreated\n",
		       attached, plural(attached));
	else
		printf("everything is attached already\n");
	return 0;
}

/* 1: it takes more than that, or was not asked for. */
static int mend(const struct layout *place, bool wanted, bool json)
{
	struct pc_err ignored = {};
	unsigned attached = 0;

	if (!wanted || node_guard_mend(place, &attached, &ignored) < 0)
		return 1;
	return json ? cli_print_json(json_pack("{si}", "attached", attached))
		    : print_mended(attached);
}

static int load(const struct layout *place, bool json, struct pc_err *err)
{
	struct guard_up up = {};
	int r = node_guard_up(place, &up, err);

	if (r < 0)
		return r;
	return json ? cli_print_json(json_load(place, &up)) : print_load(place, &up);
}

int cmd_load(const struct cli_command *self, int argc, char **argv)
{
	struct cli_setup setup = {};
	const char *token_key = NULL;
	bool json = false, verbose = false, if_needed = false;
	const struct cli_option options[] = {
		CLI_SETUP(setup),
		CLI_WITHOUT(setup),
		{"take-over", NULL, "replace a load that is pinned elsewhere or hidden", NULL,
		 &setup.place.take_over, NULL},
		{"if-needed", NULL,
		 "attach only what has gone with a removed cgroup, if that is all", NULL,
		 &if_needed, NULL},
		{"token-key", "FILE", "make the key that serve --token-key reads", &token_key, NULL,
		 NULL},
		{"verbose", NULL, "show what libbpf and the verifier say", NULL, &verbose, NULL},
		CLI_JSON(json),
	};
	struct pc_err err = {};
	struct layout place = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	kern_verbose(verbose);
	r = cli_setup_finish(&setup, &err);
	if (r == 0)
		r = node_layout_find(&setup.place, &place, &err);
	if (r == 0)
		r = mend(&place, if_needed, json);
	if (r == 1)
		r = load(&place, json, &err);
	if (r == 0 && token_key)
		r = daemon_token_key_provide(token_key, &err);
	if (r < 0)
		r = cli_fail(json, r, &err);
	node_layout_done(&place);
	return r;
}
