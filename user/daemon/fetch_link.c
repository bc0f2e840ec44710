// SPDX-License-Identifier: Apache-2.0
#include "daemon/fetch_link.h"

#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/plural.h"
#include "upstream/upstream.h"

static void tell_ready(const struct fetch_link *link)
{
	if (link->ready)
		link->ready(link->ready_arg);
}

static void say_keys(const struct upstream_keys *keys, const struct agent_trusted *trusted)
{
	if (keys->verify == UPSTREAM_VERIFY_JWKS)
		log_info("%zu key%s of the cluster to verify tokens with", trusted->keys,
			 plural(trusted->keys));
	if (trusted->unusable)
		log_warn("%zu key%s of the cluster cannot be used: %s; tokens signed with such a "
			 "key are refused",
			 trusted->unusable, plural(trusted->unusable), trusted->defect);
}

static void take_keys(const struct fetch_link *link, const struct upstream_keys *keys)
{
	static const enum agent_verify how[UPSTREAM_VERIFY_MAX] = {
		[UPSTREAM_VERIFY_OFF] = AGENT_VERIFY_OFF,
		[UPSTREAM_VERIFY_JWKS] = AGENT_VERIFY_JWKS,
		[UPSTREAM_VERIFY_REVIEW] = AGENT_VERIFY_REVIEW,
	};
	const struct agent_token_trust trust = {
		.verify = how[keys->verify],
		.jwks = keys->jwks ?: "",
		.jwks_len = keys->jwks ? strlen(keys->jwks) : 0,
		.issuers = keys->issuers.v,
		.n_issuers = keys->issuers.n,
		.audience = keys->audience,
		.sts_audience = keys->sts_audience,
	};
	struct agent_trusted trusted;
	struct pc_err err = {};

	if (!link->takes_keys)
		return;
	if (agent_server_trust(link->server, &trust, &trusted, &err) < 0) {
		log_warn("the cluster's keys: %s; those from before stay in force", err.msg);
		return;
	}
	say_keys(keys, &trusted);
	tell_ready(link);
}

static void on_message(void *arg, enum upstream_role role, const struct upstream_message *m)
{
	const struct fetch_link *link = arg;

	if (role == UPSTREAM_RESOLVE)
		upstream_send(link->upstream, UPSTREAM_FETCH, m); /* it has a cache, too */
	if (m->type == UPSTREAM_KEYS)
		take_keys(link, &m->keys);
	else
		agent_server_told(link->server, m);
}

static void on_state(void *arg, enum upstream_role role, bool connected)
{
	const struct fetch_link *link = arg;

	if (role != UPSTREAM_FETCH)
		return;
	if (connected)
		log_info("podcred fetch is there");
	else
		log_warn("podcred fetch has gone; until it is back, pods get what it has said so "
			 "far");
	agent_server_connected(link->server, connected);
	if (connected && !link->takes_keys)
		tell_ready(link);
}

static void on_trouble(void *arg, const char *line)
{
	(void)arg;
	log_warn("%s", line);
}

int daemon_fetch_link_open(struct fetch_link *link, struct loop *loop, const char *path,
			   uid_t fetch, struct pc_err *err)
{
	const struct upstream_listen_options options = {
		.path = path,
		.users = {{fetch, UPSTREAM_FETCH}, {0, UPSTREAM_RESOLVE}},
		.n_users = 2,
		.owner = fetch,
	};
	const struct upstream_events events = {on_message, on_state, on_trouble, link};

	link->loop = loop;
	upstream_wipe_json();
	return upstream_listen(loop, &options, &events, &link->upstream, err);
}

static int ask(void *arg, const struct upstream_message *question)
{
	const struct fetch_link *link = arg;

	return upstream_send(link->upstream, UPSTREAM_FETCH, question);
}

static void send_want_keys(void *arg)
{
	const struct fetch_link *link = arg;
	const struct upstream_message m = {.type = UPSTREAM_WANT_KEYS};

	upstream_send(link->upstream, UPSTREAM_FETCH, &m);
}

/* From any thread. When it cannot be posted, the next token that needs it asks again. */
static void want_keys(void *arg)
{
	struct fetch_link *link = arg;

	loop_post(link->loop, send_want_keys, link);
}

void daemon_fetch_link_use(struct fetch_link *link, bool verify, struct agent_options *options)
{
	if (!link->upstream)
		return;
	link->takes_keys = verify && !options->verify_tokens;
	options->verify_tokens |= verify;
	options->ask = ask;
	options->ask_arg = link;
	if (link->takes_keys) {
		options->want_keys = want_keys;
		options->want_keys_arg = link;
	}
	options->loop = link->loop;
}

void daemon_fetch_link_adopt(struct fetch_link *link, int fd)
{
	int r = link->upstream ? upstream_adopt(link->upstream, fd) : close(fd);

	if (r < 0)
		log_warn("cannot talk to podcred fetch: %s; start podcred run again", strerror(-r));
}

void daemon_fetch_link_close(struct fetch_link *link)
{
	upstream_free(link->upstream);
	link->upstream = NULL;
}
