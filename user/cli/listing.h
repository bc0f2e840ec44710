/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that show maps, as a table or as JSON. */
#pragma once

#include "cli/cli.h"
#include "kernel/maps.h"

/* What a row function gets: where to put it, and the map that names pods. */
struct listing {
	bool json;
	struct table *table;
	json_t *array;
	int pods_fd;
};

typedef int (*listing_row_fn)(void *listing, const void *key, const void *value);

struct listing_source {
	enum kern_map map;
	size_t key_size, value_size;
	listing_row_fn row;
	void (*print_below)(const char *pin_dir); /* the table, not the JSON; NULL: nothing */
};

/* The whole command: its options, one row for each entry of each source. Returns the exit status. */
int cli_listing_run(const struct cli_command *self, int argc, char **argv,
		    const struct listing_source *sources, size_t n_sources,
		    const char *const *headings, size_t n_headings);

/* Takes the object over. */
void cli_listing_put(struct listing *list, json_t *object);

/* A connection to the agent. conflict: NULL where there can be none; else "", or that there is one. */
#define LISTING_CONNECTION_HEADINGS                                                                \
	{                                                                                          \
		"CLIENT", "POD", "DIALLED", "PID", "AGE", "NOTE"                                   \
	}
void cli_listing_put_connection(struct listing *list, const char *client, const char *agent,
				const struct podcred_stamp *stamp, const char *conflict);
