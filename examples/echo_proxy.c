// SPDX-License-Identifier: Apache-2.0
/*
 * echo_proxy - tells each client which pod it is, then echoes until it closes.
 *
 *	echo_proxy ADDRESS PORT
 *
 * The least that a proxy needs: a plain TCP listener, made inside the agent's cgroup, and one call
 * per accepted connection. A real proxy closes the connection of "nobody"; this one goes on, so
 * that the difference can be looked at.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <podcred/podcred.h>

#define NAME_TIMEOUT_MS 2000

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static int dialled(int fd, char *text, size_t size)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[INET6_ADDRSTRLEN], port[6];
	int r = podcred_original_destination(fd, (struct sockaddr *)&addr, &len);

	if (r < 0)
		return r;
	if (getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	snprintf(text, size, addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

/* One line about the client. Its length. */
static int describe(int fd, char *line, size_t size)
{
	struct podcred_peer peer;
	char address[INET6_ADDRSTRLEN + 9];
	int r = podcred_peer_wait(fd, &peer, sizeof(peer), NAME_TIMEOUT_MS);

	if (r == -ETIMEDOUT)
		r = 0; /* proven, but not known by name: the numbers are good */
	if (r == 0)
		r = dialled(fd, address, sizeof(address));
	if (r == -ENODATA)
		return snprintf(line, size, "nobody: the connection carries no stamp\n");
	if (r == -ENOPROTOOPT)
		return snprintf(line, size, "nobody: podcred is not attached to this cgroup\n");
	if (r < 0)
		return snprintf(line, size, "nobody: %s\n", strerror(-r));
	return snprintf(line, size, "pod %s/%s uid %s sa %s cgroup %llu dialled %s\n",
			or_dash(peer.pod_namespace), or_dash(peer.pod_name), or_dash(peer.pod_uid),
			or_dash(peer.service_account), (unsigned long long)peer.cgroup_id, address);
}

static int send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buffer[4096];
	ssize_t n = describe(fd, buffer, sizeof(buffer));

	while (n > 0 && send_all(fd, buffer, (size_t)n) == 0)
		n = read(fd, buffer, sizeof(buffer));
	close(fd);
	return NULL;
}

static int listen_on(const char *address, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *where;
	int fd, on = 1, r = getaddrinfo(address, port, &hints, &where);

	if (r != 0) {
		fprintf(stderr, "echo_proxy: %s port %s: %s\n", address, port, gai_strerror(r));
		return -1;
	}
	fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, where->ai_addr, where->ai_addrlen) < 0 || listen(fd, 128) < 0) {
		fprintf(stderr, "echo_proxy: %s port %s: %s\n", address, port, strerror(errno));
		fd = -1;
	}
	freeaddrinfo(where);
	return fd;
}

int main(int argc, char **argv)
{
	int listener;

	if (argc != 3) {
		fprintf(stderr, "usage: echo_proxy ADDRESS PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	listener = listen_on(argv[1], argv[2]);
	if (listener < 0)
		return 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0 && errno != EINTR && errno != ECONNABORTED) {
			fprintf(stderr, "echo_proxy: accept: %s\n", strerror(errno));
			return 1;
		}
		if (fd < 0)
			continue;
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
		else
			close(fd);
	}
}
