// SPDX-License-Identifier: Apache-2.0
/* MODULES: base */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"

static void numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int want;
		uint64_t value;
	} cases[] = {
		{"0", 10, 0, 0},
		{"10", 10, 0, 10},
		{"11", 10, -ERANGE, 0},
		{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, -ERANGE, 0},
		{"99999999999999999999999", UINT64_MAX, -ERANGE, 0},
		{"", 10, -EINVAL, 0},
		{"-1", 10, -EINVAL, 0},
		{"+1", 10, -EINVAL, 0},
		{" 1", 10, -EINVAL, 0},
		{"1 ", 10, -EINVAL, 0},
		{"0x10", 100, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 4711;

		assert_int_equal(parse_u64(cases[i].text, cases[i].max, &value), cases[i].want);
		assert_true(value == (cases[i].want ? 4711 : cases[i].value));
	}
}

/* Text in, the same text out (or the canonical form), or a refusal. */
static void addresses(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} cases[] = {
		{"169.254.169.254", "169.254.169.254"},
		{"169.254.169.254:80", "169.254.169.254:80"},
		{"fd00:ec2::254", "fd00:ec2::254"},
		{"[fd00:ec2::254]", "fd00:ec2::254"},
		{"[fd00:ec2::254]:80", "[fd00:ec2::254]:80"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"10.0.0.1:65535", "10.0.0.1:65535"},
		{"10.0.0.1:65536", NULL},
		{"10.0.0.1:0", NULL},
		{"10.0.0.1:", NULL},
		{"10.0.0.1:80x", NULL},
		{"[10.0.0.1]:80", NULL},
		{"10.0.0", NULL},
		{"10.0.0.256", NULL},
		{"010.0.0.1", NULL},
		{"[fd00::1", NULL},
		{"[fd00::1]80", NULL},
		{"[]:80", NULL},
		{"", NULL},
		{":80", NULL},
		{"localhost:80", NULL},
		{"fd00::1%eth0", NULL},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_addr addr;
		char text[NET_ADDR_TEXT];
		int r = net_addr_parse(cases[i].text, &addr);

		if (!cases[i].want) {
			assert_int_equal(r, -EINVAL);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(net_addr_format(addr.ip, addr.port, text, sizeof(text)),
				    cases[i].want);
	}
}

static void prefixes(void **state)
{
	static const struct {
		const char *text;
		unsigned bits; /* 0: refused */
	} cases[] = {
		{"169.254.171.0/24", 120},
		{"10.0.0.0/8", 104},
		{"10.0.0.1", 128},
		{"10.0.0.1/32", 128},
		{"fd00::/16", 16},
		{"fd00:ec2::23", 128},
		{"10.0.0.1/8", 0},
		{"10.0.0.0/33", 0},
		{"fd00::/129", 0},
		{"fd00::1/64", 0},
		{"10.0.0.0/", 0},
		{"10.0.0.0/-1", 0},
		{"/8", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_addr addr;
		unsigned bits = 0;

		assert_int_equal(net_prefix_parse(cases[i].text, &addr, &bits),
				 cases[i].bits ? 0 : -EINVAL);
		assert_int_equal(bits, cases[i].bits);
	}
}

/* To a socket address and back; an IPv4 client of a socket for both families is an IPv4 client. */
static void socket_addresses(void **state)
{
	static const char *const texts[] = {"169.254.170.2:80", "[fd00:ec2::23]:65535", "0.0.0.0",
					    "::"};
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	const struct sockaddr other = {.sa_family = AF_UNIX};
	struct sockaddr_storage sa;
	struct net_addr addr, back;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(net_addr_parse(texts[i], &addr), 0);
		memset(&back, 0x5a, sizeof(back));
		net_addr_to_sockaddr(&addr, &sa);
		assert_int_equal(net_addr_from_sockaddr((struct sockaddr *)&sa, &back), 0);
		assert_memory_equal(&back, &addr, sizeof(addr));
	}
	assert_int_equal(net_addr_parse("10.0.0.1:80", &addr), 0);
	memcpy(&mapped.sin6_addr, addr.ip, sizeof(addr.ip));
	assert_int_equal(net_addr_from_sockaddr((struct sockaddr *)&mapped, &back), 0);
	assert_memory_equal(&back, &addr, sizeof(addr));
	assert_int_equal(net_addr_from_sockaddr(&other, &back), -EAFNOSUPPORT);
	assert_memory_equal(&back, &addr, sizeof(addr)); /* as it was */
}

static void error_prefixes(void **state)
{
	struct pc_err err = {};
	char *long_text = test_malloc(4096);

	(void)state;
	assert_int_equal(pc_err_set(&err, -EINVAL, "b is %d", 1), -EINVAL);
	assert_int_equal(pc_err_prefix(&err, -EINVAL, "a:%d", 2), -EINVAL);
	assert_string_equal(err.msg, "a:2: b is 1");
	memset(long_text, 'x', 4095);
	long_text[4095] = '\0';
	pc_err_set(&err, -EINVAL, "%s", long_text);
	pc_err_prefix(&err, -EINVAL, "%s", long_text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	pc_err_set(NULL, -EINVAL, "nobody listens");
	test_free(long_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),	  cmocka_unit_test(addresses),
		cmocka_unit_test(prefixes),	  cmocka_unit_test(socket_addresses),
		cmocka_unit_test(error_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
