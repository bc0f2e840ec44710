// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "node/ways.h"

int cli_fail(bool json, int code, const struct pc_err *err)
{
	const char *text = err && err->msg[0] ? err->msg : strerror(-code);

	if (json)
		cli_print_json(json_pack("{ss}", "error", text));
	else
		log_error("%s", text);
	return 1;
}

static bool reader_is_gone(void)
{
	struct pollfd fd = {.fd = STDOUT_FILENO};

	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLERR | POLLHUP);
}

int cli_flush(int status)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (fflush(stdout) < 0)
		failed = true;
	if (!failed || errno == EPIPE || reader_is_gone())
		return status;
	log_error("cannot write the output%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
	return 1;
}

int cli_print_json(json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_INDENT(2));

	printf("%s\n", text ?: "null");
	json_decref(value);
	return 0;
}

json_t *cli_json_way(const struct ways_way *way)
{
	char text[192];

	return json_pack("{ssssss*ss*ss}", "interface", way->name, "path",
			 node_ways_kind_name(way->kind), "bridge",
			 way->bridge[0] ? way->bridge : NULL, "gateway",
			 way->gateway[0] ? way->gateway : NULL, "text",
			 node_ways_text(way, text, sizeof(text)));
}

struct table {
	size_t columns, n, room;
	char **cells; /* rows one after another, the headings first */
};

static void add_cell(struct table *table, const char *text)
{
	if (table->n == table->room) {
		size_t room = table->room ? table->room * 2 : 64;
		char **grown = reallocarray(table->cells, room, sizeof(*grown));

		if (!grown)
			abort();
		table->cells = grown;
		table->room = room;
	}
	table->cells[table->n] = strdup(text && *text ? text : "-");
	if (!table->cells[table->n++])
		abort();
}

struct table *cli_table_new(size_t columns, const char *const *headings)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		abort();
	table->columns = columns;
	for (size_t i = 0; i < columns; i++)
		add_cell(table, headings[i]);
	return table;
}

void cli_table_row(struct table *table, ...)
{
	va_list ap;

	va_start(ap, table);
	for (size_t i = 0; i < table->columns; i++)
		add_cell(table, va_arg(ap, const char *));
	va_end(ap);
}

void cli_table_print(const struct table *table)
{
	for (size_t row = 0; row < table->n; row += table->columns) {
		for (size_t col = 0; col < table->columns; col++) {
			size_t width = 0;

			for (size_t i = col; i < table->n; i += table->columns)
				if (strlen(table->cells[i]) > width)
					width = strlen(table->cells[i]);
			if (col + 1 == table->columns)
				printf("%s\n", table->cells[row + col]);
			else
				printf("%-*s  ", (int)width, table->cells[row + col]);
		}
	}
}

struct table *cli_table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
	return NULL;
}
