// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/cleanup.h"
#include "base/plural.h"
#include "cli/cli.h"
#include "cli/setup.h"
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

int cmd_load(const struct cli_command *self, int argc, char **argv)
{
	struct cli_setup setup = {};
	bool json = false, verbose = false;
	const struct cli_option options[] = {
		CLI_SETUP(setup),
		CLI_WITHOUT(setup),
		{"take-over", NULL, "replace a load that is pinned elsewhere or hidden", NULL,
		 &setup.place.take_over, NULL},
		{"verbose", NULL, "show what libbpf and the verifier say", NULL, &verbose, NULL},
		CLI_JSON(json),
	};
	struct pc_err err = {};
	struct layout place = {};
	struct guard_up up = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	kern_verbose(verbose);
	r = cli_setup_finish(&setup, &err);
	if (r == 0)
		r = node_layout_find(&setup.place, &place, &err);
	if (r == 0)
		r = node_guard_up(&place, &up, &err);
	if (r < 0)
		r = cli_fail(json, r, &err);
	else if (json)
		r = cli_print_json(json_load(&place, &up));
	else
		r = print_load(&place, &up);
	node_layout_done(&place);
	return r;
}
