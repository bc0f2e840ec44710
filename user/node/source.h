/* SPDX-License-Identifier: Apache-2.0 */
/* Where the names of pods come from, how old they are, and what is wrong with that: in words, for
 * status, pods, explain and doctor. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/status.h"

#define NODE_SOURCE_TEXT 1024

/* "file", "api", "none". */
const char *node_source_kind_name(const struct podcred_source *source);

/* "42 pods of node n1, by https://10.96.0.1:443, as of 3 s ago": when status was read. Returns buf. */
const char *node_source_text(const struct kern_status *status, char buf[NODE_SOURCE_TEXT]);

/* Whether all that the source knows is known: the API is followed, or there is a list. */
bool node_source_is_current(const struct kern_status *status);

/* What is wrong, and behind a semicolon what to do, in buf; NULL: nothing is, or no resolver runs. */
const char *node_source_trouble(const struct kern_status *status, char buf[NODE_SOURCE_TEXT]);
