// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "cli.h"
#include "loader.h"

int cmd_version(const struct cli_command *self, int argc, char **argv)
{
	int r = cli_parse(self, NULL, 0, argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	printf("podcred %s (libbpf %s)\n", PODCRED_VERSION, loader_libbpf_version());
	return 0;
}
