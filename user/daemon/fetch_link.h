/* SPDX-License-Identifier: Apache-2.0 */
/* What podcred serve has to do with podcred fetch, and with the resolver: passes on what each says. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct agent_options;
struct agent_server;
struct loop;
struct upstream;

struct fetch_link {
	struct loop *loop;
	struct upstream *upstream; /* NULL: there is no fetch */
	struct agent_server *server; /* to be set before the loop runs */
	bool takes_keys; /* how tokens are verified, fetch says */
	/* All that fetch has to say before the first pod asks has been said; called each time. May be NULL. */
	void (*ready)(void *arg);
	void *ready_arg;
};

/* Listens at path; NULL: under podcred run, which sends sockets. fetch: who may be it. Before the process gives
 * up its user. link must stay where it is. */
int daemon_fetch_link_open(struct fetch_link *link, struct loop *loop, const char *path,
			   uid_t fetch, struct pc_err *err);

/* Has the agent ask over it, and verify tokens as fetch says, if it is to verify them and has no keys already. */
void daemon_fetch_link_use(struct fetch_link *link, bool verify, struct agent_options *options);

/* One end of a pair, which it takes. */
void daemon_fetch_link_adopt(struct fetch_link *link, int fd);

/* Before the loop is freed. */
void daemon_fetch_link_close(struct fetch_link *link);
