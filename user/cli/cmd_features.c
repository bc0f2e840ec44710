// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "kernel/features.h"

int cmd_features(const struct cli_command *self, int argc, char **argv)
{
	static const char *const headings[] = {"FEATURE", "LINUX", "HERE", "WITHOUT IT"};
	const struct kern_feature *features;
	struct table *table;
	json_t *array;
	bool json = false, missing = false, unknown = false;
	const struct cli_option options[] = {CLI_JSON(json)};
	size_t n;
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	features = kern_features(&n);
	table = cli_table_new(ARRAY_SIZE(headings), headings);
	array = json_array();
	for (size_t i = 0; i < n; i++) {
		const struct kern_feature *f = &features[i];
		char here[192];

		missing |= f->required && !f->present && !f->unknown;
		unknown |= f->required && f->unknown;
		snprintf(here, sizeof(here), "%s%s",
			 f->present   ? "yes"
			 : f->unknown ? "cannot tell: "
				      : "no: ",
			 f->why);
		cli_table_row(table, f->name, f->since, here, f->without);
		json_array_append_new(
			array,
			json_pack("{sssssosbssss}", "feature", f->name, "since", f->since,
				  "present", f->unknown ? json_null() : json_boolean(f->present),
				  "required", f->required, "why", f->why, "without", f->without));
	}
	if (json)
		cli_print_json(json_incref(array));
	else
		cli_table_print(table);
	cli_table_free(table);
	json_decref(array);
	return missing ? 1 : unknown ? EXIT_UNKNOWN : 0;
}
