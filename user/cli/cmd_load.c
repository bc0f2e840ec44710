// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "node/guard.h"
#include "node/ifaces.h"
#include "kernel/load.h"
#include "kernel/status.h"
#include "node/stale_conns.h"
#include "node/layout.h"
#include "base/plural.h"
#include "cli/setup.h"

static int print_load(const struct layout *place, const struct kern_report *report,
		      const struct reset_report *older, unsigned others)
{
	if (report->mounted_bpffs)
		printf("mounted a BPF file system on /sys/fs/bpf\n");
	printf("guarding %s (kubepods %s)\nagent cgroup %s\n", place->guard, place->kubepods,
	       place->agent_cgroup);
	if (older->found)
		printf("older connections of pods to guarded addresses: %u ended, %u left: "
		       "their packets are dropped\n",
		       older->destroyed, older->failed);
	if (others)
		printf("%u program%s of another load detached; restart podcred resolve\n", others,
		       plural(others));
	printf("%u program%s attached, %u updated in place\n", report->attached,
	       plural(report->attached), report->updated);
	return 0;
}

static json_t *json_load(const struct layout *place, const struct kern_report *report,
			 const struct reset_report *older, unsigned others)
{
	return json_pack("{sssssssbsisisisisis{sisi}}", "guard", place->guard, "kubepods",
			 place->kubepods, "agentCgroup", place->agent_cgroup, "mountedBpffs",
			 report->mounted_bpffs, "attached", report->attached, "updated",
			 report->updated, "interfaces", report->interfaces, "takenOver", others,
			 "othersUnknown", report->others_unknown, "olderConnections", "ended",
			 older->destroyed, "failed", older->failed);
}

/* After our own are in place: until then the others guard, and with both pods are refused. */
static int take_over(const struct layout *place, unsigned *ret_others, struct pc_err *err)
{
	const struct kern_scope scope = {
		.cgroup_mount = place->mount, .guard = place->guard, .agent = place->agent_cgroup};

	if (!place->loader.take_over)
		return 0;
	return kern_others_detach(place->loader.pin_dir, &scope, ret_others, err);
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
	struct kern_report report = {};
	struct reset_report older = {};
	struct pc_err err = {};
	struct layout place = {};
	unsigned others = 0;
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	kern_verbose(verbose);
	r = cli_setup_finish(&setup, &err);
	if (r == 0)
		r = node_layout_find(&setup.place, &place, &err);
	if (r == 0)
		r = kern_load(&place.loader, &report, &err);
	if (r == 0) {
		report.interfaces = (unsigned)node_ifaces_attach(place.loader.pin_dir);
		kern_iface_settle(place.loader.pin_dir);
		node_stale_conns_reset(&place, &older);
		r = take_over(&place, &others, &err);
	}
	if (r == 0)
		node_guard_warn_unseen(report.others_unknown, place.guard, place.agent_cgroup);
	if (r < 0)
		r = cli_fail(json, r, &err);
	else if (json)
		r = cli_print_json(json_load(&place, &report, &older, others));
	else
		r = print_load(&place, &report, &older, others);
	node_layout_done(&place);
	return r;
}
