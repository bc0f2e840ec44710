// SPDX-License-Identifier: Apache-2.0
/*
 * who - a proxy that knows only what an accepted socket tells: one line about each client.
 *
 *	who [--fastopen] [--again] ADDRESS PORT [ADDRESS PORT]...
 *
 * ADDRESS *: every one, of both families. --again: the connection stays, and a client that says "again"
 * is told once more.
 *
 * The line: pod=... uid=... sa=... pid=... direct=0|1 dialled=ADDRESS:PORT v4=... v6=... tcpinfo=...
 * or error=ERRNO in place of the first six. v4 and v6 are SO_ORIGINAL_DST of SOL_IP and SOL_IPV6,
 * tcpinfo is what two oversized questions for TCP_INFO gave.
 */
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>

#include <podcred/podcred.h>

#include "net.h"

#define ORIGINAL_DST  80
#define MAX_LISTENERS 8

static void original(int fd, int level, char *text, size_t size)
{
	struct sockaddr_storage ss;
	socklen_t len = level == SOL_IP ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	memset(&ss, 0, sizeof(ss));
	if (getsockopt(fd, level, ORIGINAL_DST, &ss, &len) < 0)
		snprintf(text, size, "%s", errno_name(errno));
	else
		endpoint_text(&ss, text, size);
}

static const char *tcp_info(int fd)
{
	static const socklen_t sizes[] = {4097, 8192};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char buf[8192];
		socklen_t len = sizes[i];

		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, buf, &len) < 0)
			return errno_name(errno);
		if (len < 100 || ((struct tcp_info *)buf)->tcpi_state == 0)
			return "short";
	}
	return "ok";
}

static int describe(int fd, char *line, size_t size)
{
	char v4[ENDPOINT_TEXT], v6[ENDPOINT_TEXT], dialled[ENDPOINT_TEXT] = "-";
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct podcred_peer peer;
	int r = podcred_peer_wait(fd, &peer, sizeof(peer), 5000);

	original(fd, SOL_IP, v4, sizeof(v4));
	original(fd, SOL_IPV6, v6, sizeof(v6));
	if (r < 0)
		return snprintf(line, size, "error=%s v4=%s v6=%s tcpinfo=%s\n", errno_name(-r), v4,
				v6, tcp_info(fd));
	if (podcred_original_destination(fd, (struct sockaddr *)&ss, &len) == 0)
		endpoint_text(&ss, dialled, sizeof(dialled));
	return snprintf(line, size,
			"pod=%s uid=%s sa=%s pid=%u direct=%d dialled=%s v4=%s v6=%s tcpinfo=%s\n",
			peer.pod_name, peer.pod_uid, peer.service_account, peer.tgid,
			!!(peer.flags & PODCRED_PEER_DIRECT), dialled, v4, v6, tcp_info(fd));
}

static bool stays;

static bool tell(int fd)
{
	char line[1024];
	int len = describe(fd, line, sizeof(line));

	return send(fd, line, (size_t)len, MSG_NOSIGNAL) == len;
}

/* Closing before the client does would turn what it sent into a reset. */
static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	bool goes_on = tell(fd) && (stays || shutdown(fd, SHUT_WR) == 0);
	char data[1024];
	ssize_t n;

	while (goes_on && (n = recv(fd, data, sizeof(data), 0)) > 0)
		if (stays && memmem(data, (size_t)n, "again\n", 6))
			goes_on = tell(fd);
	close(fd);
	return NULL;
}

static void take(int listener)
{
	int fd = accept(listener, NULL, NULL);
	pthread_t thread;

	if (fd < 0)
		return;
	if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
	else
		close(fd);
}

int main(int argc, char **argv)
{
	struct pollfd fds[MAX_LISTENERS];
	int n = 0, queue = 64, first = 1;
	bool fastopen = false;

	for (; first < argc && !strncmp(argv[first], "--", 2); first++) {
		fastopen |= !strcmp(argv[first], "--fastopen");
		stays |= !strcmp(argv[first], "--again");
	}
	for (int i = first; i + 1 < argc && n < MAX_LISTENERS; i += 2) {
		fds[n].events = POLLIN;
		fds[n].fd = listen_on(argv[i], argv[i + 1], 1024);
		if (fastopen &&
		    setsockopt(fds[n].fd, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)) < 0)
			die("TCP_FASTOPEN");
		n++;
	}
	if (!n) {
		fprintf(stderr,
			"usage: who [--fastopen] [--again] ADDRESS PORT [ADDRESS PORT]...\n");
		return 2;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		if (poll(fds, (nfds_t)n, -1) < 0)
			continue;
		for (int i = 0; i < n; i++)
			if (fds[i].revents)
				take(fds[i].fd);
	}
}
