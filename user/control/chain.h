/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane's certificates as its Secret has them, and what is to be done about them. Which step is next follows from the
 * certificates alone, so replicas agree on it without talking to each other: a new authority is first one that clients trust,
 * then one that signs, and the old one goes last.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "crypto/issue.h"

/* When a certificate is made it is valid since a while, as clocks differ. */
#define CHAIN_BACKDATE 300

struct chain {
	char *bundle; /* who is trusted: the authority that signs, and behind it the one before */
	char *authority_key; /* of the first one */
	struct crypto_pem server;
};

/* Wipes and frees. */
void chain_done(struct chain *chain);

struct chain_rules {
	const char *authority; /* its name */
	const char *const *names; /* of the server, up to NULL */
	time_t authority_life, server_life; /* seconds; renewed when a third is left */
	time_t settle; /* seconds until every client, and every replica, has what was published */
};

enum chain_step {
	CHAIN_KEEP,
	CHAIN_WAIT, /* for others to see the last step */
	CHAIN_START, /* nothing of it can be used: all is made anew */
	CHAIN_NEW_SERVER,
	CHAIN_ADD_AUTHORITY,
	CHAIN_DROP_AUTHORITY,
};

/* One word, for the log. */
const char *chain_step_name(enum chain_step step);

/* published: who has to trust the bundle has been told all of it. */
enum chain_step chain_next(const struct chain *chain, const struct chain_rules *rules, time_t now,
			   bool published);

/* What the chain is after a step that changes it; START needs none before. ret is empty. -EIO, -ENOMEM, -EINVAL. */
int chain_do(const struct chain *chain, enum chain_step step, const struct chain_rules *rules,
	     time_t now, struct chain *ret);

/* Whether a server can be run with it now. */
bool chain_is_usable(const struct chain *chain, const struct chain_rules *rules, time_t now);
