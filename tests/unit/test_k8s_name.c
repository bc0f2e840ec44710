// SPDX-License-Identifier: Apache-2.0
/* MODULES: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/k8s_name.h"

/* With its length: one has a NUL in it. */
#define NAME(s)                                                                                    \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

struct name {
	const char *text;
	size_t len;
};

static void labels(void **state)
{
	static const struct name names[] = {
		NAME("a"), NAME("0"), NAME("a-b"), NAME("a--b"), NAME("1-2"), NAME("kube-system"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_true(k8s_is_label(names[i].text, names[i].len));
		assert_true(k8s_is_subdomain(names[i].text, names[i].len));
	}
}

static void subdomains(void **state)
{
	static const struct name names[] = {
		NAME("a.b"),
		NAME("a-b.c-d.0"),
		NAME("ip-10-0-0-1.eu-west-1.compute.internal"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_false(k8s_is_label(names[i].text, names[i].len));
		assert_true(k8s_is_subdomain(names[i].text, names[i].len));
	}
}

static void neither(void **state)
{
	static const struct name names[] = {
		NAME(""),     NAME("-"),     NAME("-a"),    NAME("a-"),	  NAME("A"),
		NAME("."),    NAME(".a"),    NAME("a."),    NAME("a..b"), NAME("a.-b"),
		NAME("a-.b"), NAME("a b"),   NAME("a_b"),   NAME("a/b"),  NAME("*"),
		NAME("a\0b"), NAME("a\0"),   NAME("\0"),    NAME("ä"),	  NAME("a\n"),
		NAME("a:b"),  NAME("a.b-."), NAME("a.b.."), NAME("~"),	  NAME("a`"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (k8s_is_label(names[i].text, names[i].len) ||
		    k8s_is_subdomain(names[i].text, names[i].len))
			fail_msg("accepts \"%s\"", names[i].text);
	}
}

static void lengths(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_true(k8s_is_label(text, 63));
	assert_false(k8s_is_label(text, 64));
	assert_true(k8s_is_subdomain(text, 253)); /* no limit for one label of it */
	assert_false(k8s_is_subdomain(text, 254));
	text[100] = '.';
	assert_true(k8s_is_subdomain(text, 253));
	assert_false(k8s_is_subdomain(text, 254));
	assert_false(k8s_is_subdomain(text, 101));
	assert_true(k8s_is_subdomain(text, 100)); /* what is behind it is not looked at */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels),
		cmocka_unit_test(subdomains),
		cmocka_unit_test(neither),
		cmocka_unit_test(lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
