// SPDX-License-Identifier: Apache-2.0
/* The HTTP client against real sockets and real TLS, and a server that does what servers should not. */
/* SOURCES: tests/unit/fake_http.c tests/unit/fake_server.c */
/* MODULES: http crypto base */
/* LIBS: -lcurl -lssl */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sched.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "fake_http.h"
#include "http/client.h"

#define S CLOCK_S

static struct loop *loop;
static struct http_client *client;

/* One call, and what came of it. */
struct seen {
	struct http_call *call;
	unsigned heads, dones, pieces;
	unsigned status, head_status;
	int error;
	char why[HTTP_WHY_SIZE];
	char type[64], fifth[64], early[64];
	uint64_t retry_after_ns;
	time_t date;
	char body[65536];
	size_t len;
	int head_result, data_result; /* what the functions return */
	void (*then)(struct seen *seen); /* called by on_data, once */
	void (*after)(struct seen *seen); /* called by on_done */
};

static int on_head(void *arg, const struct http_head *head)
{
	struct seen *seen = arg;

	assert_int_equal(seen->heads++, 0);
	assert_int_equal(seen->len, 0);
	seen->head_status = head->status;
	seen->retry_after_ns = head->retry_after_ns;
	seen->date = head->date;
	snprintf(seen->fifth, sizeof(seen->fifth), "%s", http_head_get(head, "x-5") ?: "(none)");
	snprintf(seen->early, sizeof(seen->early), "%s",
		 http_head_get(head, "Content-Type") ?: "(none)");
	snprintf(seen->type, sizeof(seen->type), "%s", head->content_type ?: "(none)");
	return seen->head_result;
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct seen *seen = arg;
	size_t room = sizeof(seen->body) - 1 - seen->len;

	assert_int_equal(seen->heads, 1);
	assert_int_equal(seen->dones, 0);
	seen->pieces++;
	memcpy(seen->body + seen->len, data, len < room ? len : room);
	seen->len += len < room ? len : room;
	if (seen->then) {
		void (*then)(struct seen *) = seen->then;

		seen->then = NULL;
		then(seen);
	}
	return seen->data_result;
}

static void on_done(void *arg, const struct http_result *result)
{
	struct seen *seen = arg;

	assert_int_equal(seen->dones++, 0);
	seen->error = result->error;
	seen->status = result->status;
	snprintf(seen->why, sizeof(seen->why), "%s", result->why);
	assert_int_equal(!result->error, !seen->why[0]);
	assert_null(strchr(seen->why, '\n'));
	if (seen->after)
		seen->after(seen);
	else
		loop_stop(loop, 0);
}

static void start(struct seen *seen, struct http_call_options *options)
{
	struct pc_err err = {};

	options->on_head = on_head;
	options->on_data = on_data;
	options->on_done = on_done;
	options->arg = seen;
	if (http_call_start(client, options, &seen->call, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(seen->heads + seen->dones, 0);
}

static struct seen *ask(struct seen *seen, struct http_call_options options)
{
	memset(seen, 0, offsetof(struct seen, head_result));
	start(seen, &options);
	assert_int_equal(loop_run(loop), 0);
	return seen;
}

static struct seen *get(struct seen *seen, const char *listener, const char *path)
{
	struct http_tls tls = {.ca = fake_http_file("ca.pem")};

	return ask(seen, (struct http_call_options){.url = fake_http_url(listener, path),
						    .tls = &tls,
						    .connect_ns = 30 * S,
						    .idle_ns = 30 * S});
}

static void expect(const struct seen *seen, int error, const char *why)
{
	if (seen->error != error || !strstr(seen->why, why))
		fail_msg("error %d \"%s\", not %d \"%s\"", seen->error, seen->why, error, why);
	assert_int_equal(seen->dones, 1);
}

static void expect_body(const struct seen *seen, const char *part)
{
	if (seen->error || !strstr(seen->body, part))
		fail_msg("error %d \"%s\", \"%s\" is not in: %s", seen->error, seen->why, part,
			 seen->body);
}

static void expect_no(const struct seen *seen, const char *part)
{
	if (strstr(seen->body, part))
		fail_msg("\"%s\" is in: %s", part, seen->body);
}

/* ---- requests ---- */

static void test_get(void **state)
{
	static struct seen seen;

	(void)state;
	get(&seen, "plain", "/echo/a%2Fb/../c?x=%20y");
	expect_body(&seen, "\"method\": \"GET\"");
	expect_body(&seen, "\"target\": \"/echo/a%2Fb/../c?x=%20y\"");
	expect_body(&seen, "[\"Accept-Encoding\", \"gzip\"]");
	expect_body(&seen, "[\"User-Agent\", \"podcred/");
	expect_no(&seen, "Authorization");
	expect_no(&seen, "Expect");
	assert_int_equal(seen.status, 200);
	assert_int_equal(seen.head_status, 200);
	assert_string_equal(seen.type, "application/json; x=y");
}

static void test_headers_and_body(void **state)
{
	static const char *const headers[] = {"Authorization: Bearer secret",
					      "Content-Type: application/json", NULL};
	static struct seen seen;
	static char large[2 << 20];

	(void)state;
	ask(&seen, (struct http_call_options){.method = "POST",
					      .url = fake_http_url("plain", "/echo"),
					      .headers = headers,
					      .body = "{\"a\":1}",
					      .body_len = 7});
	expect_body(&seen, "\"method\": \"POST\"");
	expect_body(&seen, "\"body\": \"{\\\"a\\\":1}\"");
	expect_body(&seen, "[\"Authorization\", \"Bearer secret\"]");
	expect_body(&seen, "[\"Content-Type\", \"application/json\"]");
	expect_body(&seen, "[\"Content-Length\", \"7\"]");
	expect_no(&seen, "urlencoded");
	ask(&seen, (struct http_call_options){.method = "PATCH",
					      .url = fake_http_url("plain", "/echo"),
					      .body = "",
					      .body_len = 0});
	expect_body(&seen, "\"method\": \"PATCH\"");
	expect_body(&seen, "[\"Content-Length\", \"0\"]");
	memset(large, 'b', sizeof(large));
	ask(&seen, (struct http_call_options){.method = "PUT",
					      .url = fake_http_url("plain", "/echo"),
					      .body = large,
					      .body_len = sizeof(large)});
	expect_body(&seen, "[\"Content-Length\", \"2097152\"]");
	expect_no(&seen, "Expect");
	ask(&seen,
	    (struct http_call_options){.method = "DELETE", .url = fake_http_url("plain", "/echo")});
	expect_body(&seen, "\"method\": \"DELETE\"");
}

static void refused(struct http_call_options options, const char *why)
{
	struct pc_err err = {};
	struct http_call *call = NULL;

	options.on_done = on_done;
	assert_int_equal(http_call_start(client, &options, &call, &err), -EINVAL);
	assert_non_null(strstr(err.msg, why));
	assert_null(call);
}

static void test_bad_options(void **state)
{
	static const char *const urls[] = {
		"",
		"127.0.0.1",
		"ftp://127.0.0.1/",
		"file:///etc/passwd",
		"http://",
		"/path",
		"http://a b/",
		"http://h/#part",
		"http://user:secret@h/",
		"http://h:70000/",
		"http://h/\r\nX: y",
		"gopher://h/",
		"http://[::1/",
	};
	static const char *const headers[][2] = {{"X: y\r\nZ: a"}, {"X: y\nZ: a"}, {"X"}, {": y"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		refused((struct http_call_options){.url = urls[i]}, "not a URL");
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		refused((struct http_call_options){.url = "http://h/", .headers = headers[i]},
			"a header is not");
	refused((struct http_call_options){.url = "http://h/", .method = "GET /x"}, "not a method");
	refused((struct http_call_options){.url = "http://h/", .method = ""}, "not a method");
}

static void test_status(void **state)
{
	static struct seen seen;

	(void)state;
	expect(get(&seen, "plain", "/status/503"), 0, "");
	assert_int_equal(seen.status, 503);
	assert_string_equal(seen.body, "no\n");
	expect(get(&seen, "plain", "/status/204"), 0, "");
	assert_int_equal(seen.status, 204);
	expect(get(&seen, "plain", "/status/999"), -EPROTO, "no status of HTTP");
	assert_int_equal(seen.heads, 0);
}

static void test_redirect_is_not_followed(void **state)
{
	static struct seen seen;

	(void)state;
	expect(get(&seen, "plain", "/redirect"), 0, "");
	assert_int_equal(seen.status, 302);
	assert_int_equal(seen.len, 0);
}

static void test_head_values(void **state)
{
	static struct seen seen;

	(void)state;
	get(&seen, "plain", "/retry-after/7");
	assert_int_equal(seen.status, 429);
	assert_int_equal(seen.retry_after_ns, 7 * S);
	assert_int_equal(seen.date, 784111777);
	get(&seen, "plain", "/retry-after/Sun,+06+Nov+1994+08:50:07+GMT");
	assert_int_equal(seen.retry_after_ns, 30 * S);
	get(&seen, "plain", "/retry-after/Sun,+06+Nov+1994+08:49:07+GMT");
	assert_int_equal(seen.retry_after_ns, 0);
	get(&seen, "plain", "/retry-after/soon");
	assert_int_equal(seen.retry_after_ns, 0);
	get(&seen, "plain", "/retry-after/99999999999999999999");
	assert_int_equal(seen.retry_after_ns, 24 * 3600 * S);
	get(&seen, "plain", "/status/200");
	assert_string_equal(seen.type, "(none)");
	assert_int_equal(seen.date, 0);
}

static void test_interim_and_trailers(void **state)
{
	static struct seen seen;

	(void)state;
	get(&seen, "plain", "/interim");
	assert_int_equal(seen.head_status, 200);
	assert_string_equal(seen.type, "text/late");
	assert_string_equal(seen.body, "final");
	assert_string_equal(seen.early, "text/late"); /* not that of the interim head */
	assert_string_equal(seen.fifth, "(none)");
	get(&seen, "plain", "/many-headers/6");
	assert_string_equal(seen.fifth, "some value");
	get(&seen, "plain", "/trailers");
	assert_int_equal(seen.heads, 1);
	assert_string_equal(seen.body, "text");
	get(&seen, "plain", "/to-the-end");
	assert_string_equal(seen.body, "up to the end");
}

/* ---- connections ---- */

static void test_connection_is_kept(void **state)
{
	static struct seen seen;

	(void)state;
	get(&seen, "tls", "/echo");
	expect_body(&seen, "\"request\": 1");
	get(&seen, "tls", "/echo");
	expect_body(&seen, "\"request\": 2");
	get(&seen, "plain", "/once");
	assert_string_equal(seen.body, "once");
	get(&seen, "plain", "/echo"); /* the kept one is dead */
	expect_body(&seen, "\"request\": 1");
}

/* One whose trust is another must not get the connection, nor one with another identity. */
static void test_connection_is_not_shared(void **state)
{
	struct http_tls tls = {.ca = fake_http_file("ca.pem")};
	struct http_call_options options = {.url = fake_http_url("tls", "/echo"), .tls = &tls};
	static struct seen seen;

	(void)state;
	expect(ask(&seen, options), 0, "");
	tls.ca = fake_http_file("ca2.pem");
	expect(ask(&seen, options), -EKEYREJECTED, "");
	tls.ca = fake_http_file("ca.pem");
	tls.certificate = fake_http_file("client.pem");
	tls.key = fake_http_file("client.key");
	expect_body(ask(&seen, options), "\"client\": \"client\"");
	tls.certificate = fake_http_file("client2.pem");
	tls.key = fake_http_file("client2.key");
	expect_body(ask(&seen, options), "\"client\": \"client2\"");
	tls.certificate = tls.key = NULL;
	expect_body(ask(&seen, options), "\"client\": null");
}

static void test_refused_connection(void **state)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(here);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static struct seen seen;
	char url[64];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&here, len), 0); /* does not listen */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &len), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(here.sin_port));
	expect(ask(&seen, (struct http_call_options){.url = url}), -ECONNREFUSED,
	       "cannot connect: Connection refused");
	assert_int_equal(seen.status, 0);
	close(fd);
}

static void test_no_such_name(void **state)
{
	static struct seen seen;

	(void)state;
	expect(ask(&seen, (struct http_call_options){.url = "http://nowhere.invalid/"}),
	       -EHOSTUNREACH, "resolve host: nowhere.invalid");
}

static void test_ended_early(void **state)
{
	static const char *const paths[] = {"/nothing", "/cut", "/cut-chunk", "/reset-body"};
	static const char *const listeners[] = {"plain", "tls"};
	static struct seen seen;

	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(listeners); l++) {
		for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
			expect(get(&seen, listeners[l], paths[i]), -ECONNRESET, "");
			assert_int_equal(seen.status, i ? 200 : 0);
		}
	}
}

/* ---- servers that are silent ---- */

static void test_silence(void **state)
{
	static const char *const paths[] = {"/silent", "/half", "/half-body"};
	static struct seen seen;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct http_call_options options = {.url = fake_http_url("plain", paths[i]),
						    .idle_ns = S / 5};

		expect(ask(&seen, options), -ETIMEDOUT, "silent for too long");
		assert_int_equal(strncmp("some", seen.body, seen.len), 0);
		options.idle_ns = 0;
		options.total_ns = S / 5;
		expect(ask(&seen, options), -ETIMEDOUT, "time");
	}
	expect(ask(&seen, (struct http_call_options){.url = fake_http_url("mute", "/"),
						     .connect_ns = S / 5}),
	       -ETIMEDOUT, "time");
}

static void release(struct seen *seen)
{
	char body[16];

	assert_string_equal(seen->body, "first ");
	fake_http_tell("/release", body, sizeof(body));
}

static void test_pieces_come_at_once(void **state)
{
	static struct seen seen;

	(void)state;
	seen.then = release;
	get(&seen, "tls", "/pieces/3");
	seen.then = NULL;
	assert_string_equal(seen.body, "first 0 1 2 ");
	assert_true(seen.pieces > 1);
}

/* ---- bodies and heads that are wrong ---- */

static void test_gzip(void **state)
{
	static struct seen seen;

	(void)state;
	get(&seen, "plain", "/gzip/3000");
	assert_int_equal(seen.len, 3000);
	assert_int_equal(seen.body[2999], 'z');
	expect(get(&seen, "plain", "/gzip-bad"), -EPROTO, "");
	expect(get(&seen, "plain", "/encoding/br"), -EPROTO, "encoding");
	expect(get(&seen, "plain", "/encoding/deflate"), -EPROTO, "encoding");
	expect(get(&seen, "plain", "/encoding/gzip,%20gzip"), -EPROTO, "encoding");
	expect(get(&seen, "plain", "/chain/2"), -EPROTO, "encoding");
	expect(get(&seen, "plain", "/chain/9"), -EPROTO, "encoding");
}

static void test_bomb(void **state)
{
	static struct seen seen;
	struct http_call_options options = {.url = fake_http_url("plain", "/gzip/50000000"),
					    .max_body = 1 << 20};
	struct rusage before, after;

	(void)state;
	getrusage(RUSAGE_SELF, &before);
	expect(ask(&seen, options), -EMSGSIZE, "the answer is too large");
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < 16 << 10); /* kB */
	options.url = fake_http_url("plain", "/gzip/1048576");
	expect(ask(&seen, options), 0, "");
	options.url = fake_http_url("plain", "/gzip/1048577");
	expect(ask(&seen, options), -EMSGSIZE, "the answer is too large");
}

static void test_large_heads(void **state)
{
	static struct seen seen;

	(void)state;
	expect(get(&seen, "plain", "/long-header/1048576"), -EMSGSIZE, "");
	expect(get(&seen, "plain", "/long-header/70000"), -EMSGSIZE, "");
	expect(get(&seen, "plain", "/many-headers/10000"), -EMSGSIZE, "");
	expect(get(&seen, "plain", "/long-status/1048576"), -EMSGSIZE, "");
	expect(get(&seen, "plain", "/long-header/60000"), 0, "");
	expect(get(&seen, "plain", "/old"), -EPROTO, "");
	assert_int_equal(seen.heads, 0);
}

/* ---- TLS ---- */

static void test_trust(void **state)
{
	static struct seen seen;
	struct http_tls tls = {.ca = "no certificate"};
	struct http_call_options options = {.url = fake_http_url("tls", "/echo"), .tls = &tls};

	(void)state;
	get(&seen, "tls", "/echo");
	expect(get(&seen, "foreign", "/echo"), -EKEYREJECTED, "certificate");
	expect(get(&seen, "expired", "/echo"), -EKEYREJECTED, "expired");
	expect(get(&seen, "name", "/echo"), -EKEYREJECTED, "127.0.0.1");
	expect(ask(&seen, options), -EKEYREJECTED, "");
	tls.ca = "";
	expect(ask(&seen, options), -EKEYREJECTED, "");
	tls.ca = NULL; /* the system's */
	expect(ask(&seen, options), -EKEYREJECTED, "certificate");
	tls.insecure = true;
	options.url = fake_http_url("foreign", "/echo");
	expect_body(ask(&seen, options), "\"request\": 1");
	options.url = fake_http_url("name", "/echo");
	expect_body(ask(&seen, options), "\"request\": 1");
	expect(get(&seen, "name", "/echo"), -EKEYREJECTED, "127.0.0.1"); /* a connection is kept */
}

/* In a child with a mount namespace of its own, where the system trusts ca2: 0, or what went wrong. */
static int trust_of_system(const char *ca)
{
	static struct seen seen;
	struct http_tls tls = {.ca = ca};
	struct http_call_options options = {.url = fake_http_url("foreign", "/echo"), .tls = &tls};
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
		    mount(fake_http_path("system"), "/etc/ssl/certs", NULL, MS_BIND, NULL) < 0)
			_exit(99);
		if (loop_new(&loop) < 0 || http_client_new(loop, &client) < 0)
			_exit(98);
		_exit(-ask(&seen, options)->error & 0xff);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void test_trust_of_the_system(void **state)
{
	int error = trust_of_system(NULL);

	(void)state;
	if (error == 99) {
		print_message("no user and mount namespaces here\n");
		skip();
	}
	assert_int_equal(error, 0);
	assert_int_equal(trust_of_system(fake_http_file("ca.pem")), EKEYREJECTED);
	assert_int_equal(trust_of_system(fake_http_file("ca2.pem")), 0);
}

static void test_server_name(void **state)
{
	static struct seen seen;
	struct http_tls tls = {.ca = fake_http_file("ca.pem"), .server_name = "elsewhere.test"};
	struct http_call_options options = {.url = fake_http_url("name", "/echo"), .tls = &tls};
	char host[64];

	(void)state;
	expect_body(ask(&seen, options), "\"sni\": \"elsewhere.test\"");
	snprintf(host, sizeof(host), "[\"Host\", \"%s\"]",
		 fake_http_url("name", "") + strlen("https://"));
	expect_body(&seen, host);
	options.url = fake_http_url("tls", "/echo");
	expect(ask(&seen, options), -EKEYREJECTED, "elsewhere.test");
}

static void test_ipv6(void **state)
{
	static struct seen seen;
	struct http_tls tls = {.ca = fake_http_file("ca.pem"), .server_name = "api.test"};

	(void)state;
	if (!fake_http_has("tls6")) {
		print_message("no IPv6 here\n");
		skip();
	}
	expect_body(get(&seen, "tls6", "/echo"), "[\"Host\", \"[::1]:");
	ask(&seen, (struct http_call_options){.url = fake_http_url("tls6", "/echo"), .tls = &tls});
	expect_body(&seen, "[\"Host\", \"[::1]:");
	expect_body(&seen, "\"sni\": \"api.test\"");
}

static void test_client_certificate(void **state)
{
	static struct seen seen;
	struct http_tls tls = {.ca = fake_http_file("ca.pem"),
			       .certificate = fake_http_file("client.pem"),
			       .key = fake_http_file("client.key")};
	struct http_call_options options = {.url = fake_http_url("mutual", "/echo"), .tls = &tls};

	(void)state;
	expect_body(ask(&seen, options), "\"client\": \"client\"");
	tls.key = fake_http_file("client2.key"); /* not of that certificate */
	tls.certificate = fake_http_file("ok.pem");
	expect(ask(&seen, options), -ENOKEY, "");
	tls.key = "garbage";
	tls.certificate = fake_http_file("client2.pem");
	expect(ask(&seen, options), -ENOKEY, "");
	tls.certificate = tls.key = NULL;
	ask(&seen, options);
	assert_true(seen.error < 0);
}

static void test_no_tls_where_it_should_be(void **state)
{
	static struct seen seen;
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "https%s", fake_http_url("plain", "/echo") + strlen("http"));
	expect(ask(&seen, (struct http_call_options){.url = url}), -EPROTO, "SSL");
}

/* ---- the environment ---- */

static void test_environment_is_not_asked(void **state)
{
	static struct seen seen;
	const char *log = fake_http_path("keys");

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	setenv("SSLKEYLOGFILE", log, 1);
	http_client_free(client);
	assert_int_equal(http_client_new(loop, &client), 0);
	expect(get(&seen, "plain", "/echo"), 0, "");
	expect(get(&seen, "tls", "/echo"), 0, "");
	assert_int_equal(access(log, F_OK), -1);
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
	ask(&seen, (struct http_call_options){.url = fake_http_url("plain", "/echo"),
					      .proxy = fake_http_url("plain", "")});
	expect_body(&seen, "\"target\": \"http://127.0.0.1:");
	ask(&seen, (struct http_call_options){.url = fake_http_url("plain", "/echo"),
					      .proxy = fake_http_url("plain", ""),
					      .no_proxy = "127.0.0.1"});
	expect_body(&seen, "\"target\": \"/echo\"");
}

/* ---- secrets ---- */

#define SECRET_SIZE 24
#define MASK	    0x5a
#define LARGE	    (64UL << 20) /* a sanitizer's shadow, and the like */

/* Masked, so that it is not one of those that are looked for. */
static unsigned char masked[SECRET_SIZE];

static void unmask(char *ret)
{
	for (size_t i = 0; i < SECRET_SIZE; i++)
		ret[i] = (char)(masked[i] ^ MASK);
}

static size_t count_in(const unsigned char *data, size_t len)
{
	size_t found = 0;

	for (size_t i = 0; i + SECRET_SIZE <= len; i++) {
		size_t n = 0;

		while (n < SECRET_SIZE && (data[i + n] ^ MASK) == masked[n])
			n++;
		found += n == SECRET_SIZE;
	}
	return found;
}

/* In all memory that can be written, but for the buffer that it is read with. */
static size_t copies_of_secret(void)
{
	static unsigned char buffer[1 << 20];
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
	_cleanup_fclose_ FILE *mem = fopen("/proc/self/mem", "re");
	unsigned long from, to;
	size_t found = 0;
	char mode[8];

	while (fscanf(maps, "%lx-%lx %7s%*[^\n]", &from, &to, mode) == 3) {
		if (strncmp(mode, "rw", 2) != 0 || to - from > LARGE)
			continue;
		for (ssize_t n = 1; n > 0 && from < to; from += (unsigned long)n) {
			memset(buffer, 0, sizeof(buffer));
			n = pread(fileno(mem), buffer,
				  to - from < sizeof(buffer) ? to - from : sizeof(buffer),
				  (off_t)from);
			if (n > 0 && (from + (unsigned long)n <= (unsigned long)buffer ||
				      from >= (unsigned long)buffer + sizeof(buffer)))
				found += count_in(buffer, (size_t)n);
		}
	}
	return found;
}

static void start_with_secret(struct seen *seen, const char *listener)
{
	struct http_tls tls = {.ca = fake_http_file("ca.pem")};
	char secret[SECRET_SIZE + 1] = "", header[128];
	const char *headers[] = {header, NULL};
	struct http_call_options options = {.method = "POST",
					    .url = fake_http_url(listener, "/status/200"),
					    .headers = headers,
					    .body = secret,
					    .body_len = SECRET_SIZE,
					    .tls = &tls};

	unmask(secret);
	snprintf(header, sizeof(header), "Authorization: Bearer %s", secret);
	start(seen, &options);
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(header, sizeof(header));
}

static void test_secrets_are_wiped(void **state)
{
	static const char *const listeners[] = {"plain", "tls"};
	static struct seen seen;
	FILE *random = fopen("/dev/urandom", "re");

	(void)state;
	assert_int_equal(fread(masked, 1, SECRET_SIZE, random), SECRET_SIZE);
	fclose(random);
	for (size_t i = 0; i < SECRET_SIZE; i++)
		masked[i] = (unsigned char)('a' + masked[i] % 26) ^ MASK;
	for (size_t i = 0; i < ARRAY_SIZE(listeners); i++) {
		memset(&seen, 0, sizeof(seen));
		start_with_secret(&seen, listeners[i]);
		assert_true(copies_of_secret() > 0);
		assert_int_equal(loop_run(loop), 0);
		expect(&seen, 0, "");
		assert_int_equal(copies_of_secret(), 0);
	}
}

/* ---- functions that end calls ---- */

static void test_results_of_functions(void **state)
{
	static struct seen seen;

	(void)state;
	seen.head_result = -EXDEV;
	expect(get(&seen, "plain", "/echo"), -EXDEV, "at the head");
	assert_int_equal(seen.pieces, 0);
	seen.head_result = 0;
	seen.data_result = -EXDEV;
	expect(get(&seen, "plain", "/echo"), -EXDEV, "within");
	assert_int_equal(seen.pieces, 1);
	seen.data_result = 0;
	expect(get(&seen, "plain", "/echo"), 0, "");
}

static struct seen other;

static void cancel_both(struct seen *seen)
{
	seen->call = http_call_cancel(seen->call);
	other.call = http_call_cancel(other.call);
	memset(seen->body, 0, sizeof(seen->body)); /* nothing more may come */
	loop_stop(loop, 0);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop, 0);
}

static void settle(void)
{
	struct loop_timer *timer;

	assert_int_equal(loop_timer_new(loop, stop, NULL, &timer), 0);
	loop_timer_after(timer, S / 5);
	assert_int_equal(loop_run(loop), 0);
	loop_timer_free(timer);
}

static void test_cancel_within_data(void **state)
{
	static struct seen seen;
	struct http_call_options one = {.url = fake_http_url("plain", "/half-body"),
					.idle_ns = 30 * S};
	struct http_call_options two = {.url = fake_http_url("plain", "/silent"),
					.idle_ns = 30 * S};

	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(&other, 0, sizeof(other));
	seen.then = cancel_both;
	start(&other, &two);
	start(&seen, &one);
	assert_int_equal(loop_run(loop), 0);
	settle();
	assert_int_equal(seen.dones + other.dones + other.heads, 0);
	assert_string_equal(seen.body, "");
}

static void start_another(struct seen *seen)
{
	static struct http_call_options options;

	(void)seen;
	options = (struct http_call_options){.url = fake_http_url("plain", "/echo/other")};
	start(&other, &options);
}

/* Started within on_data, before the first one has ended; then within on_done. */
static void test_start_within_functions(void **state)
{
	static struct seen seen;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(&other, 0, sizeof(other));
	seen.then = start_another;
	get(&seen, "plain", "/echo/one");
	if (!other.dones)
		assert_int_equal(loop_run(loop), 0);
	expect_body(&other, "/echo/other");
	memset(&other, 0, sizeof(other));
	seen.after = start_another;
	get(&seen, "plain", "/echo/one");
	expect_body(&seen, "/echo/one");
	expect_body(&other, "/echo/other");
	seen.after = NULL;
}

static void cancel_other(struct seen *seen)
{
	other.call = http_call_cancel(other.call);
	(void)seen;
	loop_stop(loop, 0);
}

static void test_cancel_elsewhere(void **state)
{
	static struct seen seen;
	struct http_call_options silent = {.url = fake_http_url("plain", "/silent"),
					   .idle_ns = 30 * S};

	(void)state;
	memset(&other, 0, sizeof(other));
	start(&other, &silent);
	other.call = http_call_cancel(other.call); /* before it has begun */
	start(&other, &silent);
	seen.after = cancel_other;
	get(&seen, "plain", "/echo");
	seen.after = NULL;
	settle();
	assert_int_equal(other.dones + other.heads, 0);
	assert_null(http_call_cancel(NULL));
}

/* A look-up cannot be called back; nobody waits for it, and nobody is called. */
static void test_cancel_a_look_up(void **state)
{
	struct http_call_options options = {.url = "http://nowhere.invalid/"};

	(void)state;
	memset(&other, 0, sizeof(other));
	start(&other, &options);
	settle();
	if (!other.dones)
		other.call = http_call_cancel(other.call);
	memset(&other, 0, sizeof(other));
	start(&other, &options);
	client = http_client_free(client);
	settle();
	assert_int_equal(other.dones, 0);
	assert_int_equal(http_client_new(loop, &client), 0);
}

/* Many at once; the client goes while most are at work. */
static void test_many(void **state)
{
	static struct seen many[40];
	struct http_call_options options = {.url = fake_http_url("plain", "/echo")};
	unsigned dones = 0;

	(void)state;
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		start(&many[i], &options);
	while (dones < ARRAY_SIZE(many)) {
		assert_int_equal(loop_run(loop), 0);
		dones = 0;
		for (size_t i = 0; i < ARRAY_SIZE(many); i++)
			dones += many[i].dones;
	}
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		expect_body(&many[i], "\"method\"");
	memset(many, 0, sizeof(many));
	options.url = fake_http_url("plain", "/half-body");
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		start(&many[i], &options);
	settle();
	client = http_client_free(client);
	settle();
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		assert_int_equal(many[i].dones, 0);
	assert_int_equal(http_client_new(loop, &client), 0);
}

static int set_up(void **state)
{
	(void)state;
	fake_http_start();
	assert_int_equal(loop_new(&loop), 0);
	return http_client_new(loop, &client);
}

static int tear_down(void **state)
{
	(void)state;
	client = http_client_free(client);
	loop = loop_free(loop);
	fake_http_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_headers_and_body),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_redirect_is_not_followed),
		cmocka_unit_test(test_head_values),
		cmocka_unit_test(test_interim_and_trailers),
		cmocka_unit_test(test_connection_is_kept),
		cmocka_unit_test(test_connection_is_not_shared),
		cmocka_unit_test(test_refused_connection),
		cmocka_unit_test(test_no_such_name),
		cmocka_unit_test(test_ended_early),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_pieces_come_at_once),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_large_heads),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_trust_of_the_system),
		cmocka_unit_test(test_server_name),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_no_tls_where_it_should_be),
		cmocka_unit_test(test_environment_is_not_asked),
		cmocka_unit_test(test_secrets_are_wiped),
		cmocka_unit_test(test_results_of_functions),
		cmocka_unit_test(test_cancel_within_data),
		cmocka_unit_test(test_start_within_functions),
		cmocka_unit_test(test_cancel_elsewhere),
		cmocka_unit_test(test_cancel_a_look_up),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
