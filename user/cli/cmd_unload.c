// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/plural.h"
#include "cli/cli.h"
#include "kernel/load.h"
#include "node/guard.h"

static int report(const struct guard_unloaded *unloaded, bool json)
{
	unsigned n = unloaded->detached + unloaded->others;

	if (json)
		return cli_print_json(json_pack("{sisisb}", "detached", unloaded->detached,
						"others", unloaded->others, "unknown",
						unloaded->unknown));
	if (unloaded->unknown)
		printf("%u program%s detached; whether another load is attached for the same pods "
		       "may not be asked: it takes CAP_SYS_ADMIN\n",
		       n, plural(n));
	else if (n)
		printf("%u program%s detached; nothing is guarded any more\n", n, plural(n));
	else
		printf("nothing was attached\n");
	return 0;
}

/* For a DaemonSet: a container that ends is started again. */
static void wait_to_be_ended(void)
{
	sigset_t ends;
	int sig;

	fflush(stdout);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	sigwait(&ends, &sig);
}

int cmd_unload(const struct cli_command *self, int argc, char **argv)
{
	struct guard_where where = {};
	bool json = false, others = false, stay = false;
	const struct cli_option options[] = {
		CLI_PIN_DIR(where.pin_dir),
		CLI_WHERE(where.kubepods),
		{"others", NULL, "detach other loads for the same pods, too", NULL, &others, NULL},
		{"wait", NULL, "then stay, until SIGTERM or SIGINT: for a DaemonSet", NULL, &stay,
		 NULL},
		CLI_JSON(json),
	};
	struct guard_unloaded unloaded;
	struct pc_err err = {};
	int r = cli_parse(self, options, ARRAY_SIZE(options), argc, argv, 0, NULL, NULL);

	if (r)
		return r - 1;
	if (!where.pin_dir)
		where.pin_dir = KERN_PIN_DIR;
	r = node_guard_unload(&where, others, &unloaded, &err);
	if (r < 0)
		return cli_fail(json, r, &err);
	r = report(&unloaded, json);
	if (stay)
		wait_to_be_ended();
	return r == 0 && unloaded.unknown ? EXIT_UNKNOWN : r;
}
