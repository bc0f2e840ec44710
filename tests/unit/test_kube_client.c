// SPDX-License-Identifier: Apache-2.0
/* Requests to an API server over real TLS, while tokens, authorities and plugins change or fail. */
/* SOURCES: tests/unit/fake_http.c tests/unit/fake_server.c */
/* MODULES: kube http crypto yaml identity base */
/* LIBS: -lcurl -lssl -lyaml -ljansson */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/secret.h"
#include "base/timestamp.h"
#include "fake_http.h"
#include "kube/client.h"
#include "kube/exec.h"
#include "kube/internal.h"

#define S CLOCK_S

static struct loop *loop;
static struct http_client *http;
static struct kube_client *client;

struct seen {
	struct kube_call *call;
	unsigned heads, dones, status;
	int error;
	char why[1024], body[8192];
	size_t len;
	int data_result;
	void (*after)(struct seen *seen);
	void (*at_head)(struct seen *seen);
};

static int on_head(void *arg, const struct http_head *head)
{
	struct seen *seen = arg;

	assert_int_equal(seen->heads++, 0);
	seen->status = head->status;
	if (seen->at_head)
		seen->at_head(seen);
	return 0;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct seen *seen = arg;

	assert_true(seen->len + len < sizeof(seen->body));
	memcpy(seen->body + seen->len, data, len);
	seen->len += len;
	return seen->data_result;
}

static void on_done(void *arg, const struct http_result *result)
{
	struct seen *seen = arg;

	assert_int_equal(seen->dones++, 0);
	seen->error = result->error;
	snprintf(seen->why, sizeof(seen->why), "%s", result->why);
	assert_int_equal(!seen->error, !seen->why[0]);
	assert_null(strchr(seen->why, '\n'));
	assert_null(strstr(seen->why, "hush"));
	if (seen->after)
		seen->after(seen);
	else
		loop_stop(loop, 0);
}

static void start(struct seen *seen, struct kube_call_options options)
{
	struct pc_err err = {};

	options.on_head = on_head;
	options.on_data = on_data;
	options.on_done = on_done;
	options.arg = seen;
	options.idle_ns = 30 * S;
	if (kube_call_start(client, &options, &seen->call, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(seen->dones, 0);
}

static void wait_for(struct seen *seen)
{
	while (!seen->dones)
		assert_int_equal(loop_run(loop), 0);
}

static struct seen *ask(const char *path)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	start(&seen, (struct kube_call_options){.path = path});
	wait_for(&seen);
	return &seen;
}

static void expect(const struct seen *seen, int error, const char *text)
{
	if (seen->error != error || !strstr(error ? seen->why : seen->body, text))
		fail_msg("error %d \"%s\" status %u \"%s\", not %d \"%s\"", seen->error, seen->why,
			 seen->status, seen->body, error, text);
}

static void expect_status(const struct seen *seen, unsigned status)
{
	expect(seen, 0, "");
	assert_int_equal(seen->status, status);
}

/* ---- time ---- */

static uint64_t later_ns; /* how much CLOCK_BOOTTIME is ahead */

/* In place of libc's, for all that asks. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret);

	if (r == 0 && clock == CLOCK_BOOTTIME)
		ret->tv_sec += (time_t)(later_ns / S);
	return r;
}

/* ---- configurations ---- */

static void use(struct kube_config *config)
{
	client = kube_client_free(client);
	assert_int_equal(kube_client_new(loop, http, config, &client), 0);
}

static struct kube_config *load(const char *user, const char *listener, const char *ca)
{
	struct kube_config *config;
	struct pc_err err = {};
	char text[4096];

	snprintf(text, sizeof(text),
		 "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
		 "clusters: [{name: c, cluster: {server: '%s', certificate-authority: '%s'}}]\n"
		 "users:\n- name: u\n  user: %s\n",
		 fake_http_url(listener, ""), ca, user);
	fake_http_write("config", text, 0600);
	if (kube_config_file(fake_http_path("config"), NULL, &config, &err) < 0)
		fail_msg("%s", err.msg);
	return config;
}

/* How many requests the server has refused since it was asked last. From now on it accepts token. */
static unsigned accept_only(const char *token)
{
	char path[128], body[64];

	snprintf(path, sizeof(path), "/accept/%s", token);
	fake_http_tell(path, body, sizeof(body));
	return (unsigned)strtoul(body, NULL, 10);
}

static void show(const char *certificate)
{
	char path[128], body[64];

	snprintf(path, sizeof(path), "/show/%s", certificate);
	fake_http_tell(path, body, sizeof(body));
}

static void link_as(const char *name, const char *target)
{
	unlink(fake_http_path(name));
	assert_int_equal(symlink(fake_http_path(target), fake_http_path(name)), 0);
}

/* ---- requests ---- */

static void test_request(void **state)
{
	static struct seen seen;

	(void)state;
	use(load("{token: hush}", "tls", "ca.pem"));
	assert_string_equal(kube_client_server(client), fake_http_url("tls", ""));
	expect(ask("/echo/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"), 0,
	       "\"target\": \"/echo/api/v1/pods?fieldSelector=spec.nodeName%3Dn1\"");
	expect(ask("/echo"), 0, "[\"Authorization\", \"Bearer hush\"]");
	expect(ask("/echo"), 0, "[\"Accept\", \"application/json\"]");
	start(&seen, (struct kube_call_options){.method = "POST",
						.path = "/echo",
						.accept = "text/x",
						.body = "{}",
						.body_len = 2});
	wait_for(&seen);
	expect(&seen, 0, "[\"Authorization\", \"Bearer hush\"]");
	expect(&seen, 0, "[\"Content-Type\", \"application/json\"]");
	expect(&seen, 0, "[\"Accept\", \"text/x\"]");
	expect(&seen, 0, "\"body\": \"{}\"");
	expect_status(ask("/status/403"), 403);
}

static void test_bad_path(void **state)
{
	static const char *const paths[] = {"", "api", "/a b", "/a\r\nX: y", "/a#b", NULL};
	struct kube_call *call = NULL;
	struct pc_err err;

	(void)state;
	use(load("{token: hush}", "tls", "ca.pem"));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(kube_call_start(client,
						 &(struct kube_call_options){.path = paths[i],
									     .on_done = on_done},
						 &call, &err),
				 -EINVAL);
	assert_null(call);
}

static void test_errors_name_the_server(void **state)
{
	char server[256];

	(void)state;
	use(load("{token: hush}", "tls", "ca.pem"));
	snprintf(server, sizeof(server), "API server %s: ", fake_http_url("tls", ""));
	expect(ask("/cut"), -ECONNRESET, server);
	expect(ask("/cut"), -ECONNRESET, "is it up");
	use(load("{token: hush}", "foreign", "ca.pem"));
	expect(ask("/echo"), -EKEYREJECTED, "certificate-authority");
}

/* ---- tokens ---- */

static void test_token_file(void **state)
{
	(void)state;
	accept_only("first");
	fake_http_write("token", "first\n", 0600);
	use(load("{tokenFile: token}", "tls", "ca.pem"));
	expect_status(ask("/auth"), 200);
	assert_int_equal(accept_only("second"), 0);
	fake_http_write("token", "second\n", 0600);
	expect_status(ask("/auth"), 200); /* a refusal, and the file anew */
	assert_int_equal(accept_only("second"), 1);
	expect_status(ask("/auth"), 200);
	assert_int_equal(accept_only("third"), 0);
	expect_status(ask("/auth"), 401); /* the file says what it said: asked once */
	assert_int_equal(accept_only("third"), 1);
	fake_http_write("token", "fourth", 0600);
	expect_status(ask("/auth"), 401); /* once more, not for ever */
	assert_int_equal(accept_only("third"), 2);
	unlink(fake_http_path("token"));
	expect_status(ask("/auth"), 401); /* what it said stays */
	use(load("{token: first}", "tls", "ca.pem"));
	accept_only("second");
	expect_status(ask("/auth"), 401);
	assert_int_equal(accept_only("second"), 1);
}

/* Without a refusal, as what was read is old. */
static void test_token_file_is_read_each_minute(void **state)
{
	(void)state;
	accept_only("first");
	fake_http_write("token", "first", 0600);
	use(load("{tokenFile: token}", "tls", "ca.pem"));
	expect_status(ask("/auth"), 200);
	fake_http_write("token", "second", 0600);
	later_ns = 59 * S;
	expect_status(ask("/auth"), 200);
	accept_only("second");
	later_ns = 60 * S;
	expect_status(ask("/auth"), 200);
	assert_int_equal(accept_only("second"), 0);
	unlink(fake_http_path("token"));
	later_ns = 180 * S; /* what it said stays */
	expect_status(ask("/auth"), 200);
	later_ns = 0;
}

static void test_bad_token_file(void **state)
{
	static const char *const texts[] = {"", " \n", "two words", "a\r\nX: y", "caf\xc3\xa9"};

	(void)state;
	use(load("{tokenFile: absent}", "tls", "ca.pem"));
	expect(ask("/echo"), -EACCES, "/absent: No such file or directory; is it there");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		fake_http_write("token", texts[i], 0600);
		use(load("{tokenFile: token}", "tls", "ca.pem"));
		expect(ask("/echo"), -EACCES, "/token: no token in it");
	}
	accept_only("first");
	fake_http_write("token", "first", 0600); /* it is read again for the next request */
	expect_status(ask("/auth"), 200);
}

static struct seen many[8];

static void test_many_are_refused_at_once(void **state)
{
	(void)state;
	fake_http_write("token", "first", 0600);
	accept_only("second");
	use(load("{tokenFile: token}", "tls", "ca.pem"));
	expect_status(ask("/auth"), 401);
	fake_http_write("token", "second", 0600);
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		start(&many[i], (struct kube_call_options){.path = "/auth"});
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		wait_for(&many[i]);
		expect_status(&many[i], 200);
	}
}

/* ---- certificates ---- */

static void test_client_certificate(void **state)
{
	(void)state;
	link_as("mine.pem", "client.pem");
	link_as("mine.key", "client.key");
	use(load("{client-certificate: mine.pem, client-key: mine.key}", "mutual", "ca.pem"));
	expect(ask("/echo"), 0, "\"client\": \"client\"");
	link_as("mine.pem", "client2.pem");
	link_as("mine.key", "client2.key");
	accept_only("nobody");
	expect_status(ask("/auth"), 401); /* a 401 has them read again */
	expect(ask("/echo"), 0, "\"client\": \"client2\"");
	fake_http_write("mine.pem", "garbage", 0600);
	use(load("{client-certificate: mine.pem, client-key: mine.key}", "mutual", "ca.pem"));
	expect(ask("/echo"), -EACCES, "/mine.pem: not a PEM file");
	link_as("mine.pem", "client.pem"); /* the key is the other's, until it is read again */
	use(load("{client-certificate: mine.pem, client-key: mine.key}", "mutual", "ca.pem"));
	expect(ask("/echo"), -ENOKEY, "belong together");
	link_as("mine.key", "client.key");
	expect(ask("/echo"), 0, "\"client\": \"client\"");
}

static void test_authority_is_replaced(void **state)
{
	struct seen *seen;

	(void)state;
	link_as("trusted.pem", "ca.pem");
	use(load("{token: hush}", "tls", "trusted.pem"));
	expect_status(ask("/echo"), 200);
	show("ok2");
	while ((seen = ask("/cut"))->error == -ECONNRESET) /* kept connections end */
		;
	expect(seen, -EKEYREJECTED, "");
	link_as("trusted.pem", "ca2.pem");
	expect_status(ask("/echo"), 200); /* a refusal, and the file anew */
	expect_status(ask("/echo"), 200);
	unlink(fake_http_path("trusted.pem"));
	expect_status(ask("/echo"), 200);
	use(load("{token: hush}", "tls", "trusted.pem"));
	expect(ask("/echo"), -EACCES, "/trusted.pem: No such file");
	show("ok");
}

/* ---- exec plugins ---- */

#define PLUGIN                                                                                     \
	"{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, "                 \
	"args: [\"$(id)\", '; exit 1'], env: [{name: MINE, value: yes}]}}"
#define CREDENTIAL(status)                                                                         \
	"{\"kind\": \"ExecCredential\", \"apiVersion\": \"client.authentication.k8s.io/v1\", "     \
	"\"status\": {" status "}}"

static void plugin(const char *script)
{
	char text[8192];

	snprintf(text, sizeof(text), "#!/bin/sh\necho run >>%s\n%s\n", fake_http_path("runs"),
		 script);
	fake_http_write("plugin", text, 0700);
	unlink(fake_http_path("runs"));
	use(load(PLUGIN, "tls", "ca.pem"));
}

static void plugin_prints(const char *text)
{
	char script[8192];

	fake_http_write("output", text, 0600);
	snprintf(script, sizeof(script), "cat %s", fake_http_path("output"));
	plugin(script);
}

static unsigned runs(void)
{
	return (unsigned)strlen(fake_http_file("runs")) / 4;
}

static void test_plugin(void **state)
{
	(void)state;
	accept_only("first");
	plugin_prints(CREDENTIAL("\"token\": \"first\""));
	expect_status(ask("/auth"), 200);
	expect_status(ask("/auth"), 200);
	assert_int_equal(runs(), 1);
	accept_only("second");
	fake_http_write("output",
			CREDENTIAL("\"token\": \"second\", \"expirationTimestamp\": null"), 0600);
	expect_status(ask("/auth"), 200);
	assert_int_equal(runs(), 2);
	accept_only("third");
	expect_status(ask("/auth"), 401);
	assert_int_equal(runs(), 3);
}

/* What it is given: no shell, no descriptors, its arguments, variables, and what is asked of it. */
static void test_plugin_environment(void **state)
{
	(void)state;
	setenv("MINE", "not this", 1);
	plugin("test \"$1\" = '$(id)' && test \"$2\" = '; exit 1' && test $MINE = yes || exit 11\n"
	       "case $KUBERNETES_EXEC_INFO in\n"
	       "*'\"kind\":\"ExecCredential\"'*'\"apiVersion\":\"client.authentication.k8s.io/"
	       "v1\"'*'\"interactive\":false}}') ;;\n"
	       "*) exit 12 ;;\nesac\n"
	       "test \"$(readlink /proc/$$/fd/0)\" = /dev/null || exit 13\n"
	       "ls -l /proc/$$/fd | grep -E 'socket|anon_inode' && exit 14\n"
	       "test $(tr '\\0' '\\n' </proc/$$/environ | grep -c ^MINE=) = 1 || exit 15\n"
	       "echo '" CREDENTIAL("\"token\": \"hush\"") "'");
	expect(ask("/echo"), 0, "Bearer hush");
	unsetenv("MINE");
}

/* A shell would have unblocked them itself. */
static void test_plugin_has_no_signal_blocked(void **state)
{
	sigset_t usual;

	(void)state;
	sigemptyset(&usual);
	sigaddset(&usual, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &usual, NULL), 0); /* as a loop does */
	fake_http_write(
		"plugin",
		"#!/usr/bin/python3 -I\n"
		"blocked = [x for x in open('/proc/self/status') if x.startswith('SigBlk')]\n"
		"print('" CREDENTIAL("\"token\": \"%s\"") "' % blocked[0].split()[1])\n",
		0700);
	use(load(PLUGIN, "tls", "ca.pem"));
	expect(ask("/echo"), 0, "Bearer 0000000000000000");
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &usual, NULL), 0);
}

static void test_plugin_certificate(void **state)
{
	char script[8192];

	(void)state;
	snprintf(script, sizeof(script),
		 "python3 -c 'import json; print(json.dumps({\"kind\": \"ExecCredential\", "
		 "\"apiVersion\": \"client.authentication.k8s.io/v1\", \"status\": "
		 "{\"clientCertificateData\": open(\"%s\").read(), \"clientKeyData\": "
		 "open(\"%s\").read()}}))'",
		 fake_http_path("client.pem"), fake_http_path("client.key"));
	plugin(script);
	use(load(PLUGIN, "mutual", "ca.pem"));
	expect(ask("/echo"), 0, "\"client\": \"client\"");
}

static const char *in_time(long s, const char *zone)
{
	static char text[64];
	time_t when = time(NULL) + s;
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	strcat(text, zone);
	return text;
}

static void prints_expiring(const char *time)
{
	char text[512];

	snprintf(text, sizeof(text),
		 CREDENTIAL("\"token\": \"first\", \"expirationTimestamp\": \"%s\""), time);
	plugin_prints(text);
}

static void test_plugin_expiry(void **state)
{
	(void)state;
	accept_only("first");
	prints_expiring(in_time(3600, "Z"));
	expect_status(ask("/auth"), 200);
	expect_status(ask("/auth"), 200);
	assert_int_equal(runs(), 1);
	prints_expiring(in_time(3600, ".123456Z"));
	expect_status(ask("/auth"), 200);
	prints_expiring(in_time(3600 + 7200, "+02:00"));
	expect_status(ask("/auth"), 200);
	prints_expiring(in_time(3600, "+02:00"));
	expect(ask("/auth"), -EACCES, "expired already");
	prints_expiring(in_time(-1, "Z"));
	expect(ask("/auth"), -EACCES, "expired already");
	prints_expiring("tomorrow");
	expect(ask("/auth"), -EACCES, "bad value of 'expirationTimestamp'");
	prints_expiring("2030-01-02T03:04:05");
	expect(ask("/auth"), -EACCES, "bad value of 'expirationTimestamp'");
	prints_expiring(in_time(3600, "Z"));
	expect_status(ask("/auth"), 200);
	later_ns = 3580 * S;
	expect_status(ask("/auth"), 200);
	assert_int_equal(runs(), 1);
	later_ns = 3595 * S; /* not at the last moment */
	expect_status(ask("/auth"), 200);
	assert_int_equal(runs(), 2);
	later_ns = 0;
}

static void test_bad_plugins(void **state)
{
	static const char *const scripts[][2] = {
		{"exit 3", "it ended with exit code 3; run it by hand"},
		{"kill -9 $$", "it ended with signal 9"},
		{"echo hush >&2; exit 1", "exit code 1"},
		{"head -c 300000 /dev/zero", "it prints more than 256 kB, and was killed"},
		{"yes hush", "it prints more than 256 kB, and was killed"},
		{"", "no ExecCredential"},
	};
	static const char *const outputs[][2] = {
		{"hush", "no ExecCredential"},
		{"{\"hush", "its output:1: "},
		{"{\"kind\": \"ExecCredential\"}", "does not print apiVersion"},
		{"{\"kind\": \"ExecCredential\", \"apiVersion\": "
		 "\"client.authentication.k8s.io/v1beta1\"}",
		 "does not print apiVersion client.authentication.k8s.io/v1,"},
		{"{\"kind\": \"ExecCredential\", \"apiVersion\": "
		 "\"client.authentication.k8s.io/v1\"}",
		 "has no status"},
		{CREDENTIAL(""), "neither token nor clientCertificateData"},
		{CREDENTIAL("\"token\": \"\""), "neither token nor clientCertificateData"},
		{CREDENTIAL("\"token\": [\"hush\"]"), "token is not a text"},
		{CREDENTIAL("\"token\": \"hush\\nhush\""), "a token is one word"},
		{CREDENTIAL("\"clientCertificateData\": \"hush\""), "only one of"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		plugin(scripts[i][0]);
		expect(ask("/echo"), -EACCES, scripts[i][1]);
		expect(ask("/echo"), -EACCES, scripts[i][1]);
		assert_int_equal(runs(), 2);
	}
	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
		plugin_prints(outputs[i][0]);
		expect(ask("/echo"), -EACCES, outputs[i][1]);
	}
	unlink(fake_http_path("plugin"));
	/* an emulator keeps from the parent why its child could not be executed */
	expect(ask("/echo"), -EACCES,
	       getenv("EMULATED") ? "exit code 127"
				  : "cannot be executed: No such file or directory; install it");
}

/* Several calls wait for one run. Those that its failure starts anew wait for another. */
static void ask_again(struct seen *seen)
{
	seen->after = NULL;
	start(&many[7], (struct kube_call_options){.path = "/auth"});
}

static void test_calls_wait_for_a_plugin(void **state)
{
	(void)state;
	accept_only("first");
	plugin("sleep 0.2; echo '" CREDENTIAL("\"token\": \"first\"") "'");
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		start(&many[i], (struct kube_call_options){.path = "/auth"});
	many[3].call = kube_call_cancel(many[3].call);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		if (i == 3)
			continue;
		wait_for(&many[i]);
		expect_status(&many[i], 200);
	}
	assert_int_equal(many[3].dones, 0);
	assert_int_equal(runs(), 1);
	plugin("exit 1");
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < 7; i++)
		start(&many[i], (struct kube_call_options){.path = "/auth"});
	many[0].after = ask_again;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		wait_for(&many[i]);
		expect(&many[i], -EACCES, "exit code 1");
	}
	assert_int_equal(runs(), 2);
}

/* ---- a plugin that hangs, with a child that holds its output ---- */

static struct seen limit_seen;

static void on_run(void *arg, int error, const char *why, struct kube_exec_credential *credential)
{
	struct seen *seen = arg;

	(void)credential;
	seen->dones++;
	seen->error = error;
	snprintf(seen->why, sizeof(seen->why), "%s", why);
	loop_stop(loop, 0);
}

/* One that nobody has waited for yet is dead as well. */
static bool alive(const char *name)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/stat", strtol(fake_http_file(name), NULL, 10));
	return file_read(path, 4096, &text, NULL) == 0 && !strstr(text, ") Z ");
}

static void wait_for_file(const char *name)
{
	while (access(fake_http_path(name), F_OK) < 0 || !fake_http_file(name)[0])
		usleep(10000);
}

static void test_hanging_plugin(void **state)
{
	struct kube_config *config;
	struct kube_exec_run *run;
	struct pc_err err;
	char script[1024];

	(void)state;
	snprintf(script, sizeof(script), "sleep 1000 & echo $! >%s; echo $$ >%s; wait",
		 fake_http_path("child"), fake_http_path("self"));
	plugin(script);
	config = load(PLUGIN, "tls", "ca.pem");
	memset(&limit_seen, 0, sizeof(limit_seen));
	assert_int_equal(kube_exec_start(loop, config, S, on_run, &limit_seen, &run, &err), 0);
	assert_int_equal(loop_run(loop), 0);
	expect(&limit_seen, -ETIMEDOUT, "it does not end, and was killed");
	while (access(fake_http_path("self"), F_OK) == 0 && (alive("self") || alive("child")))
		usleep(10000);
	unlink(fake_http_path("self"));
	unlink(fake_http_path("child"));
	memset(&limit_seen, 0, sizeof(limit_seen));
	assert_int_equal(kube_exec_start(loop, config, 60 * S, on_run, &limit_seen, &run, &err), 0);
	wait_for_file("self");
	run = kube_exec_cancel(run);
	while (alive("self") || alive("child"))
		usleep(10000);
	assert_int_equal(limit_seen.dones, 0);
	kube_config_free(config);
}

/* Its end counts, not that of what it leaves behind. */
static void test_plugin_with_a_child(void **state)
{
	char script[1024];

	(void)state;
	snprintf(script, sizeof(script), "sleep 1000 & echo $! >%s; echo '%s'",
		 fake_http_path("child"), CREDENTIAL("\"token\": \"hush\""));
	plugin(script);
	expect(ask("/echo"), 0, "Bearer hush");
	kill((pid_t)strtol(fake_http_file("child"), NULL, 10), SIGKILL);
}

/* ---- cancels ---- */

static void cancel(struct seen *seen)
{
	seen->call = kube_call_cancel(seen->call);
	loop_stop(loop, 0);
}

static void test_cancel(void **state)
{
	static struct seen seen;

	(void)state;
	use(load("{token: hush}", "tls", "ca.pem"));
	memset(&seen, 0, sizeof(seen));
	start(&seen, (struct kube_call_options){.path = "/echo"});
	seen.call = kube_call_cancel(seen.call);
	seen.at_head = cancel;
	start(&seen, (struct kube_call_options){.path = "/echo"});
	assert_int_equal(loop_run(loop), 0);
	expect_status(ask("/echo"), 200);
	assert_int_equal(seen.heads, 1);
	assert_int_equal(seen.dones + seen.len, 0);
	memset(many, 0, sizeof(many));
	start(&many[0], (struct kube_call_options){.path = "/silent"});
	start(&many[1], (struct kube_call_options){.path = "/half"});
	expect_status(ask("/echo"), 200);
	use(load(PLUGIN, "tls", "ca.pem")); /* the client goes, with calls */
	start(&many[2], (struct kube_call_options){.path = "/echo"});
	assert_null(kube_call_cancel(NULL));
}

/* ---- */

static int set_up(void **state)
{
	(void)state;
	fake_http_start();
	assert_int_equal(loop_new(&loop), 0);
	return http_client_new(loop, &http);
}

static int tear_down(void **state)
{
	(void)state;
	client = kube_client_free(client);
	http = http_client_free(http);
	loop = loop_free(loop);
	fake_http_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_bad_path),
		cmocka_unit_test(test_errors_name_the_server),
		cmocka_unit_test(test_token_file),
		cmocka_unit_test(test_token_file_is_read_each_minute),
		cmocka_unit_test(test_bad_token_file),
		cmocka_unit_test(test_many_are_refused_at_once),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_authority_is_replaced),
		cmocka_unit_test(test_plugin),
		cmocka_unit_test(test_plugin_environment),
		cmocka_unit_test(test_plugin_has_no_signal_blocked),
		cmocka_unit_test(test_plugin_certificate),
		cmocka_unit_test(test_plugin_expiry),
		cmocka_unit_test(test_bad_plugins),
		cmocka_unit_test(test_calls_wait_for_a_plugin),
		cmocka_unit_test(test_hanging_plugin),
		cmocka_unit_test(test_plugin_with_a_child),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
