// SPDX-License-Identifier: Apache-2.0
/* MODULES: http base */
/* Forms, as bodies and queries have them; and text for XML, as they are answered. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "http/form.h"

static const struct {
	const char *text;
	int result;
	const char *pairs; /* name=value, with a bar behind each */
} forms[] = {
	{"", 0, ""},
	{"&", 0, ""},
	{"a=", 1, "a=|"},
	{"a=1", 1, "a=1|"},
	{"Action=GetCallerIdentity&Version=2011-06-15", 2,
	 "Action=GetCallerIdentity|Version=2011-06-15|"},
	{"&a=1&&b=2&", 2, "a=1|b=2|"},
	{"a=1&a=2", 2, "a=1|a=2|"},
	{"a=b=c", 1, "a=b=c|"},
	{"a=b%3Dc%26d", 1, "a=b=c&d|"},
	{"a%3Db=c", 1, "a=b=c|"},
	{"a=x+y%20z%2B", 1, "a=x y z+|"},
	{"R=arn%3Aaws%3aiam%3A%3A111122223333%3Arole%2Fweb", 1,
	 "R=arn:aws:iam::111122223333:role/web|"},
	{"a=%0A%7f%C3%A9", 1, "a=\n\x7f\xc3\xa9|"},
	{"a=%25%34", 1, "a=%4|"},
	{"a", -EINVAL, NULL},
	{"a&b=1", -EINVAL, NULL},
	{"=", -EINVAL, NULL},
	{"=b", -EINVAL, NULL},
	{"a=1&=2", -EINVAL, NULL},
	{"a=%", -EINVAL, NULL},
	{"a=%2", -EINVAL, NULL},
	{"a=%2&b=5", -EINVAL, NULL},
	{"a=%zz", -EINVAL, NULL},
	{"a=%+1", -EINVAL, NULL},
	{"%=1", -EINVAL, NULL},
	{"%4=1", -EINVAL, NULL},
	{"a=%00", -EINVAL, NULL},
	{"%00=1", -EINVAL, NULL},
	{"{\"a\":1}", -EINVAL, NULL},
};

static void join(const struct http_form_pair *pairs, int n, char *ret)
{
	*ret = '\0';
	for (int i = 0; i < n; i++)
		ret += sprintf(ret, "%s=%s|", pairs[i].name, pairs[i].value);
}

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_free_ char *text = strdup(forms[i].text);
		struct http_form_pair pairs[4];
		char joined[200];
		int n = http_form_parse(text, strlen(forms[i].text), pairs, ARRAY_SIZE(pairs));

		if (n != forms[i].result)
			fail_msg("%s: %d, not %d", forms[i].text, n, forms[i].result);
		if (n < 0)
			continue;
		join(pairs, n, joined);
		if (strcmp(joined, forms[i].pairs) != 0)
			fail_msg("%s: %s", forms[i].text, joined);
	}
}

static void test_bounds(void **state)
{
	struct http_form_pair pairs[2];
	char three[] = "a=1&b=2&c=3", nul[] = "a=1\0b=2", part[] = "a=%41b";

	(void)state;
	assert_int_equal(http_form_parse(three, strlen(three), pairs, 2), -E2BIG);
	assert_int_equal(http_form_parse(nul, 7, pairs, 2), -EINVAL);
	/* not a byte behind its end is looked at */
	assert_int_equal(http_form_parse(part, 4, pairs, 2), -EINVAL);
}

static const struct {
	const char *text, *xml;
} xml[] = {
	{"", ""},
	{"a b/+=", "a b/+="},
	{"<a b=\"c\">&'", "&lt;a b=&quot;c&quot;&gt;&amp;&apos;"},
	{"]]>", "]]&gt;"},
	{"a\tb\nc", "a\tb\nc"},
	{"\r\x01\x1b[1m\x7f", "??\?[1m?"},
	{"\xc3\xa9\xff", "???"},
	{"&amp;", "&amp;amp;"},
};

static void test_xml(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(xml); i++) {
		_cleanup_(text_done) struct text text = {};

		text_add_xml(&text, xml[i].text);
		assert_int_equal(text_error(&text), 0);
		if (text.len != strlen(xml[i].xml) || memcmp(text.data ?: "", xml[i].xml, text.len))
			fail_msg("%s: %.*s", xml[i].text, (int)text.len, text.data);
	}
}

static void test_xml_bound(void **state)
{
	_cleanup_(text_done) struct text text = {.max = 5};

	(void)state;
	text_add_xml(&text, "a&b");
	assert_int_equal(text_error(&text), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_xml),
		cmocka_unit_test(test_xml_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
