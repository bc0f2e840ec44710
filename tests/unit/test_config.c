// SPDX-License-Identifier: Apache-2.0
/* MODULES: config yaml base */
/* LIBS: -lyaml */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/config.h"
#include "podcred_maps.h"

/* place.c hands the one over as the other. */
_Static_assert((int)CONFIG_ALLOW == PODCRED_ACTION_ALLOW, "allow");
_Static_assert((int)CONFIG_REDIRECT == PODCRED_ACTION_REDIRECT, "redirect");
_Static_assert((int)CONFIG_DENY == PODCRED_ACTION_DENY, "deny");
_Static_assert((int)CONFIG_AUDIT == PODCRED_ACTION_AUDIT, "audit");

static struct config config;

static int load(const char *text, struct pc_err *err)
{
	char path[] = "/tmp/podcred-config-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	r = config_load(path, &config, err);
	unlink(path);
	return r;
}

static void defaults(void **state)
{
	struct pc_err err = {};

	(void)state;
	assert_int_equal(load("", &err), 0);
	assert_int_equal(config.n_destinations, 7);
	assert_int_equal(config.agent_v4.port, 0);
	assert_int_equal(config.metrics.port, 7778);
	assert_int_equal(config.metrics.ip[12], 127);
	assert_false(config.audit);
	assert_false(config.fail_open);
	assert_int_equal(config.n_policy, 0);
	for (size_t i = 0; i < config.n_destinations; i++) {
		assert_int_equal(config.destinations[i].bits, 128);
		assert_int_equal(config.destinations[i].action, CONFIG_DENY);
		assert_int_equal(config.destinations[i].n_ports, 1);
		assert_int_equal(config.destinations[i].ports[0].port, 80);
		assert_int_equal(config.destinations[i].ports[0].action, CONFIG_REDIRECT);
	}
}

static void everything(void **state)
{
	struct pc_err err = {};

	(void)state;
	assert_int_equal(load("agent:\n- 10.0.0.1:7777\n- \"[fd00::1]:7778\"\n"
			      "maxPendingPerPod: 7\n"
			      "destinations:\n"
			      "- address: 168.63.129.16\n"
			      "  ports:\n"
			      "  - {port: 80}\n"
			      "  - {port: 53, protocol: udp, action: allow}\n"
			      "- {address: 100.100.0.0/16, action: deny}\n",
			      &err),
			 0);
	assert_int_equal(config.agent_v4.port, 7777);
	assert_int_equal(config.agent_v6.port, 7778);
	assert_int_equal(config.max_pending_per_pod, 7);
	assert_int_equal(config.n_destinations, 2);
	assert_int_equal(config.destinations[0].n_ports, 2);
	assert_int_equal(config.destinations[0].ports[1].action, CONFIG_ALLOW);
	assert_int_equal(config.destinations[1].bits, 112);
	assert_int_equal(load("agent: 10.0.0.2:1\n", &err), 0);
	assert_int_equal(config.agent_v4.port, 1);
}

static void metrics(void **state)
{
	struct pc_err err = {};

	(void)state;
	assert_int_equal(load("metrics: off\n", &err), 0);
	assert_int_equal(config.metrics.port, 0);
	assert_int_equal(load("metrics: \"[fd00::1]:9100\"\n", &err), 0);
	assert_int_equal(config.metrics.port, 9100);
	assert_int_equal(config.metrics.ip[15], 1);
}

static void modes(void **state)
{
	struct pc_err err = {};

	(void)state;
	assert_int_equal(load("mode: audit\n", &err), 0);
	assert_true(config.audit);
	assert_false(config.fail_open);
	assert_int_equal(load("mode: enforce\nfailureMode: open\n", &err), 0);
	assert_false(config.audit);
	assert_true(config.fail_open);
	assert_int_equal(load("failureMode: closed\n", &err), 0);
	assert_false(config.fail_open);
}

static void action_audit(void **state)
{
	struct pc_err err = {};

	(void)state;
	assert_int_equal(load("destinations:\n"
			      "- {address: 10.0.0.0/8, action: audit}\n"
			      "- address: 10.0.0.1\n"
			      "  action: deny\n"
			      "  ports:\n"
			      "  - {port: 80, action: audit}\n"
			      "  - {port: 53, protocol: udp, action: audit}\n",
			      &err),
			 0);
	assert_int_equal(config.destinations[0].action, CONFIG_AUDIT);
	assert_int_equal(config.destinations[1].action, CONFIG_DENY);
	assert_int_equal(config.destinations[1].ports[0].action, CONFIG_AUDIT);
	assert_int_equal(config.destinations[1].ports[1].action, CONFIG_AUDIT);
}

/* Each refusal names the line and says what is wrong; the configuration stays as it was. */
static void refusals(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"agents: []\n", ":1: unknown key \"agents\"; known are agent, destinations"},
		{"agent: nowhere\n", ":1: agent \"nowhere\" is not ADDRESS:PORT"},
		{"agent: 10.0.0.1\n", ":1: agent \"10.0.0.1\" is not ADDRESS:PORT"},
		{"\n\nagent: 127.0.0.1:80\n", ":3: agent \"127.0.0.1:80\" is a loopback address"},
		{"agent: 0.0.0.0:80\n", "wildcard"},
		{"agent: \"[::]:80\"\n", "wildcard"},
		{"agent: \"[::1]:80\"\n", "loopback"},
		{"agent: \"[fe80::1]:80\"\n", "link-local"},
		{"agent: 224.0.0.1:80\n", "multicast"},
		{"agent: 255.255.255.255:80\n", "reserved"},
		{"agent: \"[ff02::1]:80\"\n", "multicast"},
		{"agent: 169.254.1.1:80\n", "link-local"},
		{"agent: [10.0.0.1:1, 10.0.0.2:1]\n", "second of its family"},
		{"agent: {a: b}\n", "expected a list"},
		{"metrics: 127.0.0.1\n", ":1: metrics \"127.0.0.1\" is not ADDRESS:PORT"},
		{"metrics: on\n", "write 127.0.0.1:7778, or off"},
		{"metrics: [127.0.0.1:1]\n", "is not ADDRESS:PORT"},
		{"maxPendingPerPod: 0\n", "is not a number from 1 to 16384"},
		{"maxPendingPerPod: [1]\n", "is not a number"},
		{"maxPendingPerPod: 1\nmaxPendingPerPod: 2\n",
		 ":2: key \"maxPendingPerPod\" is there twice"},
		{"destinations:\n- {}\n", ":2: a destination needs \"address\""},
		{"destinations:\n- {address: 10.0.0.1/8}\n",
		 ":2: address \"10.0.0.1/8\" is neither"},
		{"destinations:\n- {address: 10.0.0.1, action: redirect}\n",
		 "redirect needs a port"},
		{"destinations:\n- {address: 10.0.0.1, action: maybe}\n",
		 ":2: action \"maybe\" is not allow, redirect, deny or audit"},
		{"destinations:\n- {address: 10.0.0.1, action: stamp}\n",
		 ":2: action \"stamp\" is not allow, redirect, deny or audit"},
		{"destinations:\n- {address: 10.0.0.1, action: }\n", ":2: action \"\" is not"},
		{"destinations:\n- {address: 10.0.0.1, action: [deny]}\n",
		 ":2: action \"\" is not"},
		{"mode: dry-run\n", ":1: mode \"dry-run\" is not enforce or audit"},
		{"mode: Audit\n", ":1: mode \"Audit\" is not enforce or audit"},
		{"mode:\n", ":1: mode \"\" is not enforce or audit"},
		{"mode: [audit]\n", ":1: mode \"\" is not enforce or audit"},
		{"mode: \"audit\\0\"\n", ":1: mode \"\" is not enforce or audit"},
		{"mode: \"au\\ndit\"\n", ":1: mode \"au?dit\" is not enforce or audit"},
		{"mode: audit\nmode: enforce\n", ":2: key \"mode\" is there twice"},
		{"\nfailureMode: fail\n", ":2: failureMode \"fail\" is not closed or open"},
		{"failureMode: true\n", ":1: failureMode \"true\" is not closed or open"},
		{"destinations:\n- {address: 10.0.0.0/8, ports: [{port: 80}]}\n",
		 "\"ports\" need a single address"},
		{"destinations:\n- address: 10.0.0.1\n  ports:\n  - {protocol: tcp}\n",
		 ":4: a port entry needs \"port\""},
		{"destinations:\n- address: 10.0.0.1\n  ports:\n  - {port: 70000}\n",
		 ":4: port \"70000\""},
		{"destinations:\n- address: 10.0.0.1\n  ports:\n  - {port: 1, protocol: icmp}\n",
		 ":4: protocol \"icmp\" is not tcp or udp"},
		{"destinations:\n- address: 10.0.0.1\n  ports:\n  - {port: 1, protocol: udp}\n",
		 ":4: only tcp can be redirected; write action: deny, allow or audit"},
		{"destinations:\n- {address: 10.0.0.1}\n- {address: 10.0.0.1/32}\n",
		 ":3: this address is there twice"},
		{"destinations:\n- {address: \"::/0\"}\n", ":2: address \"::/0\" is neither"},
		{"destinations:\n- address: 10.0.0.1\n  ports:\n  - {port: 1}\n  - {port: 1}\n",
		 ":5: port 1 is there twice"},
		{"agent: 10.0.0.1:1\n---\nagent: 10.0.0.2:1\n", ":3: a second document"},
		{"destinations: 7\n", ":1: expected a list"},
		{"- a\n", ":1: expected a mapping with agent"},
		{"agent: \"\n", "not YAML"},
		{"a: b: c\n", ":1: not YAML"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pc_err err = {};

		config.max_pending_per_pod = 4711;
		assert_int_equal(load(cases[i].text, &err), -EINVAL);
		if (!strstr(err.msg, cases[i].want))
			fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.msg, cases[i].want);
		assert_null(strchr(err.msg, '\n'));
		assert_int_equal(config.max_pending_per_pod, 4711);
	}
}

static void webhook(void **state)
{
	static const char *const bad[] = {"webhook: {style: sidecar}\n",
					  "webhook: {irsa: ignore}\n",
					  "webhook: {ipFamily: IPv5}\n",
					  "webhook: {region: Europe}\n",
					  "webhook: {tokenExpirationSeconds: 599}\n",
					  "webhook: {tokenExpirationSeconds: 86401}\n",
					  "webhook: {stockConfigMap: identities}\n",
					  "webhook: {stockConfigMap: A/identities}\n",
					  "webhook: {stockConfigMap: a/b/c}\n",
					  "webhook: {stockConfigMap: a/}\n",
					  "webhook: {namespace: a}\n"};
	struct pc_err err = {};

	(void)state;
	assert_int_equal(load("", &err), 0);
	assert_int_equal(config.webhook.expiration, 86400);
	assert_int_equal(config.webhook.style, CONFIG_WEBHOOK_CONTAINER);
	assert_int_equal(load("webhook: {style: webIdentity, irsa: override, ipFamily: IPv6, "
			      "region: eu-west-1,\n"
			      "  tokenExpirationSeconds: 600, stockConfigMap: eks/a.b}\n",
			      &err),
			 0);
	assert_string_equal(config.webhook.stock_config_map, "eks/a.b");
	assert_int_equal(config.webhook.style, CONFIG_WEBHOOK_WEB_IDENTITY);
	assert_true(config.webhook.override_irsa && config.webhook.ipv6);
	assert_string_equal(config.webhook.region, "eu-west-1");
	assert_int_equal(config.webhook.expiration, 600);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(load(bad[i], &err), -EINVAL);
}

static void no_file(void **state)
{
	struct pc_err err = {};

	(void)state;
	assert_int_equal(config_load("/nonexistent/config.yaml", &config, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "cannot read /nonexistent/config.yaml"));
}

static int shared_file(const char *text)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

/* How often the configuration was not what the file says. */
static int misread(int fd, int times)
{
	int wrong = 0;

	for (int i = 0; i < times; i++) {
		struct pc_err err = {};

		wrong += config_read(fd, "c", &config, &err) < 0 || !config.audit;
	}
	return wrong;
}

/* The children of podcred run have one open file, with one position. */
static void read_by_many_at_once(void **state)
{
	_cleanup_close_ int fd = shared_file("mode: audit\n");
	pid_t pids[3];
	int status;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(misread(fd, 2000) != 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

static void position_is_left_alone(void **state)
{
	_cleanup_close_ int fd = shared_file("mode: audit\n");

	(void)state;
	assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
	assert_int_equal(misread(fd, 1), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(everything),
		cmocka_unit_test(metrics),
		cmocka_unit_test(modes),
		cmocka_unit_test(action_audit),
		cmocka_unit_test(refusals),
		cmocka_unit_test(webhook),
		cmocka_unit_test(no_file),
		cmocka_unit_test(read_by_many_at_once),
		cmocka_unit_test(position_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
