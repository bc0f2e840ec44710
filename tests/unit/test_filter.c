// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/kernel/filter.c */
/* MODULES: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "kernel/filter.h"
#include "kernel/load.h"

static struct podcred_config config;
static const __u64 *const filter = config.guard_filter;

static struct kern_guard guard(const char *text)
{
	struct kern_guard g = {};

	assert_int_equal(net_prefix_parse(text, &g.prefix, &g.bits), 0);
	return g;
}

static bool passes(const uint8_t ip[16])
{
	struct podcred_addr addr;
	uint32_t bit;

	memcpy(addr.ip, ip, sizeof(addr.ip));
	bit = podcred_filter_bit(&addr);
	assert_true(bit < 1024);
	return !(filter[bit / 64] >> bit % 64 & 1);
}

/* Any address below any prefix: never ruled out. */
static void no_hole(void **state)
{
	(void)state;
	srandom(1);
	for (int i = 0; i < 200000; i++) {
		struct kern_guard g = {};
		bool v4 = random() & 1;
		uint8_t ip[16];

		g.bits = (unsigned)(v4 ? 97 + random() % 32 : 1 + random() % 128);
		for (int b = 0; b < 16; b++)
			ip[b] = (uint8_t)random();
		if (v4)
			memcpy(ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
		for (unsigned b = 0; b < g.bits; b++)
			g.prefix.ip[b / 8] |= (uint8_t)(ip[b / 8] & 0x80 >> b % 8);
		kern_guard_filter_fill(&g, 1, &config);
		assert_false(passes(ip));
	}
}

static void defaults(void **state)
{
	const char *const texts[] = {"169.254.169.254", "169.254.170.2", "169.254.170.23",
				     "fd00:ec2::254",	"fd00:ec2::23",	 "10.99.0.1"};
	const char *const foreign[] = {"8.8.8.8",     "1.1.1.1",     "10.96.0.1", "192.168.1.1",
				       "2001:db8::1", "10.99.200.1", "0.0.0.0",	  "::1"};
	struct kern_guard guards[ARRAY_SIZE(texts)];
	size_t n_passed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		guards[i] = guard(texts[i]);
	kern_guard_filter_fill(guards, ARRAY_SIZE(guards), &config);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(passes(guards[i].prefix.ip));
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		n_passed += passes(guard(foreign[i]).prefix.ip);
	/* it is allowed to rule out nothing, but then it is of no use */
	assert_true(n_passed >= ARRAY_SIZE(foreign) - 1);
}

static void short_prefixes_and_none(void **state)
{
	const char *const shorter[] = {"169.254.0.0/16", "10.0.0.0/23", "fd00::/47",	"::/1",
				       "::/48",		 "::/80",	"::fffe:0:0/95"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shorter); i++) {
		struct kern_guard g = guard(shorter[i]);

		kern_guard_filter_fill(&g, 1, &config);
		for (size_t w = 0; w < ARRAY_SIZE(config.guard_filter); w++)
			assert_true(filter[w] == ~0ULL);
	}
	kern_guard_filter_fill(NULL, 0, &config);
	for (size_t w = 0; w < ARRAY_SIZE(config.guard_filter); w++)
		assert_true(filter[w] == 0);
}

/* The agent's address alone, and only under the rule that podcred load writes for it. */
static void agents_own(void **state)
{
	struct kern_guard guards[] = {guard("10.99.0.1"), guard("fd99::1"), guard("10.99.0.1")};

	(void)state;
	memcpy(config.agent[0].addr.ip, guards[0].prefix.ip, 16);
	memcpy(config.agent[1].addr.ip, guards[1].prefix.ip, 16);
	config.agent[0].port = config.agent[1].port = 1;
	kern_guard_filter_fill(guards, 2, &config);
	assert_true(passes(guards[0].prefix.ip));
	assert_true(passes(guards[1].prefix.ip));
	config.agent[1].port = 0;
	kern_guard_filter_fill(guards, 2, &config);
	assert_false(passes(guards[1].prefix.ip));
	guards[2].action = PODCRED_ACTION_DENY;
	kern_guard_filter_fill(guards, 3, &config);
	assert_false(passes(guards[0].prefix.ip));
	guards[2] = guard("10.99.0.0/24");
	kern_guard_filter_fill(guards, 3, &config);
	assert_false(passes(guards[0].prefix.ip));
	memset(&config, 0, sizeof(config));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_hole),
		cmocka_unit_test(defaults),
		cmocka_unit_test(short_prefixes_and_none),
		cmocka_unit_test(agents_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
