/* SPDX-License-Identifier: Apache-2.0 */
/* What the end-to-end helpers share: addresses from the command line, and ways to end. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENDPOINT_TEXT (INET6_ADDRSTRLEN + 8)

__attribute__((noreturn, unused)) static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((unused)) static const char *errno_name(int error)
{
	return strerrorname_np(error) ?: "EUNKNOWN";
}

/* Both forms of one endpoint. mapped: IPv4 as AF_INET6 ::ffff:a.b.c.d. */
__attribute__((unused)) static socklen_t endpoint(struct sockaddr_storage *ss, const char *host,
						  const char *port, bool mapped)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	struct in_addr v4;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, host, &v4) != 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)atoi(port));
		if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1) {
			fprintf(stderr, "no address: %s\n", host);
			exit(2);
		}
		return sizeof(*in6);
	}
	if (mapped) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)atoi(port));
		in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
		memcpy(&in6->sin6_addr.s6_addr[12], &v4, 4);
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)atoi(port));
	in->sin_addr = v4;
	return sizeof(*in);
}

__attribute__((unused)) static const char *endpoint_text(const struct sockaddr_storage *ss,
							 char *buf, size_t size)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
	char ip[INET6_ADDRSTRLEN];

	if (ss->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(buf, size, "%s:%u", ip, ntohs(in->sin_port));
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		snprintf(buf, size, "[%s]:%u", ip, ntohs(in6->sin6_port));
	}
	return buf;
}

__attribute__((unused)) static void set_one(int fd, int level, int name)
{
	static const int one = 1;

	if (setsockopt(fd, level, name, &one, sizeof(one)) < 0)
		die("setsockopt");
}

/* close() then sends RST at once, and leaves no TIME_WAIT behind. */
__attribute__((unused)) static void close_with_reset(int fd)
{
	static const struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* Host "*": every address of both families. */
__attribute__((unused)) static int listen_on(const char *host, const char *port, int backlog)
{
	bool any = !strcmp(host, "*");
	struct sockaddr_storage ss;
	socklen_t len = endpoint(&ss, any ? "::" : host, port, false);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0)
		die("socket");
	set_one(fd, SOL_SOCKET, SO_REUSEADDR);
	if (ss.ss_family == AF_INET6 && !any)
		set_one(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, backlog) < 0)
		die("listen");
	return fd;
}

/* One line from a socket, without its end. Length, 0 at the end of the stream, -1 on an error. */
__attribute__((unused)) static ssize_t read_line(int fd, char *line, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		ssize_t n = recv(fd, line + len, 1, 0);

		if (n < 0)
			return -1;
		if (n == 0 || line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	return (ssize_t)len;
}
