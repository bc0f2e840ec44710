/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the resolver says about the node, to be passed on with the agent's own metrics: it writes a file, so that
 * no process with rights on the kernel has to listen on a network. A resolver that hangs leaves its last text,
 * which must not be told as if it were true.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct node_text {
	const char *path; /* NULL: there is none */
	/* what was read last, and since when it has been the same; CLOCK_MONOTONIC */
	ino_t ino;
	struct timespec written;
	uint64_t since_ns;
};

/* 0, and the text is the caller's to free; -ESTALE: nobody has written it for a minute; or why it could not be
 * read. For one thread. */
int agent_node_text_read(struct node_text *text, uint64_t now_ns, char **ret);
