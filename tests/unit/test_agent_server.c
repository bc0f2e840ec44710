// SPDX-License-Identifier: Apache-2.0
/* SOURCES: user/agent/server.c user/agent/handler.c user/agent/listen.c user/agent/conns.c user/agent/waiting.c user/agent/audit.c user/agent/dispatch.c user/agent/container.c user/agent/imds.c user/agent/destination.c user/agent/path.c user/agent/response.c user/agent/text.c user/agent/timestamp.c user/agent/token.c user/agent/provider_static.c user/agent/associations.c user/agent/associations_file.c user/agent/associations_yaml.c user/agent/associations_locate.c user/base/addr.c user/base/parse.c user/base/err.c user/base/log.c */
/* LIBS: -lmicrohttpd -ljansson -lcyaml -lyaml -lcrypto */
/* The whole server over real sockets on 127.0.0.1, with a made-up identity for every caller. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <podcred/podcred.h>

#include "agent.h"
#include "cleanup.h"

#define HOST23	"Host: 169.254.170.23\r\n"
#define HOST254 "Host: 169.254.169.254\r\n"
#define GET23	"GET /v1/credentials HTTP/1.1\r\n" HOST23
#define CREDS	"/latest/meta-data/iam/security-credentials/"
#define FILE_TEXT(id)                                                                              \
	"associations:\n  - namespace: shop\n    serviceAccount: web\n    role: web-role\n"        \
	"    static:\n      accessKeyId: " id "\n      secretAccessKey: se/cret\n"                 \
	"      sessionToken: token\n"

/* ---- identities ---- */

enum identity { NAMED, UNNAMED, UNSTAMPED, DIRECT, IMDS_NAMED, IMDS_UNNAMED };

static atomic_int identity;
static atomic_int asked; /* how often the fake was asked */
static atomic_int named_after; /* UNNAMED callers get a name after that many questions; 0: never */

int podcred_peer(int fd, struct podcred_peer *peer, size_t size)
{
	(void)fd;
	(void)peer;
	(void)size;
	return -ENOPROTOOPT;
}

static void set_name(struct podcred_peer *peer)
{
	peer->flags |= PODCRED_PEER_NAMED;
	strcpy(peer->pod_uid, "5f1b0c1e-6d3a-4f0e-8d61-0a4b2d7e9c11");
	strcpy(peer->pod_namespace, "shop");
	strcpy(peer->pod_name, "web-0");
	strcpy(peer->service_account, "web");
}

static int fake_peer(int fd, struct podcred_peer *ret, size_t size)
{
	struct podcred_peer peer = {.size = sizeof(peer),
				    .pod_cgroup_id = 77,
				    .port = 80,
				    .address = {[10] = 0xff, 0xff, 169, 254, 170, 23}};
	int kind = atomic_load(&identity), count = atomic_fetch_add(&asked, 1) + 1;
	int after = atomic_load(&named_after);

	if (fd < 0 || size != sizeof(peer))
		abort();
	if (kind == UNSTAMPED)
		return -ENODATA;
	if (kind == DIRECT)
		peer.flags |= PODCRED_PEER_DIRECT;
	if (kind == IMDS_NAMED || kind == IMDS_UNNAMED) {
		peer.address[14] = 169;
		peer.address[15] = 254;
	}
	if (kind == NAMED || kind == IMDS_NAMED || kind == DIRECT || (after && count > after))
		set_name(&peer);
	*ret = peer;
	return 0;
}

/* ---- the server under test ---- */

static struct agent_server *server;
static char file_path[] = "/tmp/podcred-test-XXXXXX";
static uint16_t port;

static void write_file(const char *text)
{
	FILE *f = fopen(file_path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int make_listener(uint16_t *ret_port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 100), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

static void start(unsigned name_wait_ms, unsigned max_pod_connections)
{
	_cleanup_close_ int fd = make_listener(&port);
	struct agent_options options = {
		.listen_fds = &fd,
		.n_listen_fds = 1,
		.associations_path = file_path,
		.token_key = {1, 2, 3},
		.peer = fake_peer,
		.name_wait_ms = name_wait_ms,
		.imds_name_wait_ms = name_wait_ms,
		.max_pod_connections = max_pod_connections,
	};
	struct pc_err err = {};

	if (agent_server_start(&options, &server, &err) < 0)
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	(void)state;
	atomic_store(&identity, NAMED);
	atomic_store(&asked, 0);
	atomic_store(&named_after, 0);
	write_file(FILE_TEXT("AKIAONE"));
	start(60000, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	agent_server_stop(server);
	server = NULL;
	return 0;
}

static void restart(unsigned name_wait_ms, unsigned max_pod_connections)
{
	agent_server_stop(server);
	start(name_wait_ms, max_pod_connections);
}

/* ---- a client that sends exactly what it is told ---- */

struct answer {
	int status;
	char head[4096];
	char body[20000];
	size_t len;
};

static int dial(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct timeval patience = {.tv_sec = 60}; /* a hang, not a measurement */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* The server may answer and close before it has read everything. */
static void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

static void send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

static const char *find_header(const struct answer *a, const char *name)
{
	static _Thread_local char value[256];
	size_t len = strlen(name);

	for (const char *p = strstr(a->head, "\r\n"); p; p = strstr(p + 2, "\r\n")) {
		if (strncasecmp(p + 2, name, len) != 0 || p[2 + len] != ':')
			continue;
		sscanf(p + 3 + len, " %255[^\r]", value);
		return value;
	}
	return NULL;
}

/* One answer, by its Content-Length, or to the end of the stream. false: nothing but the end. */
static bool read_answer(int fd, bool head, struct answer *a)
{
	const char *length;
	size_t n = 0, want;

	memset(a, 0, sizeof(*a));
	while (!strstr(a->head, "\r\n\r\n")) {
		assert_true(n < sizeof(a->head) - 1);
		if (recv(fd, a->head + n, 1, 0) != 1)
			return false;
		n++;
	}
	assert_int_equal(sscanf(a->head, "HTTP/1.%*d %d", &a->status), 1);
	length = find_header(a, "Content-Length");
	want = head ? 0 : length ? strtoul(length, NULL, 10) : sizeof(a->body) - 1;
	assert_true(want < sizeof(a->body));
	while (a->len < want) {
		ssize_t got = recv(fd, a->body + a->len, want - a->len, 0);

		if (got <= 0)
			break;
		a->len += (size_t)got;
	}
	return true;
}

static bool at_end(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) <= 0;
}

/* One request on a connection of its own. */
static struct answer ask(const char *request)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	send_text(fd, request);
	assert_true(read_answer(fd, !strncmp(request, "HEAD", 4), &a));
	return a;
}

static void assert_credentials(const struct answer *a)
{
	assert_int_equal(a->status, 200);
	assert_non_null(strstr(a->body, "\"AccessKeyId\":\"AKIAONE\""));
}

/* ---- tests ---- */

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

/* R13: all the ways to send a PUT without a body, and bodies that are ignored. */
static void test_token(void **state)
{
	static const char *const bodies[] = {
		"\r\n",
		"Content-Length: 0\r\n\r\n",
		"Content-Length: 5\r\n\r\nhello",
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	};
	char request[1024];
	struct answer a;

	(void)state;
	atomic_store(&identity, IMDS_NAMED);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		_cleanup_close_ int fd = dial();

		snprintf(request, sizeof(request),
			 "PUT /latest/api/token HTTP/1.1\r\n" HOST254
			 "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n%s",
			 bodies[i]);
		send_text(fd, request);
		assert_true(read_answer(fd, false, &a));
		assert_int_equal(a.status, 200);
		assert_string_equal(find_header(&a, "x-aws-ec2-metadata-token-ttl-seconds"),
				    "21600");
		assert_string_equal(find_header(&a, "Server"), "EC2ws");
		snprintf(request, sizeof(request),
			 "GET " CREDS " HTTP/1.1\r\n" HOST254
			 "X-aws-ec2-metadata-token: %.60s\r\n\r\n",
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
	static const char head[] = "PUT /latest/api/token HTTP/1.1\r\n" HOST254;
	static char chunk[9000];
	struct answer a;

	(void)state;
	atomic_store(&identity, IMDS_NAMED);
	memset(chunk, 'x', sizeof(chunk));
	a = ask("PUT /latest/api/token HTTP/1.1\r\n" HOST254 "Content-Length: 99999999\r\n\r\n");
	assert_int_equal(a.status, 413);
	for (int i = 0; i < 1; i++) {
		_cleanup_close_ int fd = dial();

		send_text(fd, head);
		send_text(fd, "Transfer-Encoding: chunked\r\n\r\n2328\r\n");
		send_all(fd, chunk, sizeof(chunk));
		send_text(fd, "\r\n0\r\n\r\n");
		assert_true(!read_answer(fd, false, &a) || a.status >= 400);
	}
	a = ask("GET " CREDS " HTTP/1.1\r\n" HOST254 "\r\n");
	assert_int_equal(a.status, 200);
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

static void test_named_late(void **state)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	(void)state;
	atomic_store(&identity, UNNAMED);
	atomic_store(&named_after, 8);
	send_text(fd, GET23 "\r\n" GET23 "\r\n");
	for (int i = 0; i < 2; i++) {
		assert_true(read_answer(fd, false, &a));
		assert_credentials(&a);
	}
	assert_true(atomic_load(&asked) > 8);
}

static void test_never_named(void **state)
{
	struct answer a;

	(void)state;
	restart(30, 0);
	atomic_store(&identity, UNNAMED);
	a = ask(GET23 "\r\n");
	assert_int_equal(a.status, 503);
	assert_non_null(strstr(a.body, "\"code\":\"PodNotResolved\""));
	assert_string_equal(find_header(&a, "Content-Type"), "application/json");
	atomic_store(&identity, IMDS_UNNAMED);
	a = ask("PUT /latest/api/token HTTP/1.1\r\n" HOST254
		"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n");
	assert_int_equal(a.status, 503);
}

/* While one caller waits, which would take a minute, others are answered. */
static void test_waiting_blocks_nobody(void **state)
{
	int waiting[8];
	struct answer a;

	(void)state;
	atomic_store(&identity, UNNAMED);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		waiting[i] = dial();
		send_text(waiting[i], GET23 "\r\n");
	}
	a = ask("GET /nothing HTTP/1.1\r\n" HOST23 "\r\n");
	assert_int_equal(a.status, 404);
	/* an identity that is lost while waiting ends the wait */
	atomic_store(&identity, UNSTAMPED);
	for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
		assert_true(read_answer(waiting[i], false, &a));
		assert_int_equal(a.status, 403);
		close(waiting[i]);
	}
}

/* More waiters of one pod than it may have: the rest is told to come back. */
static void test_waiting_limit(void **state)
{
	int fds[40];
	int refused = 0;
	struct answer a;

	(void)state;
	atomic_store(&identity, UNNAMED);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = dial();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		send_text(fds[i], GET23 "\r\n");
	/* 8 of the 40 are answered now; then the others get their name */
	while (refused < 8) {
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
			char c;

			if (fds[i] < 0 || recv(fds[i], &c, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
				continue;
			assert_true(read_answer(fds[i], false, &a));
			assert_int_equal(a.status, 503);
			close(fds[i]);
			fds[i] = -1;
			refused++;
		}
	}
	atomic_store(&identity, NAMED);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] < 0)
			continue;
		assert_true(read_answer(fds[i], false, &a));
		assert_credentials(&a);
		close(fds[i]);
	}
	assert_int_equal(refused, 8);
}

/* One pod's connections beyond its share are closed; when some end, there is room again. */
static void test_connection_limit(void **state)
{
	int fds[4], extra;
	struct answer a;

	(void)state;
	restart(60000, 4);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial();
		send_text(fds[i], GET23 "\r\n");
		assert_true(read_answer(fds[i], false, &a));
		assert_credentials(&a);
	}
	extra = dial();
	send_text(extra, GET23 "\r\n");
	assert_false(read_answer(extra, false, &a));
	close(extra);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	do { /* the server notices the ends in its own time */
		extra = dial();
		send_text(extra, GET23 "\r\n");
		if (!read_answer(extra, false, &a))
			a.status = 0;
		close(extra);
	} while (a.status != 200);
}

static void *client_thread(void *arg)
{
	struct answer *a = arg;
	_cleanup_close_ int fd = dial();

	for (int i = 0; i < 10; i++) {
		send_text(fd, GET23 "\r\n");
		if (!read_answer(fd, false, a) || a->status != 200)
			break;
	}
	return NULL;
}

static void test_concurrent(void **state)
{
	static struct answer answers[20];
	pthread_t threads[20];
	struct pc_err err;

	(void)state;
	atomic_store(&identity, UNNAMED);
	atomic_store(&named_after, 60);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, client_thread, &answers[i]), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(agent_server_reload(server, NULL, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], NULL);
		assert_credentials(&answers[i]);
	}
}

static void test_reload(void **state)
{
	struct pc_err err = {};
	struct answer a;

	(void)state;
	write_file(FILE_TEXT("AKIATWO") "    rolle: x\n");
	assert_int_equal(agent_server_reload(server, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "rolle"));
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
	write_file(FILE_TEXT("AKIATWO"));
	assert_int_equal(chmod(file_path, 0644), 0);
	assert_int_equal(agent_server_reload(server, file_path, &err), 0);
	assert_true(agent_server_file_exposed(server));
	assert_int_equal(agent_server_associations(server), 1);
	a = ask(GET23 "\r\n");
	assert_non_null(strstr(a.body, "AKIATWO"));
	assert_int_equal(chmod(file_path, 0600), 0);
	write_file("associations: []\n");
	assert_int_equal(agent_server_reload(server, NULL, &err), 0);
	assert_false(agent_server_file_exposed(server));
	a = ask(GET23 "\r\n");
	assert_int_equal(a.status, 404);
}

/* Idle, half-sent and suspended connections all end with the server. */
static void test_stop(void **state)
{
	_cleanup_close_ int idle = dial(), half = dial(), waiting = dial(), used = dial();
	struct answer a;

	(void)state;
	send_text(half, "GET /v1/cred");
	send_text(used, GET23 "\r\n");
	assert_true(read_answer(used, false, &a));
	atomic_store(&identity, UNNAMED);
	send_text(waiting, GET23 "\r\n");
	/* answered after the waiting one was sent, so that one is most likely suspended by now */
	a = ask("GET /nothing HTTP/1.1\r\n" HOST23 "\r\n");
	assert_int_equal(a.status, 404);
	agent_server_stop(server);
	server = NULL;
	assert_true(at_end(idle));
	assert_true(at_end(half));
	assert_true(at_end(used));
	while (!at_end(waiting))
		; /* it may have been told to come back */
}

static void test_start_errors(void **state)
{
	struct net_addr addr = {.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = port};
	struct net_addr elsewhere = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 8080};
	struct agent_options options = {.associations_path = file_path, .peer = fake_peer};
	struct agent_server *other = NULL;
	struct pc_err err = {};
	int closed = -1;
	char text[64];

	(void)state;
	assert_int_equal(agent_server_start(&options, &other, &err), -EINVAL);
	options.listen = &addr;
	options.n_listen = 1;
	assert_int_equal(agent_server_start(&options, &other, &err), -EADDRINUSE);
	snprintf(text, sizeof(text), "127.0.0.1:%u: Address already in use; ", port);
	assert_non_null(strstr(err.msg, text));
	options.listen = &elsewhere;
	assert_int_equal(agent_server_start(&options, &other, &err), -EADDRNOTAVAIL);
	addr.port = 0;
	options.listen = &addr;
	assert_int_equal(agent_server_start(&options, &other, &err), -EINVAL);
	options.n_listen = 0;
	options.listen_fds = &closed;
	options.n_listen_fds = 1;
	assert_int_equal(agent_server_start(&options, &other, &err), -EINVAL);
	options.associations_path = "/nonexistent/a.yaml";
	assert_int_equal(agent_server_start(&options, &other, &err), -ENOENT);
	assert_null(other);
}

/* The agent's own listener: IPv4 and IPv6 on the same port, side by side. */
static void test_own_listeners(void **state)
{
	struct net_addr addrs[2] = {{.ip = {[10] = 0xff, 0xff, 127, 0, 0, 1}}, {.ip = {[15] = 1}}};
	struct agent_options options = {
		.listen = addrs, .n_listen = 2, .associations_path = file_path, .peer = fake_peer};
	struct sockaddr_in6 probe = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	_cleanup_close_ int six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct answer a;
	int fd;

	(void)state;
	if (six < 0 || bind(six, (struct sockaddr *)&probe, sizeof(probe)) < 0)
		skip(); /* no IPv6 here */
	fd = make_listener(&port);
	close(fd);
	addrs[0].port = addrs[1].port = port;
	agent_server_stop(server);
	server = NULL;
	assert_int_equal(agent_server_start(&options, &server, NULL), 0);
	a = ask(GET23 "\r\n");
	assert_credentials(&a);
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
		TEST(test_identity_per_request),
		TEST(test_named_late),
		TEST(test_never_named),
		TEST(test_waiting_blocks_nobody),
		TEST(test_waiting_limit),
		TEST(test_connection_limit),
		TEST(test_concurrent),
		TEST(test_reload),
		TEST(test_stop),
		TEST(test_start_errors),
		TEST(test_own_listeners),
	};
	int fd = mkstemp(file_path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file_path);
	return failed;
}
