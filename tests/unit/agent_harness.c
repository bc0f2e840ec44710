// SPDX-License-Identifier: Apache-2.0
#include "agent_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ---- identities ---- */

atomic_int identity;
atomic_int asked;
atomic_int named_after;

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

int fake_peer(int fd, struct podcred_peer *ret, size_t size)
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
	if (kind == STS_NAMED)
		peer.address[15] = 83;
	if (kind == OTHER_POD || kind == OTHER_UNNAMED)
		peer.pod_cgroup_id = 78;
	if (kind == NAMED || kind == IMDS_NAMED || kind == STS_NAMED || kind == DIRECT ||
	    kind == OTHER_POD || (after && count > after))
		set_name(&peer);
	*ret = peer;
	return 0;
}

/* ---- the server under test ---- */

struct agent_server *server;
struct cred_store *store;
char file_path[] = "/tmp/podcred-test-XXXXXX";
uint16_t port;

void write_file(const char *text)
{
	FILE *f = fopen(file_path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

int make_listener(uint16_t *ret_port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, SOMAXCONN), 0); /* a full queue drops the handshake */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

/* In place of the loop of podcred serve. */
static pthread_t ticker;
static int stop_fd = -EBADF;

static void *run_ticker(void *arg)
{
	struct agent_server *of = arg;
	struct pollfd fds[] = {{.fd = agent_server_fd(of), .events = POLLIN},
			       {.fd = stop_fd, .events = POLLIN}};

	while (!fds[1].revents)
		poll(fds, ARRAY_SIZE(fds), agent_server_turn(of));
	return NULL;
}

void start_loop(void)
{
	stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(stop_fd >= 0);
	assert_int_equal(pthread_create(&ticker, NULL, run_ticker, server), 0);
}

void stop_loop(void)
{
	eventfd_write(stop_fd, 1);
	pthread_join(ticker, NULL);
	close(TAKE_FD(stop_fd));
}

int start_server(const struct agent_options *options, struct pc_err *err)
{
	int r = agent_server_start(options, &server, err);

	if (r == 0)
		start_loop();
	return r;
}

void stop_server(void)
{
	if (!server)
		return;
	if (stop_fd >= 0)
		stop_loop();
	agent_server_stop(server);
	server = NULL;
}

static void start(unsigned name_wait_ms, unsigned max_connections)
{
	_cleanup_close_ int fd = make_listener(&port);
	struct agent_options options = {
		.listen_fds = &fd,
		.n_listen_fds = 1,
		.credentials = store,
		.token_key = {1, 2, 3},
		.peer = fake_peer,
		.wait_ms = name_wait_ms,
		/* on a busy machine hundreds of connections take longer than the defaults */
		.idle_timeout_s = 600,
		.request_timeout_ms = 600000,
		.max_connections = max_connections,
	};
	struct pc_err err = {};

	if (start_server(&options, &err) < 0)
		fail_msg("%s", err.msg);
}

int setup(void **state)
{
	(void)state;
	atomic_store(&identity, NAMED);
	atomic_store(&asked, 0);
	atomic_store(&named_after, 0);
	write_file(FILE_TEXT("AKIAONE"));
	assert_int_equal(cred_store_open(file_path, 0, &store, NULL), 0);
	start(60000, 0);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	stop_server();
	cred_store_close(store);
	store = NULL;
	return 0;
}

void restart(unsigned name_wait_ms, unsigned max_connections)
{
	stop_server();
	start(name_wait_ms, max_connections);
}

/* ---- a client that sends exactly what it is told ---- */

int dial_from(uint32_t source)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {htonl(source)}};
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct timeval patience = {.tv_sec = 60}; /* a hang, not a measurement */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

int dial(void)
{
	return dial_from(INADDR_LOOPBACK);
}

void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

void send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

const char *find_header(const struct answer *a, const char *name)
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

bool read_answer(int fd, bool head, struct answer *a)
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

bool at_end(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) <= 0;
}

struct answer ask(const char *request)
{
	_cleanup_close_ int fd = dial();
	struct answer a;

	send_text(fd, request);
	assert_true(read_answer(fd, !strncmp(request, "HEAD", 4), &a));
	return a;
}

void assert_credentials(const struct answer *a)
{
	assert_int_equal(a->status, 200);
	assert_non_null(strstr(a->body, "\"AccessKeyId\":\"AKIAONE\""));
}

int run_agent_tests(const struct CMUnitTest *tests, size_t n)
{
	int fd = mkstemp(file_path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = _cmocka_run_group_tests("agent", tests, n, NULL, NULL);
	unlink(file_path);
	return failed;
}
