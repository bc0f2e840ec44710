// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "kernel/load.h"
#include "node/layout.h"
#include "node/metrics.h"

int cmd_metrics(const struct cli_command *self, int argc, char **argv)
{
	const char *pin_dir = NULL;
	const struct cli_option options[] = {CLI_PIN_DIR(pin_dir)};
	_cleanup_free_ char *mount = NULL, *text = NULL;
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	r = node_layout_find_mount(&mount, &err);
	if (r == 0)
		r = node_metrics_read(pin_dir ?: KERN_PIN_DIR, mount, &text, &err);
	if (r < 0)
		return cli_fail(false, r, &err);
	fputs(text, stdout);
	return 0;
}
