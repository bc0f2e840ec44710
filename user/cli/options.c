// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"

#define MAX_OPTIONS 32

static void print_help(const struct cli_command *self, const struct cli_option *options, size_t n,
		       const char *args_help)
{
	printf("usage: podcred %s%s%s%s\n\n%s\n", self->name, n ? " [OPTIONS]" : "",
	       args_help ? " " : "", args_help ?: "", self->brief);
	if (n)
		printf("\nOptions:\n");
	for (size_t i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", options[i].name, options[i].arg ? " " : "",
			 options[i].arg ?: "");
		printf("  %-24s %s%s\n", left, options[i].help,
		       options[i].values ? " (may be given again)" : "");
	}
}

__attribute__((format(printf, 2, 3))) static int wrong(const struct cli_command *self,
						       const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(stderr, "podcred %s: %s; podcred %s --help lists the options\n", self->name, text,
		self->name);
	return 1 + EXIT_USAGE;
}

static int store(const struct cli_command *self, const struct cli_option *option, const char *value)
{
	if (option->flag)
		*option->flag = true;
	else if (option->value && *option->value)
		return wrong(self, "--%s is given twice", option->name);
	else if (option->value)
		*option->value = value;
	else if (option->values->n == CLI_MAX_VALUES)
		return wrong(self, "--%s is given too often", option->name);
	else
		option->values->v[option->values->n++] = value;
	return 0;
}

int cli_parse(const struct cli_command *self, const struct cli_option *options, size_t n, int argc,
	      char **argv, int max_args, const char *args_help, int *ret_args)
{
	struct option longs[MAX_OPTIONS + 2] = {};
	int c, index = 0, r;

	for (size_t i = 0; i < n && i < MAX_OPTIONS; i++)
		longs[i] = (struct option){
			options[i].name, options[i].arg ? required_argument : no_argument, NULL, 1};
	longs[n] = (struct option){"help", no_argument, NULL, 'h'};
	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", longs, &index)) != -1) {
		if (c == 'h') {
			print_help(self, options, n, args_help);
			return 1;
		}
		if (c == ':')
			return wrong(self, "%s needs a value", argv[optind - 1]);
		if (c != 1)
			return wrong(self, "unknown option \"%s\"", argv[optind - 1]);
		r = store(self, &options[index], optarg);
		if (r)
			return r;
	}
	if (argc - optind > max_args)
		return wrong(self, "unexpected argument \"%s\"", argv[optind + max_args]);
	for (int i = optind; i < argc; i++)
		argv[1 + i - optind] = argv[i];
	if (ret_args)
		*ret_args = argc - optind;
	return 0;
}
