// SPDX-License-Identifier: Apache-2.0
/*
 * starve - a pod that takes all the connections it can get, and one that wants a few.
 *
 *	starve hold ADDRESS PORT COUNT [dawdle|keep]
 *		COUNT connections, held until SIGTERM; what the server closes is opened again. One
 *		in four (or all, or none) dawdles over half a request, the others are kept alive with a
 *		request now and then. "ready" when each was tried; at the end: opened=N held=N answers=N.
 *	starve flood ADDRESS PORT SOURCE
 *		As many half requests as can be opened from SOURCE, a new connection in place of the
 *		oldest, until SIGTERM. "ready" after 4096; at the end: opened=N.
 *	starve crowd ADDRESS PORT COUNT ACCESS-KEY
 *		COUNT processes, which all ask at once, each on a connection of its own and only once.
 *		ok=N failed=N.
 *	starve ask ADDRESS PORT COUNT new|keep ACCESS-KEY
 *		COUNT requests, one after another, on new connections or on one (opened again only
 *		after "Connection: close"). ok=N failed=N. An answer counts when it has ACCESS-KEY.
 *	starve bad ADDRESS PORT COUNT
 *		COUNT requests with a wrong Host. refused=N of those that were answered with 403.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "net.h"

#define MAX_HELD      4096
#define FLOOD	      2048 /* connections of a flood at one time */
#define STEP_MS	      100
#define REQUEST_STEPS 20 /* a request each two seconds keeps a connection */
#define PATIENCE_S    5 /* SDKs give up sooner */
#define GIVE_UP	      3 /* the rest counts as failed */
#define REQUEST(host) "GET /v1/credentials HTTP/1.1\r\nHost: " host "\r\n\r\n"
#define GOOD	      REQUEST("169.254.170.23")
#define HALF	      "GET /v1/credentials HTTP/1.1\r\nX-Never-Ends: "

static volatile sig_atomic_t stop;
static struct sockaddr_storage to;
static socklen_t to_len;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

/* ---- hold ---- */

static int held[MAX_HELD];
static long opened, answers;
static int dawdler = 4; /* each of so many is one; 0: none */

static bool dawdles(int i)
{
	return dawdler && i % dawdler == dawdler - 1;
}

static void open_one(int i)
{
	held[i] = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (held[i] < 0)
		die("socket");
	if (connect(held[i], (struct sockaddr *)&to, to_len) < 0 && errno != EINPROGRESS) {
		close(held[i]); /* over the quota of pending ones: next time */
		held[i] = -1;
		return;
	}
	opened++;
}

/* What came of what was sent. false: the server has closed. */
static bool look(int fd)
{
	char buf[16384];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n > 0)
		answers++;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == ENOTCONN));
}

static void step(int i, long round)
{
	const char *text = dawdles(i) ? "x" : GOOD;

	if (held[i] >= 0 && !look(held[i])) {
		close(held[i]);
		held[i] = -1;
	}
	if (held[i] < 0) {
		open_one(i);
		if (held[i] < 0)
			return;
		text = dawdles(i) ? HALF : GOOD;
		/* not connected yet, most likely: then it is sent on its turn */
	} else if ((round + i) % REQUEST_STEPS) {
		return;
	}
	send(held[i], text, strlen(text), MSG_NOSIGNAL);
}

static int hold(int count)
{
	int open = 0;

	if (count < 1 || count > MAX_HELD)
		return 2;
	signal(SIGTERM, on_term);
	memset(held, 0xff, sizeof(held));
	for (long round = 0; !stop; round++) {
		for (int i = 0; i < count; i++)
			step(i, round);
		if (round == REQUEST_STEPS) {
			printf("ready\n");
			fflush(stdout);
		}
		poll(NULL, 0, STEP_MS);
	}
	for (int i = 0; i < count; i++)
		open += held[i] >= 0 && look(held[i]);
	printf("opened=%ld held=%d answers=%ld\n", opened, open, answers);
	return 0;
}

/* ---- flood ---- */

static int half_open(const struct sockaddr_storage *from)
{
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		die("socket");
	set_one(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	if (bind(fd, (const struct sockaddr *)from, to_len) < 0)
		die("bind");
	if (connect(fd, (struct sockaddr *)&to, to_len) == 0)
		send(fd, HALF, strlen(HALF), MSG_NOSIGNAL);
	return fd;
}

static int flood(const char *source)
{
	struct sockaddr_storage from;

	endpoint(&from, source, "0", false);
	signal(SIGTERM, on_term);
	memset(held, 0xff, sizeof(held));
	for (; !stop; opened++) {
		int *slot = &held[opened % FLOOD];

		if (*slot >= 0)
			close_with_reset(*slot);
		*slot = half_open(&from);
		if (opened == MAX_HELD) {
			printf("ready\n");
			fflush(stdout);
		}
	}
	printf("opened=%ld\n", opened);
	return 0;
}

/* ---- ask ---- */

static int dial(void)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* connect too */
	if (connect(fd, (struct sockaddr *)&to, to_len) == 0)
		return fd;
	close(fd);
	return -1;
}

/* One answer with its body, as text. false: none, or not all of it. */
static bool read_answer(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		ssize_t n = recv(fd, buf + len, size - len - 1, 0);
		char *body, *length;

		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
		body = strstr(buf, "\r\n\r\n");
		length = strcasestr(buf, "Content-Length:");
		if (body && length &&
		    strlen(body + 4) >= strtoul(length + strlen("Content-Length:"), NULL, 10))
			return true;
	}
	return false;
}

/* One request; *fd is -1 before it when a connection is needed, and after it when it has ended. */
static bool exchange(int *fd, const char *request, const char *want, bool keep)
{
	char answer[16384] = "";
	bool ok;

	if (*fd < 0)
		*fd = dial();
	if (*fd < 0)
		return false;
	ok = send(*fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request) &&
	     read_answer(*fd, answer, sizeof(answer)) && strstr(answer, want);
	if (!ok || !keep || strcasestr(answer, "Connection: close")) {
		close(*fd);
		*fd = -1;
	}
	return ok;
}

static int ask(long count, const char *request, const char *want, bool keep, const char *what)
{
	int fd = -1;
	long ok = 0, lost = 0; /* in a row */

	for (long i = 0; i < count && lost < GIVE_UP; i++) {
		if (exchange(&fd, request, want, keep)) {
			ok++;
			lost = 0;
		} else {
			lost++;
		}
		poll(NULL, 0, STEP_MS / 4);
	}
	if (fd >= 0)
		close(fd);
	printf("%s=%ld failed=%ld\n", what, ok, count - ok);
	return 0;
}

/* One of the crowd: ready, then go. */
static int member(int go, const char *key)
{
	int fd = -1;
	char c;

	if (read(go, &c, 1) != 0)
		return 1;
	return exchange(&fd, GOOD, key, false) ? 0 : 1;
}

static int crowd(long count, const char *key)
{
	long ok = 0;
	int go[2], status;

	if (pipe(go) < 0)
		die("pipe");
	for (long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			close(go[1]);
			_exit(member(go[0], key));
		}
	}
	close(go[1]);
	while (wait(&status) > 0)
		ok += WIFEXITED(status) && WEXITSTATUS(status) == 0;
	printf("ok=%ld failed=%ld\n", ok, count - ok);
	return 0;
}

int main(int argc, char **argv)
{
	const struct rlimit files = {65536, 65536};
	const char *what = argc > 1 ? argv[1] : "";

	setrlimit(RLIMIT_NOFILE, &files);
	if (argc >= 5)
		to_len = endpoint(&to, argv[2], argv[3], false);
	if (!strcmp(what, "hold") && argc == 6) {
		dawdler = !strcmp(argv[5], "dawdle");
		argc--;
	}
	if (!strcmp(what, "hold") && argc == 5)
		return hold(atoi(argv[4]));
	if (!strcmp(what, "flood") && argc == 5)
		return flood(argv[4]);
	if (!strcmp(what, "crowd") && argc == 6)
		return crowd(atol(argv[4]), argv[5]);
	if (!strcmp(what, "ask") && argc == 7)
		return ask(atol(argv[4]), GOOD, argv[6], !strcmp(argv[5], "keep"), "ok");
	if (!strcmp(what, "bad") && argc == 5)
		return ask(atol(argv[4]), REQUEST("other"), " 403 ", false, "refused");
	fprintf(stderr, "usage: starve hold|flood|crowd|ask|bad ...\n");
	return 2;
}
