// SPDX-License-Identifier: Apache-2.0
#include "control/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"

void chain_done(struct chain *chain)
{
	free(chain->bundle);
	secret_free(chain->authority_key);
	crypto_pem_done(&chain->server);
	memset(chain, 0, sizeof(*chain));
}

const char *chain_step_name(enum chain_step step)
{
	static const char *const names[] = {
		[CHAIN_KEEP] = "keep",
		[CHAIN_WAIT] = "wait",
		[CHAIN_START] = "start",
		[CHAIN_NEW_SERVER] = "newServer",
		[CHAIN_ADD_AUTHORITY] = "addAuthority",
		[CHAIN_DROP_AUTHORITY] = "dropAuthority",
	};

	return names[step];
}

/* ---- what it is ---- */

static bool has_authority(const struct chain *chain, time_t now)
{
	const struct crypto_pem authority = {chain->bundle, chain->authority_key};
	struct crypto_validity validity;

	return chain->bundle && chain->authority_key && crypto_bundle_count(chain->bundle) > 0 &&
	       crypto_pem_check(&authority) == 0 &&
	       crypto_pem_validity(chain->bundle, &validity) == 0 && validity.from <= now &&
	       now < validity.to;
}

static bool accepts(const char *bundle, const struct chain *chain, const struct chain_rules *rules,
		    time_t now)
{
	for (const char *const *name = rules->names; *name; name++)
		if (crypto_bundle_accepts(bundle, chain->server.certificate, *name, now) < 0)
			return false;
	return true;
}

bool chain_is_usable(const struct chain *chain, const struct chain_rules *rules, time_t now)
{
	return chain->bundle && chain->server.certificate && chain->server.key &&
	       crypto_pem_check(&chain->server) == 0 && accepts(chain->bundle, chain, rules, now);
}

/* Whether a certificate is to be replaced: a third of its time is left, or less. */
static bool is_old(const char *certificate, time_t now)
{
	struct crypto_validity validity;

	return crypto_pem_validity(certificate, &validity) < 0 ||
	       validity.to - now <= (validity.to - validity.from) / 3;
}

static bool has_settled(const char *certificate, const struct chain_rules *rules, time_t now)
{
	struct crypto_validity validity;

	return crypto_pem_validity(certificate, &validity) == 0 &&
	       now - (validity.from + CHAIN_BACKDATE) >= rules->settle;
}

/* Two authorities: the server's certificate is still the old one's, or already the new one's. */
static enum chain_step go_on(const struct chain *chain, const struct chain_rules *rules, time_t now,
			     bool published)
{
	_cleanup_free_ char *first = NULL;

	if (crypto_bundle_first(chain->bundle, &first) < 0)
		return CHAIN_WAIT;
	if (!accepts(first, chain, rules, now))
		return published && has_settled(first, rules, now) ? CHAIN_NEW_SERVER : CHAIN_WAIT;
	return has_settled(chain->server.certificate, rules, now) ? CHAIN_DROP_AUTHORITY
								  : CHAIN_WAIT;
}

enum chain_step chain_next(const struct chain *chain, const struct chain_rules *rules, time_t now,
			   bool published)
{
	if (!has_authority(chain, now))
		return CHAIN_START;
	if (!chain_is_usable(chain, rules, now))
		return CHAIN_NEW_SERVER;
	if (crypto_bundle_count(chain->bundle) > 1)
		return go_on(chain, rules, now, published);
	if (is_old(chain->bundle, now))
		return CHAIN_ADD_AUTHORITY;
	return is_old(chain->server.certificate, now) ? CHAIN_NEW_SERVER : CHAIN_KEEP;
}

/* ---- what becomes of it ---- */

static int copy(const char *from, char **ret)
{
	*ret = strdup(from);
	return *ret ? 0 : -ENOMEM;
}

static int make_authority(const struct chain_rules *rules, time_t now, const char *before,
			  struct chain *ret)
{
	const struct crypto_validity validity = {now - CHAIN_BACKDATE, now + rules->authority_life};
	_cleanup_(crypto_pem_done) struct crypto_pem made = {};
	int r = crypto_issue_authority(rules->authority, &validity, &made);

	if (r < 0)
		return r;
	if (asprintf(&ret->bundle, "%s%s", made.certificate, before) < 0) {
		ret->bundle = NULL;
		return -ENOMEM;
	}
	ret->authority_key = TAKE_PTR(made.key);
	return 0;
}

static int make_server(const struct chain_rules *rules, time_t now, struct chain *ret)
{
	const struct crypto_validity validity = {now - CHAIN_BACKDATE, now + rules->server_life};
	const struct crypto_pem authority = {ret->bundle, ret->authority_key};

	return crypto_issue_server(&authority, rules->names, &validity, &ret->server);
}

static int copy_server(const struct chain *chain, struct chain *ret)
{
	return copy(chain->server.certificate, &ret->server.certificate)
		       ?: copy(chain->server.key, &ret->server.key);
}

/* Of what is there the newest stays. */
static int add_authority(const struct chain *chain, const struct chain_rules *rules, time_t now,
			 struct chain *ret)
{
	_cleanup_free_ char *first = NULL;
	int r = crypto_bundle_first(chain->bundle, &first);

	return r ?: make_authority(rules, now, first, ret) ?: copy_server(chain, ret);
}

static int drop_authority(const struct chain *chain, struct chain *ret)
{
	return crypto_bundle_first(chain->bundle, &ret->bundle) ?:
	       copy(chain->authority_key, &ret->authority_key) ?:
	       copy_server(chain, ret);
}

static int new_server(const struct chain *chain, const struct chain_rules *rules, time_t now,
		      struct chain *ret)
{
	return copy(chain->bundle, &ret->bundle) ?:
	       copy(chain->authority_key, &ret->authority_key) ?:
	       make_server(rules, now, ret);
}

int chain_do(const struct chain *chain, enum chain_step step, const struct chain_rules *rules,
	     time_t now, struct chain *ret)
{
	_cleanup_(chain_done) struct chain made = {};
	int r = -EINVAL;

	switch (step) {
	case CHAIN_START:
		r = make_authority(rules, now, "", &made) ?: make_server(rules, now, &made);
		break;
	case CHAIN_NEW_SERVER:
		r = new_server(chain, rules, now, &made);
		break;
	case CHAIN_ADD_AUTHORITY:
		r = add_authority(chain, rules, now, &made);
		break;
	case CHAIN_DROP_AUTHORITY:
		r = drop_authority(chain, &made);
		break;
	case CHAIN_KEEP:
	case CHAIN_WAIT:
		break;
	}
	if (r == 0) {
		*ret = made;
		memset(&made, 0, sizeof(made));
	}
	return r;
}
