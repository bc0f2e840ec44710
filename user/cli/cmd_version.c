// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "cli/cli.h"
#include "kernel/load.h"

int cmd_version(const struct cli_command *self, int argc, char **argv)
{
	int r = cli_parse(self, NULL, 0, argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	printf("podcred %s (libbpf %s)\n", PODCRED_VERSION, kern_libbpf_version());
	return 0;
}
