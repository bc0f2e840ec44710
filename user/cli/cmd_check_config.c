// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include "base/cleanup.h"
#include "base/plural.h"
#include "cli/cli.h"
#include "config/config.h"
#include "daemon/serve.h"

int cmd_check_config(const struct cli_command *self, int argc, char **argv)
{
	static struct config config;
	const char *associations = NULL;
	const struct cli_option options[] = {
		{"associations", "FILE", "check this associations file too", &associations, NULL,
		 NULL},
	};
	struct pc_err err = {};
	size_t n_associations = 0;
	int n, r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 1, "[FILE]", &n);

	if (r)
		return r - 1;
	if (n != 1 && !associations) {
		fprintf(stderr, "podcred check-config: no file given; podcred check-config FILE\n");
		return EXIT_USAGE;
	}
	if (n == 1)
		r = config_load(argv[1], &config, &err);
	if (r == 0 && associations)
		r = daemon_serve_check_associations(associations, &n_associations, &err);
	if (r < 0)
		return cli_fail(false, r, &err);
	if (n == 1)
		printf("%s: ok, %zu destination%s, %zu policy rule%s\n", argv[1],
		       config.n_destinations, plural(config.n_destinations), config.n_policy,
		       plural(config.n_policy));
	if (associations)
		printf("%s: ok, %zu association%s\n", associations, n_associations,
		       plural(n_associations));
	return 0;
}
