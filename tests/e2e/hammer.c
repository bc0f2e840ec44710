// SPDX-License-Identifier: Apache-2.0
/*
 * hammer - many connections at once, and whether each carries the right identity.
 *
 *	hammer server EXPECTATIONS THREADS ADDRESS PORT [ADDRESS PORT]...
 *		Accepts on each address with THREADS threads, asks for the identity before anything
 *		else and compares its pod with the one expected for the client's address:
 *		EXPECTATIONS has lines "client-address pod-uid", or is -: the clients compare. Answers one byte of a client with
 *		the pod's uid. On SIGTERM: accepted=N unstamped=N gone=N unnamed=N wrong=N, where
 *		gone are those of the unstamped whose client had reset the connection.
 *	hammer client MODE ADDRESS PORT COUNT THREADS [UID [SOURCE-PORT]]
 *		COUNT connections (0: until SIGTERM). MODE: full (asks, and compares the answer with
 *		UID), close, reset, nb-close, nb-reset. With SOURCE-PORT each connection leaves
 *		from that one port. HAMMER_TIMEOUT, in the environment: seconds after which
 *		connect(2) or an answer has failed. connected=N failed=N wrong=N unstamped=N errno=LAST.
 *	hammer mute ADDRESS PORT BACKLOG
 *		Listens and never accepts.
 *	hammer pend ADDRESS PORT COUNT
 *		COUNT non-blocking connects, held open until SIGTERM: pending=N refused=N errno=LAST.
 *	hammer hold ADDRESS PORT COUNT
 *		COUNT connections, established and held open until SIGTERM.
 */
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>

#include <podcred/podcred.h>

#include "net.h"

#define UNSTAMPED "unstamped"

static atomic_bool stop;
static atomic_long accepted, finished, unstamped, gone, unnamed, wrong, connected, failed,
	last_errno;

static void on_term(int sig)
{
	(void)sig;
	stop = true;
}

/* ---- server ---- */

struct expectation {
	struct in6_addr client;
	char uid[PODCRED_UID_LEN];
};

static struct expectation expectations[64];
static size_t n_expectations;

static void address_bytes(const struct sockaddr_storage *ss, struct in6_addr *ret)
{
	if (ss->ss_family == AF_INET6) {
		*ret = ((const struct sockaddr_in6 *)ss)->sin6_addr;
		return;
	}
	memset(ret, 0, sizeof(*ret));
	ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
	memcpy(&ret->s6_addr[12], &((const struct sockaddr_in *)ss)->sin_addr, 4);
}

static void read_expectations(const char *path)
{
	FILE *f;
	char host[INET6_ADDRSTRLEN];

	if (!strcmp(path, "-"))
		return;
	f = fopen(path, "re");
	if (!f)
		die(path);
	while (n_expectations < sizeof(expectations) / sizeof(expectations[0])) {
		struct expectation *e = &expectations[n_expectations];
		struct sockaddr_storage ss;

		if (fscanf(f, "%45s %39s", host, e->uid) != 2)
			break;
		endpoint(&ss, host, "0", false);
		address_bytes(&ss, &e->client);
		n_expectations++;
	}
	fclose(f);
}

static const char *expected(const struct sockaddr_storage *client)
{
	struct in6_addr addr;

	address_bytes(client, &addr);
	for (size_t i = 0; i < n_expectations; i++)
		if (!memcmp(&expectations[i].client, &addr, sizeof(addr)))
			return expectations[i].uid;
	return "nobody";
}

static void check_identity(const struct podcred_peer *peer, const struct sockaddr_storage *client)
{
	if (!(peer->flags & PODCRED_PEER_NAMED))
		unnamed++;
	else if (n_expectations && strcmp(peer->pod_uid, expected(client)) != 0)
		wrong++;
}

static void serve_one(int fd, const struct sockaddr_storage *client)
{
	struct podcred_peer peer = {0};
	bool stamped = podcred_peer(fd, &peer, sizeof(peer)) == 0;
	const char *answer = stamped ? peer.pod_uid : UNSTAMPED;
	char byte;
	ssize_t n;

	if (stamped)
		check_identity(&peer, client);
	n = recv(fd, &byte, 1, 0);
	if (n == 1)
		send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	else if (!stamped && n < 0 && errno == ECONNRESET)
		gone++; /* reset before the handshake ended on this side: its note went with it */
	if (!stamped)
		unstamped++;
	close(fd);
}

static void *serve(void *arg)
{
	int listener = (int)(intptr_t)arg;

	for (;;) {
		struct sockaddr_storage client;
		socklen_t len = sizeof(client);
		int fd = accept(listener, (struct sockaddr *)&client, &len);

		if (fd < 0)
			continue;
		accepted++;
		serve_one(fd, &client);
		finished++;
	}
	return NULL;
}

static void until_term(void)
{
	sigset_t term;
	int sig;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	printf("ready\n");
	fflush(stdout);
	sigwait(&term, &sig);
}

/* Everything that waits to be accepted is counted first; clients that hold on are not waited for. */
static void drain(const int *listeners, int n)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	for (int tries = 0; tries < 200; tries++) {
		unsigned waiting = 0;

		for (int i = 0; i < n; i++)
			if (getsockopt(listeners[i], IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
				waiting += info.tcpi_unacked; /* of a listener: its accept queue */
		if (!waiting && accepted == finished)
			return;
		usleep(10000);
	}
}

static int server(int argc, char **argv)
{
	int threads = atoi(argv[3]), listeners[8], n = 0;

	read_expectations(argv[2]);
	for (int i = 4; i + 1 < argc && n < 8; i += 2) {
		int listener = listeners[n++] = listen_on(argv[i], argv[i + 1], 4096);

		for (int t = 0; t < threads; t++) {
			pthread_t thread;

			if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)listener) != 0)
				die("pthread_create");
		}
	}
	until_term();
	drain(listeners, n);
	printf("accepted=%ld unstamped=%ld gone=%ld unnamed=%ld wrong=%ld\n", accepted, unstamped,
	       gone, unnamed, wrong);
	fflush(stdout);
	_exit(0);
}

/* ---- client ---- */

struct load {
	struct sockaddr_storage to;
	socklen_t len;
	const char *mode, *uid, *source_port;
	atomic_long left;
	bool forever;
};

static void failure(void)
{
	last_errno = errno;
	failed++;
}

static void set_timeouts(int fd)
{
	const char *seconds = getenv("HAMMER_TIMEOUT");
	struct timeval limit = {.tv_sec = seconds ? atoi(seconds) : 0};

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static int client_socket(const struct load *load, int flags)
{
	int fd = socket(load->to.ss_family, SOCK_STREAM | flags, IPPROTO_TCP);
	struct sockaddr_storage from;
	socklen_t len;

	if (fd < 0)
		die("socket");
	set_timeouts(fd);
	if (!load->source_port)
		return fd;
	len = endpoint(&from, load->to.ss_family == AF_INET ? "0.0.0.0" : "::", load->source_port,
		       false);
	set_one(fd, SOL_SOCKET, SO_REUSEADDR);
	if (bind(fd, (struct sockaddr *)&from, len) < 0)
		die("bind");
	return fd;
}

static void ask(const struct load *load, int fd)
{
	char answer[64] = "";
	ssize_t n;

	if (send(fd, "?", 1, MSG_NOSIGNAL) != 1) {
		failure();
		return;
	}
	n = recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL);
	if (n < 0)
		failure();
	else if (!strcmp(answer, UNSTAMPED))
		unstamped++;
	else if (!n)
		unnamed++;
	else if (load->uid && strcmp(answer, load->uid) != 0)
		wrong++;
}

static void one(const struct load *load)
{
	bool nonblock = !strncmp(load->mode, "nb-", 3);
	int fd = client_socket(load, nonblock ? SOCK_NONBLOCK : 0);

	if (connect(fd, (const struct sockaddr *)&load->to, load->len) < 0 &&
	    !(nonblock && errno == EINPROGRESS)) {
		failure();
		close(fd);
		return;
	}
	connected++;
	if (!strcmp(load->mode, "full"))
		ask(load, fd);
	if (load->source_port || strstr(load->mode, "reset"))
		close_with_reset(fd);
	else
		close(fd);
}

static void *client_thread(void *arg)
{
	struct load *load = arg;

	while (!stop && (load->forever || load->left-- > 0))
		one(load);
	return NULL;
}

static int client(int argc, char **argv)
{
	struct load load = {.mode = argv[2]};
	int threads = atoi(argv[6]);
	pthread_t thread[64];

	load.len = endpoint(&load.to, argv[3], argv[4], false);
	load.left = atol(argv[5]);
	load.forever = !load.left;
	load.uid = argc > 7 ? argv[7] : NULL;
	load.source_port = argc > 8 ? argv[8] : NULL;
	signal(SIGTERM, on_term);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, client_thread, &load) != 0)
			die("pthread_create");
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("connected=%ld failed=%ld wrong=%ld unstamped=%ld unnamed=%ld errno=%s\n", connected,
	       failed, wrong, unstamped, unnamed, last_errno ? errno_name((int)last_errno) : "-");
	return 0;
}

/* ---- connections that stay ---- */

static int mute(char **argv)
{
	listen_on(argv[2], argv[3], atoi(argv[4]));
	until_term();
	return 0;
}

static int pend(char **argv, int flags)
{
	struct load load = {0};
	long count = atol(argv[4]), refused = 0;
	int error = 0;

	load.len = endpoint(&load.to, argv[2], argv[3], false);
	for (long i = 0; i < count; i++) {
		int fd = client_socket(&load, flags);

		if (connect(fd, (struct sockaddr *)&load.to, load.len) == 0 || errno == EINPROGRESS)
			continue;
		error = errno;
		refused++;
		close(fd);
	}
	printf("pending=%ld refused=%ld errno=%s\n", count - refused, refused,
	       error ? errno_name(error) : "-");
	until_term();
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const struct rlimit files = {65536, 65536};
	sigset_t term;

	setrlimit(RLIMIT_NOFILE, &files);
	if (!strcmp(what, "client") && argc >= 7)
		return client(argc, argv);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	if (!strcmp(what, "server") && argc >= 6)
		return server(argc, argv);
	if (!strcmp(what, "mute") && argc == 5)
		return mute(argv);
	if (!strcmp(what, "pend") && argc == 5)
		return pend(argv, SOCK_NONBLOCK);
	if (!strcmp(what, "hold") && argc == 5)
		return pend(argv, 0);
	fprintf(stderr, "usage: hammer server|client|mute|pend|hold ...\n");
	return 2;
}
