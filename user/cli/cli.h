/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: options as data, tables, JSON, errors. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define EXIT_USAGE   2
#define EXIT_UNKNOWN 3 /* neither in order nor not: this process may not ask */

/* ---- options ---- */

#define CLI_MAX_VALUES 8

/* The values of a repeatable option. */
struct cli_values {
	const char *v[CLI_MAX_VALUES];
	size_t n;
};

struct cli_option {
	const char *name; /* long option, without dashes */
	const char *arg; /* name of its argument for --help; NULL: a switch */
	const char *help;
	const char **value; /* exactly one of these three */
	bool *flag;
	struct cli_values *values;
};

struct cli_command {
	const char *name;
	int (*run)(const struct cli_command *self, int argc, char **argv);
	const char *brief;
};

/*
 * Read argv (argv[0] is the command's name). *ret_args gets the number of plain arguments, moved
 * to argv[1...]; at most max_args are accepted. Returns 0, or a value above 0: exit with that
 * minus 1 (--help, wrong usage), already explained.
 */
int cli_parse(const struct cli_command *self, const struct cli_option *options, size_t n, int argc,
	      char **argv, int max_args, const char *args_help, int *ret_args);

/* Options that most commands have. */
#define CLI_PIN_DIR(variable)                                                                      \
	{                                                                                          \
		"pin-dir", "DIR", "pin directory (default /sys/fs/bpf/podcred)", &(variable),      \
			NULL, NULL                                                                 \
	}
/* Of those that ask the kernel when nothing is pinned. */
#define CLI_WHERE(variable)                                                                        \
	{                                                                                          \
		"kubepods", "DIR", "where to look for programs when nothing is pinned",            \
			&(variable), NULL, NULL                                                    \
	}
#define CLI_JSON(variable)                                                                         \
	{                                                                                          \
		"json", NULL, "print JSON, errors too", NULL, &(variable), NULL                    \
	}

/* ---- output ---- */

/* Print err as "podcred: ..." on stderr, or as {"error": ...} on stdout. Returns 1. */
int cli_fail(bool json, int code, const struct pc_err *err);

/* The last of a command: status, or 1 when not all of the output could be written. A reader that has
 * left (head) had what it wanted. */
int cli_flush(int status);

/* Print and free. Returns 0. */
int cli_print_json(json_t *value);

/* How the connections of an interface come to the agent. */
struct ways_way;
json_t *cli_json_way(const struct ways_way *way);

/* Rows of text, columns as wide as needed. Cells are copied. */
struct table;
struct table *cli_table_new(size_t columns, const char *const *headings);
void cli_table_row(struct table *table, ...); /* one const char * per column */
void cli_table_print(const struct table *table);
struct table *cli_table_free(struct table *table);

/* ---- commands ---- */

extern const struct cli_command cli_commands[];

int cmd_load(const struct cli_command *self, int argc, char **argv);
int cmd_unload(const struct cli_command *self, int argc, char **argv);
int cmd_status(const struct cli_command *self, int argc, char **argv);
int cmd_trace(const struct cli_command *self, int argc, char **argv);
int cmd_metrics(const struct cli_command *self, int argc, char **argv);
int cmd_ready(const struct cli_command *self, int argc, char **argv);
int cmd_host(const struct cli_command *self, int argc, char **argv);
int cmd_features(const struct cli_command *self, int argc, char **argv);
int cmd_resolve(const struct cli_command *self, int argc, char **argv);
int cmd_serve(const struct cli_command *self, int argc, char **argv);
int cmd_fetch(const struct cli_command *self, int argc, char **argv);
int cmd_control(const struct cli_command *self, int argc, char **argv);
int cmd_broker(const struct cli_command *self, int argc, char **argv);
int cmd_issuer(const struct cli_command *self, int argc, char **argv);
int cmd_run(const struct cli_command *self, int argc, char **argv);
int cmd_pods(const struct cli_command *self, int argc, char **argv);
int cmd_peers(const struct cli_command *self, int argc, char **argv);
int cmd_flows(const struct cli_command *self, int argc, char **argv);
int cmd_targets(const struct cli_command *self, int argc, char **argv);
int cmd_explain(const struct cli_command *self, int argc, char **argv);
int cmd_doctor(const struct cli_command *self, int argc, char **argv);
int cmd_association(const struct cli_command *self, int argc, char **argv);
int cmd_associate(const struct cli_command *self, int argc, char **argv);
int cmd_migrate(const struct cli_command *self, int argc, char **argv);
int cmd_trust_policy(const struct cli_command *self, int argc, char **argv);
int cmd_check_config(const struct cli_command *self, int argc, char **argv);
int cmd_version(const struct cli_command *self, int argc, char **argv);
