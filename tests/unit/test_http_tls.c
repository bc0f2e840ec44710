// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/fake_http.c tests/unit/fake_server.c */
/* MODULES: http crypto base */
/* LIBS: -lmicrohttpd -lgnutls -lcurl -lssl -lcrypto */
/* Requests over TLS that the thread of a loop answers, asked by libcurl: certificates that are replaced, those of
 * clients, bodies, headers and targets as they were sent, limits. */
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "fake_http.h"
#include "http/desk.h"
#include "http/tls.h"

#define BODY_MAX    20000
#define WAITING_MAX 4
#define DEADLINE_MS 20000
#define PATIENCE_S  60

static struct loop *loop;
static struct http_tls *tls;
static struct http_desk *desk;
static struct http_ticket *held[WAITING_MAX];
static size_t n_held;
static uint16_t port;
static pthread_t thread;
static int ctl[2];

/* ---- the server: says what it was asked ---- */

static void describe(const struct http_ask *ask, struct text *body)
{
	size_t twice;
	const char *value = http_ask_get(ask, "x-twice", &twice);

	text_add(body, ask->method);
	text_add(body, " ");
	text_add(body, ask->target);
	text_add(body, " peer=");
	text_add(body, ask->peer ?: "-");
	text_addf(body, " twice=%zu:%s refuse=%u body=%zu:", twice, value ?: "-", ask->refuse,
		  ask->body_len);
	text_add(body, ask->body_len < 100 ? ask->body : "");
}

static void on_ticket(void *arg, struct http_ticket *ticket)
{
	const struct http_ask *ask = http_ticket_ask(ticket);
	struct http_response resp = {};

	(void)arg;
	if (!strcmp(ask->target, "/hold")) {
		held[n_held++] = ticket;
		assert_int_equal(write(ctl[1], "h", 1), 1);
		return;
	}
	http_response_begin(&resp, ask->refuse ?: 200, "text/plain");
	describe(ask, &resp.body);
	http_ticket_answer(ticket, &resp);
}

static void release(void *arg)
{
	(void)arg;
	while (n_held) {
		struct http_response resp = {};

		http_response_begin(&resp, 200, "text/plain");
		text_add(&resp.body, "held");
		http_ticket_answer(held[--n_held], &resp);
	}
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop, 0);
}

static void *run(void *arg)
{
	(void)arg;
	assert_int_equal(loop_run(loop), 0);
	return NULL;
}

static int make_listener(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, SOMAXCONN), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	port = ntohs(sa.sin_port);
	return fd;
}

static void use_pair(const char *name)
{
	char certificate[32], key[32];
	struct pc_err err = {};

	snprintf(certificate, sizeof(certificate), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	if (http_tls_set_pair(tls, fake_http_file(certificate), fake_http_file(key), &err) < 0)
		fail_msg("%s: %s", name, err.msg);
}

static int setup(void **state)
{
	_cleanup_close_ int fd = make_listener();
	struct http_desk_options options = {.waiting_max = WAITING_MAX,
					    .deadline_ms = DEADLINE_MS,
					    .handle = on_ticket,
					    .server = {.listen_fds = &fd,
						       .n_listen_fds = 1,
						       .limits = {16, 16, 16},
						       .threads = 2,
						       .request_timeout_ms = 3000,
						       .body_max = BODY_MAX}};
	struct pc_err err = {};

	(void)state;
	assert_int_equal(pipe(ctl), 0);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(http_tls_new(&tls), 0);
	use_pair("ok");
	options.loop = loop;
	options.server.tls = tls;
	if (http_desk_start(&options, &desk, &err) < 0)
		fail_msg("%s", err.msg);
	return pthread_create(&thread, NULL, run, NULL);
}

static int teardown(void **state)
{
	(void)state;
	loop_post(loop, stop, NULL);
	pthread_join(thread, NULL);
	http_desk_stop(desk);
	release(NULL); /* nobody gets it, and nothing leaks */
	loop_free(loop);
	http_tls_free(tls);
	close(ctl[0]);
	close(ctl[1]);
	return 0;
}

/* ---- the client ---- */

struct got {
	char text[1024];
	size_t len;
	long status;
};

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct got *got = arg;

	(void)size;
	if (got->len + n >= sizeof(got->text))
		return 0;
	memcpy(got->text + got->len, data, n);
	got->len += n;
	got->text[got->len] = '\0';
	return n;
}

static CURL *make_client(const char *path, const char *ca, struct got *got)
{
	CURL *curl = curl_easy_init();
	char url[200];

	memset(got, 0, sizeof(*got));
	snprintf(url, sizeof(url), "https://127.0.0.1:%u%s", port, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_CAINFO, fake_http_path(ca));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, got);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)PATIENCE_S);
	return curl;
}

static CURLcode finish(CURL *curl, struct got *got)
{
	CURLcode r = curl_easy_perform(curl);

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &got->status);
	curl_easy_cleanup(curl);
	return r;
}

static CURLcode get(const char *path, const char *ca, struct got *got)
{
	return finish(make_client(path, ca, got), got);
}

static CURLcode get_as(const char *client, struct got *got)
{
	CURL *curl = make_client("/", "ca.pem", got);
	char name[32];

	snprintf(name, sizeof(name), "%s.pem", client);
	curl_easy_setopt(curl, CURLOPT_SSLCERT, fake_http_path(name));
	snprintf(name, sizeof(name), "%s.key", client);
	curl_easy_setopt(curl, CURLOPT_SSLKEY, fake_http_path(name));
	return finish(curl, got);
}

static CURLcode post(size_t len, const char *header, struct got *got)
{
	struct curl_slist *headers = curl_slist_append(NULL, header ?: "X: y");
	CURL *curl = make_client("/post", "ca.pem", got);
	_cleanup_free_ char *body = malloc(len);
	CURLcode r;

	memset(body, 'b', len);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)len);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	r = finish(curl, got);
	curl_slist_free_all(headers);
	return r;
}

#define CHECK_GOT(got, code, what)                                                                 \
	do {                                                                                       \
		if ((got).status != (code) || !strstr((got).text, (what)))                         \
			fail_msg("%ld %s, not %d %s", (got).status, (got).text, (code), (what));   \
	} while (0)

/* ---- */

static void test_certificate(void **state)
{
	struct pc_err err = {};
	struct got got;

	(void)state;
	assert_int_equal(get("/", "ca.pem", &got), CURLE_OK);
	CHECK_GOT(got, 200, "GET / peer=-");
	assert_int_equal(get("/", "ca2.pem", &got), CURLE_PEER_FAILED_VERIFICATION);
	use_pair("ok2");
	assert_int_equal(get("/", "ca2.pem", &got), CURLE_OK);
	assert_int_equal(get("/", "ca.pem", &got), CURLE_PEER_FAILED_VERIFICATION);
	assert_int_equal(
		http_tls_set_pair(tls, fake_http_file("ok.pem"), fake_http_file("ok2.key"), &err),
		-EINVAL);
	assert_non_null(strstr(err.msg, "another key"));
	assert_int_equal(http_tls_set_pair(tls, "", fake_http_file("ok2.key"), &err), -EINVAL);
	assert_int_equal(http_tls_set_pair(tls, fake_http_file("ok.pem"), "x", &err), -EINVAL);
	assert_int_equal(get("/", "ca2.pem", &got), CURLE_OK);
}

/* A connection that was made before goes on with what it has. */
static void test_replaced_meanwhile(void **state)
{
	struct got got;
	CURL *curl = make_client("/", "ca.pem", &got);
	long new_ones;

	(void)state;
	assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	use_pair("ok2");
	use_pair("ok2");
	assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &new_ones);
	assert_int_equal(new_ones, 0);
	curl_easy_cleanup(curl);
}

static void test_clients(void **state)
{
	struct pc_err err = {};
	struct got got;

	(void)state;
	assert_int_equal(get_as("client", &got), CURLE_OK);
	CHECK_GOT(got, 200, "peer=-"); /* nobody is believed yet */
	assert_int_equal(http_tls_set_clients(tls, fake_http_file("ca.pem"), &err), 0);
	assert_int_equal(get_as("client", &got), CURLE_OK);
	CHECK_GOT(got, 200, "peer=client");
	assert_int_equal(get("/", "ca.pem", &got), CURLE_OK);
	CHECK_GOT(got, 200, "peer=-");
	/* of another authority, and one whose time is over */
	assert_int_equal(get_as("ok2", &got), CURLE_OK);
	CHECK_GOT(got, 200, "peer=-");
	assert_int_equal(get_as("expired", &got), CURLE_OK);
	CHECK_GOT(got, 200, "peer=-");
	assert_int_equal(http_tls_set_clients(tls, "nonsense", &err), -EINVAL);
	assert_int_equal(get_as("client", &got), CURLE_OK);
	CHECK_GOT(got, 200, "peer=client");
	assert_int_equal(http_tls_set_clients(tls, fake_http_file("ca2.pem"), &err), 0);
	assert_int_equal(get_as("client", &got), CURLE_OK);
	CHECK_GOT(got, 200, "peer=-");
	assert_int_equal(http_tls_set_clients(tls, NULL, &err), 0);
	assert_int_equal(get_as("client", &got), CURLE_OK);
	CHECK_GOT(got, 200, "peer=-");
}

static void test_as_sent(void **state)
{
	struct curl_slist *headers = curl_slist_append(NULL, "X-Twice:  a b ");
	struct got got;
	CURL *curl = make_client("/tags/arn%3Aaws%2Fx//..?b=%20&a=+", "ca.pem", &got);

	(void)state;
	headers = curl_slist_append(headers, "x-tWICE: c");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	assert_int_equal(finish(curl, &got), CURLE_OK);
	CHECK_GOT(got, 200, "DELETE /tags/arn%3Aaws%2Fx//..?b=%20&a=+ peer=- twice=2:a b refuse=0");
	curl_slist_free_all(headers);
}

static void test_bodies(void **state)
{
	struct got got;

	(void)state;
	assert_int_equal(post(5, NULL, &got), CURLE_OK);
	CHECK_GOT(got, 200, "body=5:bbbbb");
	assert_int_equal(post(5, "Transfer-Encoding: chunked", &got), CURLE_OK);
	CHECK_GOT(got, 200, "body=5:bbbbb");
	assert_int_equal(post(5, "Transfer-Encoding: gzip, chunked", &got), CURLE_OK);
	CHECK_GOT(got, 400, "refuse=400");
	assert_int_equal(post(BODY_MAX, NULL, &got), CURLE_OK);
	CHECK_GOT(got, 200, "body=20000:");
	assert_int_equal(post(BODY_MAX + 1, "Expect: 100-continue", &got), CURLE_OK);
	CHECK_GOT(got, 413, "refuse=413");
	/* not announced: cut off */
	post(BODY_MAX + 1, "Transfer-Encoding: chunked", &got);
	assert_int_equal(got.status, 0);
	assert_int_equal(post(0, NULL, &got), CURLE_OK);
	CHECK_GOT(got, 200, "body=0:");
}

static void *hold(void *arg)
{
	get("/hold", "ca.pem", arg);
	return NULL;
}

/* They wait without a thread of the server; one too many is told so; all get their answers. */
static void test_waiting(void **state)
{
	pthread_t threads[WAITING_MAX];
	struct got got, held_got[WAITING_MAX];
	char c;

	(void)state;
	for (size_t i = 0; i < WAITING_MAX; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, hold, &held_got[i]), 0);
		assert_int_equal(read(ctl[0], &c, 1), 1);
	}
	assert_int_equal(get("/", "ca.pem", &got), CURLE_OK);
	CHECK_GOT(got, 503, "too many");
	assert_int_equal(loop_post(loop, release, NULL), 0);
	for (size_t i = 0; i < WAITING_MAX; i++) {
		pthread_join(threads[i], NULL);
		CHECK_GOT(held_got[i], 200, "held");
	}
	assert_int_equal(get("/", "ca.pem", &got), CURLE_OK);
	CHECK_GOT(got, 200, "GET /");
}

/* Its ticket is answered all the same. */
static void test_client_goes(void **state)
{
	struct got got;
	CURL *curl = make_client("/hold", "ca.pem", &got);

	(void)state;
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 500L);
	assert_int_equal(finish(curl, &got), CURLE_OPERATION_TIMEDOUT);
	assert_int_equal(loop_post(loop, release, NULL), 0);
	assert_int_equal(get("/", "ca.pem", &got), CURLE_OK);
	CHECK_GOT(got, 200, "GET /");
}

/* Who does not even begin the handshake, or sends half of it, is cut off. */
static void test_slow(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct pollfd p[2];
	struct got got;
	char c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
				       .events = POLLIN};
		assert_int_equal(connect(p[i].fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	}
	assert_int_equal(send(p[1].fd, "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6);
	assert_int_equal(get("/", "ca.pem", &got), CURLE_OK);
	CHECK_GOT(got, 200, "GET /");
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		assert_int_equal(poll(&p[i], 1, PATIENCE_S * 1000), 1);
		assert_true(recv(p[i].fd, &c, 1, 0) <= 0);
		close(p[i].fd);
	}
}

/* One address that takes all connections there are costs another one none. */
static void test_shares(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK + 1)}};
	struct got got;
	CURL *curl = make_client("/", "ca.pem", &got);
	long new_ones;
	int fds[40];

	(void)state;
	assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fds[i], (struct sockaddr *)&from, sizeof(from)), 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&to, sizeof(to)), 0);
	}
	assert_int_equal(get("/", "ca.pem", &got), CURLE_OK);
	memset(&got, 0, sizeof(got));
	assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &new_ones);
	assert_int_equal(new_ones, 0);
	curl_easy_cleanup(curl);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static int begin(void **state)
{
	(void)state;
	fake_http_start();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	return 0;
}

static int end(void **state)
{
	(void)state;
	fake_http_stop();
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_certificate), TEST(test_replaced_meanwhile),
		TEST(test_clients),	TEST(test_as_sent),
		TEST(test_bodies),	TEST(test_waiting),
		TEST(test_client_goes), TEST(test_slow),
		TEST(test_shares),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
