// SPDX-License-Identifier: Apache-2.0
/* doctor: check what silently breaks podcred on this node. */
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "doctor/doctor.h"
#include "kernel/load.h"

static const char *const level_names[] = {
	[DOCTOR_OK] = "ok", [DOCTOR_SKIP] = "skip", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail"};

static void print_result(void *arg, const struct doctor_result *result)
{
	(void)arg;
	printf("%-4s  %-17s %s%s%s\n", level_names[result->level], result->name, result->text,
	       result->next[0] ? "; " : "", result->next);
	fflush(stdout);
}

static void add_result(void *arg, const struct doctor_result *result)
{
	json_array_append_new(arg, json_pack("{ssssssss}", "check", result->name, "result",
					     level_names[result->level], "text", result->text,
					     "next", result->next));
}

int cmd_doctor(const struct cli_command *self, int argc, char **argv)
{
	struct doctor_options doctor = {};
	bool json = false;
	const struct cli_option options[] = {
		{"no-probe", NULL, "only look: create no cgroup, send nothing", NULL,
		 &doctor.no_probe, NULL},
		CLI_JSON(json),
		CLI_WHERE(doctor.kubepods),
		CLI_PIN_DIR(doctor.pin_dir),
	};
	json_t *array = json_array();
	size_t failed;
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r) {
		json_decref(array);
		return r - 1;
	}
	if (!doctor.pin_dir)
		doctor.pin_dir = KERN_PIN_DIR;
	failed = doctor_run(&doctor, json ? add_result : print_result, array);
	if (json)
		cli_print_json(json_incref(array));
	json_decref(array);
	return failed ? 1 : 0;
}
