// SPDX-License-Identifier: Apache-2.0
/* SOURCES: tests/unit/agent_harness.c */
/* MODULES: agent credentials aws http upstream crypto yaml base */
/* LIBS: -lmicrohttpd -lgnutls -ljansson -lyaml -lpcre2-8 -lcrypto */
/* Requests of every shape over real sockets, and what comes back. */
#include "agent_harness.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

static void test_container(void **state)
{
	struct answer a = ask(GET23 "\r\n");

	(void)state;
	assert_credentials(&a);
	assert_string_equal(find_header(&a, "Content-Type"), "application/json");
	assert_null(find_header(&a, "Server"));
	a = ask("HEAD /v1/credentials HTTP/1.1\r\n" HOST23 "\r\n");
	assert_int_equal(a.status, 200);
	assert_true(atoi(find_header(&a, "Content-Length")) > 100);
	a = ask("GET /v1%2Fcredentials HTTP/1.1\r\n" HOST23 "\r\n");
	assert_int_equal(a.status, 400);
	a = ask("GET /v1/credentials HTTP/1.1\r\nHost: evil.example\r\n\r\n");
	assert_int_equal(a.status, 403);
	assert_string_equal(find_header(&a, "Connection"), "close");
	a = ask(GET23 "Host: evil.example\r\n\r\n");
	assert_int_equal(a.status, 403);
	a = ask(GET23 "x-FORWARDED-for: 10.0.0.1\r\n\r\n");
	assert_int_equal(a.status, 403);
}

static void test_keep_alive(void **state)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	(void)state;
	for (int i = 0; i < 5; i++) {
		send_text(fd, GET23 "\r\n");
		assert_true(read_answer(fd, false, &a));
		assert_credentials(&a);
	}
	send_text(fd, "HEAD /v1/credentials HTTP/1.1\r\n" HOST23 "\r\n");
	assert_true(read_answer(fd, true, &a));
	send_text(fd, GET23 "Connection: close\r\n\r\n");
	assert_true(read_answer(fd, false, &a));
	assert_credentials(&a);
	assert_true(at_end(fd));
}

static void test_pipelined(void **state)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	(void)state;
	send_text(fd, GET23 "\r\nGET /nothing HTTP/1.1\r\n" HOST23 "\r\n" GET23 "\r\n");
	assert_true(read_answer(fd, false, &a));
	assert_credentials(&a);
	assert_true(read_answer(fd, false, &a));
	assert_int_equal(a.status, 404);
	assert_true(read_answer(fd, false, &a));
	assert_credentials(&a);
}

static void test_http10(void **state)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	(void)state;
	send_text(fd, "GET /v1/credentials HTTP/1.0\r\n\r\n");
	assert_true(read_answer(fd, false, &a));
	assert_credentials(&a);
	assert_true(at_end(fd));
}

/* 64 kB of headers, in one line and in many: an error or the end, and the server lives. */
static void test_large_headers(void **state)
{
	static char one[65536], many[65536];
	struct answer a;

	(void)state;
	memset(one, 'x', sizeof(one));
	for (size_t i = 0; i + 16 <= sizeof(many); i += 16)
		memcpy(many + i, "Header: abcdef\r\n", 16);
	for (int i = 0; i < 2; i++) {
		_cleanup_close_ int fd = dial();

		send_text(fd, GET23);
		if (i == 0)
			send_text(fd, "X: ");
		send_all(fd, i ? many : one, sizeof(one));
		send_text(fd, "\r\n\r\n");
		if (read_answer(fd, false, &a))
			assert_true(a.status == 431 || a.status == 413);
		assert_true(at_end(fd));
	}
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
}

static void test_odd_requests(void **state)
{
	static const char *const refused[] = {
		"BREW /v1/credentials HTTP/1.1\r\n" HOST23 "\r\n",
		"CONNECT 169.254.169.254:80 HTTP/1.1\r\n" HOST23 "\r\n",
		"OPTIONS * HTTP/1.1\r\n" HOST23 "\r\n",
		"GET http://169.254.170.23/v1/credentials HTTP/1.1\r\n" HOST23 "\r\n",
		"GET /v1/credentials HTTP/1.1\r\n\r\n",
		"GET /v1/credentials HTTP/1.1\r\nno colon\r\n" HOST23 "\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		_cleanup_close_ int fd = dial();
		struct answer a;

		send_text(fd, refused[i]);
		shutdown(fd, SHUT_WR);
		if (read_answer(fd, false, &a) && (a.status < 400 || a.status >= 500))
			fail_msg("%d for %s", a.status, refused[i]);
		assert_null(strstr(a.body, "se/cret"));
	}
}

/* Sends all at once. Whatever comes back, it is status, and then the connection ends. */
static void check_refused(const char *request, size_t len, int status)
{
	_cleanup_close_ int fd = dial();
	struct answer a = {};

	send_all(fd, request, len);
	/* what libmicrohttpd refuses by itself may get no answer at all */
	if (read_answer(fd, false, &a) ? a.status != status : status != 0)
		fail_msg("%d, not %d: %s", a.status, status, request);
	if (strstr(a.body, "se/cret"))
		fail_msg("leaks: %s", request);
	while (!at_end(fd))
		; /* libmicrohttpd 0.9.75 writes some of its own refusals with two heads */
}

/* Whoever relays says so, if he is honest; the words are found however they are written. */
static void test_relayed(void **state)
{
#define RELAYED(text)                                                                              \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}
	static const struct {
		const char *text;
		size_t len;
	} relayed[] = {
		RELAYED(GET23 "X-Forwarded-For: 10.0.0.1\r\n\r\n"),
		RELAYED(GET23 "X-Forwarded-For:\r\n\r\n"),
		RELAYED(GET23 "X-Forwarded-For:\r\n 10.0.0.1\r\n\r\n"),
		RELAYED(GET23 "X-Forwarded-For: 10.0.0.1,\r\n\t10.0.0.2\r\n\r\n"),
		RELAYED("GET /v1/credentials HTTP/1.1\n" HOST23 "X-Forwarded-For: 1\n\n"),
		RELAYED(GET23 "forwarded: for=10.0.0.1\r\n\r\n"),
		RELAYED(GET23 "Via: 1.1 proxy\r\n\r\n"),
		RELAYED(GET23 "X-Real-IP: 10.0.0.1\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(relayed); i++)
		check_refused(relayed[i].text, relayed[i].len, 403);
	atomic_store(&identity, IMDS_NAMED);
	check_refused("PUT /latest/api/token HTTP/1.1\r\n" HOST254 "Via: 1.1 x\r\n"
		      "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n",
		      strlen("PUT /latest/api/token HTTP/1.1\r\n" HOST254 "Via: 1.1 x\r\n"
			     "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"),
		      403);
}

/* What two parsers could read in two ways: neither reading is taken. */
static void test_ambiguous(void **state)
{
#define PUT23 "PUT /v1/credentials HTTP/1.1\r\n" HOST23
	static const struct {
		int status; /* 0: the end without an answer */
		const char *text;
	} odd[] = {
		{400, GET23 "X-Forwarded-For : 10.0.0.1\r\n\r\n"},
		{400, GET23 "X-Forwarded-For\t: 10.0.0.1\r\n\r\n"},
		{400, GET23 "Accept: a\r\n X-Forwarded-For: 10.0.0.1\r\n\r\n"},
		{400, GET23 "X-Forwarded-\r\n For: 10.0.0.1\r\n\r\n"},
		{400, "GET /v1/credentials HTTP/1.1\r\n X-Forwarded-For: 1\r\n" HOST23 "\r\n"},
		{400, GET23 "Accept: a\rX-Forwarded-For: 10.0.0.1\r\n\r\n"},
		{400, GET23 "Host:\r\n evil.example\r\n\r\n"},
		{400, GET23 "Content-Length: 5\r\n\r\nhello"},
		{400, GET23 "Content-Length : 5\r\n\r\nhello"},
		{400, GET23 "Content-Length:\r\n 5\r\n\r\nhello"},
		{400, GET23 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{400, GET23 "Transfer-Encoding: identity\r\n\r\n"},
		{400, GET23 "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{400, PUT23 "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Forwarded-For: 1\r\n\r\n"},
		{400, PUT23 "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
		{400, PUT23 "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"},
		{400, PUT23 "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{400, PUT23 "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello"},
		{400, PUT23 "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
		{400, PUT23 "Content-Length: 5, 5\r\n\r\nhello"},
		{400, PUT23 "Content-Length: +5\r\n\r\nhello"},
		{400, "GET /v1/credentials\r\n\r\n"},
		{0, "GET /v1/credentials  HTTP/1.1\r\n" HOST23 "\r\n"},
		{0, "GET /v1/credentials x HTTP/1.1\r\n" HOST23 "\r\n"},
		{0, "GET\t/v1/credentials\tHTTP/1.1\r\n" HOST23 "\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
		check_refused(odd[i].text, strlen(odd[i].text), odd[i].status);
}

/* R13: all the ways to send a PUT without a body, and bodies that are ignored. */
static void test_token(void **state)
{
	static const char *const bodies[] = {
		"\r\n",
		"Content-Length: 0\r\n\r\n",
		"Content-Length: 5\r\n\r\nhello",
	};
	char request[1024];
	struct answer a;

	(void)state;
	atomic_store(&identity, IMDS_NAMED);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		_cleanup_close_ int fd = dial();

		snprintf(request, sizeof(request),
			 "PUT /latest/api/token HTTP/1.1\r\n" HOST254
			 "X-aws-ec2-metadata-token-ttl-seconds:  21600 \t\r\n%s",
			 bodies[i]);
		send_text(fd, request);
		assert_true(read_answer(fd, false, &a));
		assert_int_equal(a.status, 200);
		assert_string_equal(find_header(&a, "x-aws-ec2-metadata-token-ttl-seconds"),
				    "21600");
		assert_string_equal(find_header(&a, "Server"), "EC2ws");
		snprintf(request, sizeof(request),
			 "GET " CREDS " HTTP/1.1\r\n" HOST254
			 "X-aws-ec2-metadata-token:\t%.60s \r\n\r\n",
			 a.body);
		send_text(fd, request);
		assert_true(read_answer(fd, false, &a));
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body, "web-role");
	}
	/* the token outlives the server (R11) */
	restart(60000, 0);
	a = ask(request);
	assert_int_equal(a.status, 200);
	a = ask("GET " CREDS "web-role HTTP/1.1\r\n" HOST254 "X-aws-ec2-metadata-token: x\r\n\r\n");
	assert_int_equal(a.status, 401);
	a = ask("GET " CREDS "web-role HTTP/1.1\r\n" HOST254 "\r\n");
	assert_credentials(&a);
}

static void test_large_body(void **state)
{
	struct answer a;

	(void)state;
	atomic_store(&identity, IMDS_NAMED);
	a = ask("PUT /latest/api/token HTTP/1.1\r\n" HOST254 "Content-Length: 99999999\r\n\r\n");
	assert_int_equal(a.status, 413);
	a = ask("GET " CREDS " HTTP/1.1\r\n" HOST254 "\r\n");
	assert_int_equal(a.status, 200);
}

#define HOST83 "Host: 169.254.170.83\r\n"
#define ASSUME                                                                                     \
	"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=web&"                 \
	"RoleArn=arn:aws:iam::111122223333:role/web-role&WebIdentityToken=a.b.c"

static void post(int fd, const char *headers, size_t len)
{
	char text[300];

	snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n%sContent-Length: %zu\r\n\r\n", headers,
		 len);
	send_text(fd, text);
}

/* What a parameter that is there says: the whole body was read. The association has no account. */
static void assert_read(const struct answer *a)
{
	assert_int_equal(a->status, 403);
	assert_string_equal(find_header(a, "Content-Type"), "text/xml");
	assert_non_null(strstr(a->body, "needs an accountId"));
}

/* In pieces, and in one with its head. */
static void test_body(void **state)
{
	_cleanup_close_ int fd = dial(), other = dial();
	struct answer a;

	(void)state;
	atomic_store(&identity, STS_NAMED);
	post(fd, HOST83, strlen(ASSUME));
	send_all(fd, ASSUME, 60);
	send_all(fd, ASSUME + 60, strlen(ASSUME) - 60);
	assert_true(read_answer(fd, false, &a));
	assert_read(&a);
	post(other, HOST83 "Expect: 100-continue\r\n", strlen(ASSUME));
	assert_true(read_answer(other, true, &a));
	assert_int_equal(a.status, 100);
	send_text(other, ASSUME);
	assert_true(read_answer(other, false, &a));
	assert_read(&a);
	a = ask("GET /?" ASSUME " HTTP/1.1\r\n" HOST83 "\r\n");
	assert_read(&a);
}

/* Who has no service with bodies must not fill the memory. */
static void test_body_bounds(void **state)
{
	static const struct {
		int identity;
		size_t len;
		int status;
		const char *text;
	} cases[] = {
		{STS_NAMED, 16384, 400, "MalformedQueryString"},
		{STS_NAMED, 16385, 413, ""},
		{NAMED, 4096, 404, ""},
		{NAMED, 4097, 413, ""},
		{UNSTAMPED, 4096, 403, ""},
		{UNSTAMPED, 4097, 413, ""},
	};
	static char body[16385];

	(void)state;
	memset(body, 'x', sizeof(body));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_close_ int fd = dial();
		struct answer a;

		atomic_store(&identity, cases[i].identity);
		post(fd, cases[i].identity == STS_NAMED ? HOST83 : HOST23, cases[i].len);
		if (cases[i].status != 413)
			send_all(fd, body, cases[i].len);
		assert_true(read_answer(fd, false, &a));
		if (a.status != cases[i].status || !strstr(a.body, cases[i].text))
			fail_msg("%zu: %d %s", i, a.status, a.body);
	}
}

static void test_outsiders(void **state)
{
	static const int kinds[] = {UNSTAMPED, DIRECT};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct answer a;

		atomic_store(&identity, kinds[i]);
		a = ask(GET23 "\r\n");
		assert_int_equal(a.status, 403);
		assert_null(strstr(a.body, "se/cret"));
		assert_string_equal(find_header(&a, "Connection"), "close");
		a = ask("GET /healthz HTTP/1.1\r\nHost: 10.0.0.1:8080\r\n\r\n");
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body, "ok");
	}
}

static int health(void)
{
	return ask("GET /healthz HTTP/1.1\r\nHost: 10.0.0.1:8080\r\n\r\n").status;
}

/* The lease lives by health checks: it must not outlive a loop that hangs. */
static void test_stalled_loop(void **state)
{
	struct answer a;

	(void)state;
	stop_loop();
	atomic_store(&identity, UNSTAMPED);
	while (health() == 200) /* as long as it takes */
		poll(NULL, 0, 20);
	assert_int_equal(health(), 503);
	atomic_store(&identity, NAMED); /* who can be served is served */
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
	start_loop();
	atomic_store(&identity, UNSTAMPED);
	while (health() != 200)
		poll(NULL, 0, 20);
}

/* An identity that ends, ends at once, also on a connection that had it before. */
static void test_identity_per_request(void **state)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	(void)state;
	send_text(fd, GET23 "\r\n");
	assert_true(read_answer(fd, false, &a));
	assert_credentials(&a);
	atomic_store(&identity, UNSTAMPED);
	send_text(fd, GET23 "\r\n");
	assert_true(read_answer(fd, false, &a));
	assert_int_equal(a.status, 403);
	assert_true(at_end(fd));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_container),
		TEST(test_keep_alive),
		TEST(test_pipelined),
		TEST(test_http10),
		TEST(test_large_headers),
		TEST(test_odd_requests),
		TEST(test_token),
		TEST(test_large_body),
		TEST(test_outsiders),
		TEST(test_stalled_loop),
		TEST(test_identity_per_request),
		TEST(test_relayed),
		TEST(test_ambiguous),
		TEST(test_body),
		TEST(test_body_bounds),
	};

	return run_agent_tests(tests, ARRAY_SIZE(tests));
}
