// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/plural.h"
#include "cli/cli.h"
#include "config/config.h"
#include "credentials/associations.h"
#include "fetch/rules.h"

/* Whether the source of the configuration can do what associations without one of their own ask for. */
static int check_sources(const struct config *config, const char *path,
			 const struct cred_table *table, struct pc_err *err)
{
	struct cred_rules rules;
	struct cred_cluster cluster;

	fetch_rules(&config->credentials, &rules, &cluster);
	for (size_t i = 0; i < cred_table_count(table); i++) {
		const struct cred_association *a = cred_table_at(table, i);
		const char *conflict = cred_association_conflict(a, rules.default_source);

		if (conflict)
			return pc_err_set(err, -EINVAL, "%s:%u: %s/%s: %s", path, a->line,
					  a->namespace, a->service_account, conflict);
	}
	return 0;
}

/* config: NULL, none was given. */
static int check_associations(const struct config *config, const char *path, size_t *ret_count,
			      struct pc_err *err)
{
	struct cred_table *table;
	int r = cred_table_load(path, &table, NULL, err);

	if (r < 0)
		return r;
	*ret_count = cred_table_count(table);
	r = config ? check_sources(config, path, table, err) : 0;
	cred_table_unref(table);
	return r;
}

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
		r = check_associations(n == 1 ? &config : NULL, associations, &n_associations,
				       &err);
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
