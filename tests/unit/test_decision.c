// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/kernel/reasons.c */
/* MODULES: cli base */
/* LIBS: -ljansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "base/cleanup.h"
#include "cli/decision.h"

#define V4(a, b, c, d)                                                                             \
	{                                                                                          \
		.ip = { [10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b), [14] = (c), [15] = (d) } \
	}

static const struct podcred_pod shop_web = {
	.flags = PODCRED_POD_NAMED, .uid = "u-1", .name_space = "shop", .name = "web"};

static struct podcred_event refused(void)
{
	return (struct podcred_event){
		.pod_cgroup_id = 7,
		.cgroup_id = 8,
		.addr = V4(169, 254, 169, 254),
		.port = 81,
		.protocol = IPPROTO_TCP,
		.hook = PODCRED_HOOK_connect,
		.verdict = PODCRED_EVENT_REFUSED,
		.reason = PODCRED_REASON_denied_destination,
		.tgid = 42,
		.comm = "curl",
	};
}

/* Blanks squeezed. */
static void expect(const struct podcred_event *event, const struct podcred_pod *pod,
		   const char *want)
{
	const struct decision decision = {
		.event = event, .pod = pod, .time = {.tv_sec = 3600 + 62, .tv_nsec = 7999999}};
	char line[DECISION_LINE], *to = line;

	cli_decision_line(&decision, line, sizeof(line));
	for (const char *from = line; *from; from++)
		if (from[0] != ' ' || from[1] != ' ')
			*to++ = *from;
	*to = '\0';
	assert_string_equal(line, want);
}

static void lines(void **state)
{
	struct podcred_event event = refused();

	(void)state;
	expect(&event, &shop_web,
	       "01:01:02.007 shop/web curl[42] connect 169.254.169.254:81/tcp refused "
	       "denied_destination");
	event.hook = PODCRED_HOOK_egress;
	event.tgid = 0;
	event.protocol = 250;
	event.port = 0;
	expect(&event, &shop_web,
	       "01:01:02.007 shop/web - egress 169.254.169.254/protocol 250 dropped "
	       "denied_destination");
	event.verdict = PODCRED_EVENT_AUDITED;
	event.protocol = 0; /* unreadable */
	expect(&event, NULL,
	       "01:01:02.007 cgroup 7 - egress 169.254.169.254 would refuse denied_destination");
	event.hook = 99; /* of a later version */
	event.reason = 63;
	event.verdict = PODCRED_EVENT_ALLOWED;
	expect(&event, NULL, "01:01:02.007 cgroup 7 - unknown 169.254.169.254 allowed unknown");
}

static void callers(void **state)
{
	struct podcred_pod nameless = {.uid = "u-1"};
	struct podcred_event event = refused();

	(void)state;
	expect(&event, &nameless,
	       "01:01:02.007 uid u-1 curl[42] connect 169.254.169.254:81/tcp refused "
	       "denied_destination");
	event.pod_cgroup_id = 0;
	event.reason = PODCRED_REASON_passed_host;
	expect(&event, NULL,
	       "01:01:02.007 host curl[42] connect 169.254.169.254:81/tcp refused passed_host");
	event.reason = PODCRED_REASON_no_pod;
	expect(&event, NULL,
	       "01:01:02.007 cgroup 8 curl[42] connect 169.254.169.254:81/tcp refused no_pod");
	event.hook = PODCRED_HOOK_postrouting;
	event.tgid = 0;
	event.cgroup_id = 0;
	event.source = (struct podcred_addr)V4(10, 0, 0, 9);
	event.source_port = 5;
	expect(&event, NULL,
	       "01:01:02.007 10.0.0.9 - postrouting 169.254.169.254:81/tcp dropped no_pod");
	memset(&event.source, 0, sizeof(event.source));
	expect(&event, NULL,
	       "01:01:02.007 unknown - postrouting 169.254.169.254:81/tcp dropped no_pod");
}

/* Every byte that a task's name may hold, full to the brim: no NUL at the end. */
static void hostile(void **state)
{
	struct podcred_event event = refused();
	const struct decision decision = {.event = &event, .pod = &shop_web};
	char line[DECISION_LINE];

	(void)state;
	for (unsigned first = 0; first < 256; first += sizeof(event.comm)) {
		json_t *object;

		for (unsigned i = 0; i < sizeof(event.comm); i++)
			event.comm[i] = (char)(first + i ?: 1);
		cli_decision_line(&decision, line, sizeof(line));
		for (const char *c = line; *c; c++)
			assert_in_range(*c, ' ', '~');
		object = cli_decision_json(&decision);
		assert_non_null(object);
		assert_int_equal(json_string_length(json_object_get(object, "command")),
				 sizeof(event.comm));
		for (const char *c = json_string_value(json_object_get(object, "command")); *c; c++)
			assert_in_range(*c, ' ', '~');
		json_decref(object);
	}
	strcpy(event.comm, "a b 1.1.1.1");
	assert_non_null(
		strstr(cli_decision_line(&decision, line, sizeof(line)), " a?b?1.1.1.1[42] "));
}

static void longest(void **state)
{
	struct podcred_pod pod = {.flags = PODCRED_POD_NAMED};
	struct podcred_event event = refused();
	const struct decision decision = {.event = &event, .pod = &pod};
	char line[DECISION_LINE];
	json_t *object;

	(void)state;
	memset(pod.name_space, 'n', sizeof(pod.name_space));
	memset(pod.name, 'p', sizeof(pod.name));
	memset(&event.addr, 0xee, sizeof(event.addr));
	event.port = 65535;
	event.protocol = 255;
	event.tgid = UINT32_MAX;
	memset(event.comm, 'c', sizeof(event.comm));
	cli_decision_line(&decision, line, sizeof(line));
	assert_non_null(strstr(line, "nnn/ppp"));
	assert_non_null(strstr(line, "cccccccccccccccc[4294967295]"));
	assert_non_null(strstr(line, "eeee]:65535/protocol 255 "));
	assert_non_null(strstr(line, "refused       denied_destination"));
	object = cli_decision_json(&decision);
	assert_int_equal(json_string_length(json_object_get(object, "name")), sizeof(pod.name) - 1);
	json_decref(object);
}

static void json(void **state)
{
	struct podcred_event event = refused();
	const struct decision decision = {
		.event = &event, .pod = &shop_web, .time = {.tv_sec = 1, .tv_nsec = 2000000}};
	json_t *object = cli_decision_json(&decision);
	_cleanup_free_ char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);

	(void)state;
	json_decref(object);
	assert_string_equal(
		text, "{\"address\":\"169.254.169.254\",\"cgroupId\":8,\"command\":\"curl\","
		      "\"hook\":\"connect\",\"name\":\"web\",\"namespace\":\"shop\",\"pid\":42,"
		      "\"pod\":\"shop/web\",\"podCgroupId\":7,\"podUid\":\"u-1\",\"port\":81,"
		      "\"protocol\":\"tcp\",\"reason\":\"denied_destination\","
		      "\"time\":\"1970-01-01T00:00:01.002Z\",\"uid\":0,\"verdict\":\"refused\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),   cmocka_unit_test(callers), cmocka_unit_test(hostile),
		cmocka_unit_test(longest), cmocka_unit_test(json),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
