// SPDX-License-Identifier: Apache-2.0
/* The control plane's certificates through their life: at no time is one served that somebody who was told does not trust. */
/* MODULES: control kube http crypto yaml identity base */
/* LIBS: -lcrypto -ljansson */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/chain.h"

#define NOW  1780000000
#define DAY  86400L
#define NAME "podcred-control.podcred.svc"

static const char *const names[] = {NAME, NULL};
static const struct chain_rules rules = {
	.authority = "podcred",
	.names = names,
	.authority_life = 3650 * DAY,
	.server_life = 90 * DAY,
	.settle = 300,
};

static struct chain begin(time_t now)
{
	struct chain chain = {};

	assert_int_equal(chain_do(NULL, CHAIN_START, &rules, now, &chain), 0);
	return chain;
}

static void go(struct chain *chain, enum chain_step step, time_t now)
{
	struct chain next = {};
	enum chain_step found = chain_next(chain, &rules, now, true);

	if (found != step)
		fail_msg("%s, and not %s", chain_step_name(found), chain_step_name(step));
	assert_int_equal(chain_do(chain, step, &rules, now, &next), 0);
	chain_done(chain);
	*chain = next;
	assert_true(chain_is_usable(chain, &rules, now));
}

static bool trusts(const char *bundle, const struct chain *chain, time_t now)
{
	return crypto_bundle_accepts(bundle, chain->server.certificate, NAME, now) == 0;
}

static void a_new_one_is_kept_until_a_third_is_left(void **state)
{
	_cleanup_(chain_done) struct chain chain = begin(NOW);
	_cleanup_free_ char *bundle = strdup(chain.bundle);

	(void)state;
	assert_int_equal(chain_next(&chain, &rules, NOW, false), CHAIN_KEEP);
	assert_int_equal(chain_next(&chain, &rules, NOW + 59 * DAY, false), CHAIN_KEEP);
	go(&chain, CHAIN_NEW_SERVER, NOW + 61 * DAY);
	assert_int_equal(chain_next(&chain, &rules, NOW + 61 * DAY, false), CHAIN_KEEP);
	/* who has the bundle need not be told anything */
	assert_string_equal(chain.bundle, bundle);
	assert_true(trusts(bundle, &chain, NOW + 61 * DAY));
}

static void a_new_authority_is_trusted_before_it_signs(void **state)
{
	_cleanup_(chain_done) struct chain chain = begin(NOW);
	_cleanup_free_ char *first = strdup(chain.bundle), *both = NULL;
	time_t now = NOW + 2434 * DAY;

	(void)state;
	go(&chain, CHAIN_NEW_SERVER, now - 10 * DAY);
	go(&chain, CHAIN_ADD_AUTHORITY, now);
	both = strdup(chain.bundle);
	assert_int_equal(crypto_bundle_count(chain.bundle), 2);
	assert_true(trusts(first, &chain, now)); /* who was not told yet */
	assert_int_equal(chain_next(&chain, &rules, now + 299, true), CHAIN_WAIT);
	assert_int_equal(chain_next(&chain, &rules, now + DAY, false), CHAIN_WAIT);
	go(&chain, CHAIN_NEW_SERVER, now + 300);
	assert_true(trusts(both, &chain, now + 300));
	assert_false(trusts(first, &chain, now + 300));
	assert_int_equal(chain_next(&chain, &rules, now + 599, true), CHAIN_WAIT);
	go(&chain, CHAIN_DROP_AUTHORITY, now + 600);
	assert_int_equal(crypto_bundle_count(chain.bundle), 1);
	assert_true(trusts(chain.bundle, &chain, now + 600));
	assert_true(trusts(both, &chain, now + 600));
	assert_int_equal(chain_next(&chain, &rules, now + 600, true), CHAIN_KEEP);
}

static void what_is_broken_is_mended(void **state)
{
	static const char *const others[] = {"other.podcred.svc", NULL};
	struct chain_rules renamed = rules;
	_cleanup_(chain_done) struct chain chain = begin(NOW), other = begin(NOW), empty = {};

	(void)state;
	renamed.names = others;
	assert_int_equal(chain_next(&empty, &rules, NOW, true), CHAIN_START);
	assert_false(chain_is_usable(&empty, &rules, NOW));
	assert_int_equal(chain_next(&chain, &renamed, NOW, true), CHAIN_NEW_SERVER);
	/* too late for either */
	assert_int_equal(chain_next(&chain, &rules, NOW + 91 * DAY, true), CHAIN_NEW_SERVER);
	assert_int_equal(chain_next(&chain, &rules, NOW + 3651 * DAY, true), CHAIN_START);
	/* another's certificate, then another's key, then another's authority */
	free(chain.server.certificate);
	chain.server.certificate = strdup(other.server.certificate);
	assert_int_equal(chain_next(&chain, &rules, NOW, true), CHAIN_NEW_SERVER);
	go(&chain, CHAIN_NEW_SERVER, NOW);
	free(chain.authority_key);
	chain.authority_key = strdup(other.authority_key);
	assert_int_equal(chain_next(&chain, &rules, NOW, true), CHAIN_START);
	free(other.bundle);
	other.bundle = strdup("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
	assert_int_equal(chain_next(&other, &rules, NOW, true), CHAIN_START);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_one_is_kept_until_a_third_is_left),
		cmocka_unit_test(a_new_authority_is_trusted_before_it_signs),
		cmocka_unit_test(what_is_broken_is_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
