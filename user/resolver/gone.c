// SPDX-License-Identifier: Apache-2.0
/* Tells the agent which pods have ended, so that it keeps no credentials of theirs. */
#include "base/log.h"
#include "resolver/resolver.h"
#include "upstream/upstream.h"

static void on_message(void *arg, enum upstream_role role, const struct upstream_message *m)
{
	(void)arg;
	(void)role;
	(void)m;
}

static void on_state(void *arg, enum upstream_role role, bool connected)
{
	(void)arg;
	(void)role;
	log_debug("the agent %s", connected ? "is there" : "has gone");
}

static void on_trouble(void *arg, const char *line)
{
	(void)arg;
	log_debug("%s", line); /* the agent comes and goes; what it keeps ends by itself */
}

int resolver_gone_start(struct resolver *res, struct pc_err *err)
{
	const struct upstream_events events = {on_message, on_state, on_trouble, NULL};
	bool adopts = res->tenure->channel >= 0;

	if (!res->options->fetch_socket)
		return 0;
	return upstream_dial(res->loop, adopts ? NULL : res->options->fetch_socket,
			     UPSTREAM_RESOLVE, &events, &res->serve, err);
}

void resolver_gone_tell(const struct resolver *res, const char *uid)
{
	const struct upstream_message m = {.type = UPSTREAM_GONE, .gone = {.pod_uid = uid}};

	if (res->serve && *uid)
		upstream_send(res->serve, UPSTREAM_RESOLVE, &m);
}

void resolver_gone_stop(struct resolver *res)
{
	upstream_free(res->serve);
	res->serve = NULL;
}
