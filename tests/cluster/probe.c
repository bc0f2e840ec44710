/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs in the pods of the test cluster. It asks the three well-known addresses for credentials,
 * and notes each answer that is not the one before in /log/<POD>.log:
 *
 *   <seconds since boot> <CONTAINER> <uid of the pod> <eks|ecs|imds> <answer>
 *
 * The answer is an access key id, the name of a role (imds), an error's code, or errno's name: ENODATA when
 * the connection was closed without an answer, EINPROGRESS and EAGAIN when connecting and answering hang. A
 * file in C because the node is emulated: a shell with curl takes a second of it for one request.
 *
 *   probe watch CONTAINER [MS]   asks for ever: every MS milliseconds (1000), and more often until it has
 *                                credentials; after SIGUSR1 ("again") and SIGTERM ("term") each answer
 *                                is noted once more
 *   probe linger CONTAINER [MS]  the same, and on after SIGTERM
 *   probe once CONTAINER         until each address has answered with credentials, or a minute is over
 *   probe ask                    asks once and prints the answers; the node's own tool
 *   pause                        does nothing: the sandbox of a pod
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER = 64, RESPONSE = 8192, TIMEOUT_S = 30 };

struct endpoint {
	const char *name, *address;
	char last[ANSWER];
};

static struct endpoint endpoints[] = {
	{.name = "eks", .address = "169.254.170.23"},
	{.name = "ecs", .address = "169.254.170.2"},
	{.name = "imds", .address = "169.254.169.254"},
};

static bool is_connected(int fd)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

static int dial(const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct timeval limit = {.tv_sec = TIMEOUT_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	/* on a busy node the limit may pass while the connection is there, and we do not get to run */
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
	    (errno == EINPROGRESS && is_connected(fd)))
		return fd;
	close(fd);
	return -1;
}

/* The whole answer to one request, as text. False, with errno: there is none. */
static bool exchange(const char *address, const char *request, char *response)
{
	size_t have = 0;
	ssize_t n;
	int fd = dial(address);

	if (fd < 0)
		return false;
	n = send(fd, request, strlen(request), MSG_NOSIGNAL);
	while (n > 0 && have < RESPONSE - 1) {
		n = recv(fd, response + have, RESPONSE - 1 - have, 0);
		have += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	response[have] = 0;
	if (n == 0 && have == 0)
		errno = ENODATA;
	return n >= 0 && have > 0;
}

static char *body_of(char *response)
{
	char *body = strstr(response, "\r\n\r\n");

	return body ? body + 4 : response;
}

/* The string that is the value of a key of a JSON object. */
static bool field(const char *json, const char *key, char *value)
{
	char quoted[32];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	at = strstr(json, quoted);
	return at && sscanf(at + strlen(quoted), " : \"%63[^\"]", value) == 1;
}

static void status_of(const char *response, char *answer)
{
	int status = 0;

	sscanf(response, "HTTP/1.%*d %d", &status);
	snprintf(answer, ANSWER, "status-%d", status);
}

/* The header with the pod's own token, as SDKs send it; nothing, if it has none. */
static void authorization(char *header, size_t size)
{
	static const char path[] =
		"/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token";
	char token[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, token, sizeof(token) - 1);

	if (fd >= 0)
		close(fd);
	header[0] = 0;
	if (n > 0)
		snprintf(header, size, "Authorization: %.*s\r\n", (int)n, token);
}

static void credentials(const char *address, char *answer)
{
	char header[4200], request[4500], response[RESPONSE];

	authorization(header, sizeof(header));
	snprintf(request, sizeof(request),
		 "GET /v1/credentials HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", address,
		 header);
	if (!exchange(address, request, response))
		snprintf(answer, ANSWER, "%s", strerrorname_np(errno));
	else if (!field(body_of(response), "AccessKeyId", answer) &&
		 !field(body_of(response), "code", answer))
		status_of(response, answer);
}

/* A session token, then the name of the role: the way of every SDK. */
static void role(const char *address, char *answer)
{
	static const char put[] =
		"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n"
		"X-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 0\r\n\r\n";
	char request[512], response[RESPONSE], token[200] = "";

	if (!exchange(address, put, response)) {
		snprintf(answer, ANSWER, "%s", strerrorname_np(errno));
		return;
	}
	sscanf(body_of(response), "%199[A-Za-z0-9_=+/.-]", token);
	snprintf(request, sizeof(request),
		 "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\nHost: "
		 "169.254.169.254\r\n"
		 "X-aws-ec2-metadata-token: %s\r\nConnection: close\r\n\r\n",
		 token);
	if (!exchange(address, request, response))
		snprintf(answer, ANSWER, "%s", strerrorname_np(errno));
	else if (!strstr(response, " 200 ") ||
		 sscanf(body_of(response), "%63[A-Za-z0-9_+=,.@-]", answer) != 1)
		status_of(response, answer);
}

static double uptime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "-";
}

/* To the pod's file on the node, which outlives the pod; without one to stdout. */
static void note(const char *container, const char *what, const char *answer)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/log/%s.log", variable("POD"));
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	dprintf(fd < 0 ? STDOUT_FILENO : fd, "%.2f %s %s %s %s\n", uptime(), container,
		variable("POD_UID"), what, answer);
	if (fd >= 0)
		close(fd);
}

static void ask(struct endpoint *endpoint, char *answer)
{
	memset(answer, 0, ANSWER);
	if (strcmp(endpoint->name, "imds") == 0)
		role(endpoint->address, answer);
	else
		credentials(endpoint->address, answer);
}

static bool is_key(const char *answer)
{
	return strncmp(answer, "AKIA", 4) == 0 || strncmp(answer, "ASIA", 4) == 0;
}

/* True when all three had credentials or a role for it. */
static bool ask_all(const char *container)
{
	char answer[ANSWER];
	bool all = true;

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		ask(&endpoints[i], answer);
		if (strcmp(answer, "EINTR") ==
		    0) /* by our own signals: a socket with a time limit */
			return false;
		if (strcmp(answer, endpoints[i].last) != 0)
			note(container, endpoints[i].name, answer);
		memcpy(endpoints[i].last, answer, ANSWER);
		all = all && (is_key(answer) || strstr(answer, "role"));
	}
	return all;
}

static void wait_ms(long ms)
{
	struct timespec pause_for = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause_for, NULL);
}

static volatile sig_atomic_t start_over;

static void on_start_over(int signal)
{
	start_over = signal;
}

static void forget_answers(void)
{
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		endpoints[i].last[0] = 0;
}

static void watch(const char *container, long ms)
{
	note(container, "start", "-");
	for (;;) {
		if (start_over) {
			note(container, start_over == SIGTERM ? "term" : "again", "-");
			start_over = 0;
			forget_answers();
		}
		wait_ms(ask_all(container) ? ms : ms < 500 ? ms : 500);
	}
}

static int once(const char *container)
{
	double limit = uptime() + 60;

	while (!ask_all(container)) {
		if (uptime() > limit)
			return 1;
		wait_ms(200);
	}
	return 0;
}

static int print_all(void)
{
	char answer[ANSWER];

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		ask(&endpoints[i], answer);
		printf("%s %s\n", endpoints[i].name, answer);
	}
	return 0;
}

static void end(int signal)
{
	(void)signal;
	_exit(0);
}

static void reap(int signal)
{
	(void)signal;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void idle(void)
{
	signal(SIGCHLD, reap);
	for (;;)
		pause();
}

/* Elsewhere these addresses may be a real machine's own. node.sh boots the node with that word. */
static void must_be_on_the_node(void)
{
	char words[4096] = "";
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, words, sizeof(words) - 1) > 0 && strstr(words, " node.address="))
		return;
	fprintf(stderr, "probe: this is no node of the test cluster, which is booted with "
			"node.address=; nothing is asked here\n");
	exit(2);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "pause";

	/* as process 1 of a container it would not end otherwise */
	signal(SIGTERM, end);
	signal(SIGINT, end);
	signal(SIGUSR1, on_start_over);
	if (strcmp(command, "pause") != 0)
		must_be_on_the_node();
	if (strcmp(command, "linger") == 0)
		signal(SIGTERM, on_start_over);
	if ((strcmp(command, "watch") == 0 || strcmp(command, "linger") == 0) && argc > 2)
		watch(argv[2], argc > 3 ? atol(argv[3]) : 1000);
	if (strcmp(command, "once") == 0 && argc > 2)
		return once(argv[2]);
	if (strcmp(command, "ask") == 0)
		return print_all();
	idle();
}
