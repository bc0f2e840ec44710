// SPDX-License-Identifier: Apache-2.0
#include "fake_http.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "fake_server.h"

#define LISTENERS 16
#define STATICS	  8

static struct listener {
	char name[32];
	unsigned port;
} listeners[LISTENERS];
static char dir[] = "/tmp/podcred-http-XXXXXX";
static struct fake_server server;

static void read_ports(FILE *said)
{
	_cleanup_fclose_ FILE *f = said;
	char name[32];
	unsigned port;

	for (size_t i = 0; i < LISTENERS && fscanf(f, "%31s", name) == 1; i++) {
		if (!strcmp(name, "ready"))
			return;
		assert_int_equal(fscanf(f, "%u", &port), 1);
		strcpy(listeners[i].name, name);
		listeners[i].port = port;
	}
	fail_msg("the server does not start");
}

void fake_http_start(void)
{
	char *const argv[] = {"tests/fake/http.py", dir, NULL};

	assert_non_null(mkdtemp(dir));
	read_ports(fake_server_start(&server, argv, dir));
}

void fake_http_stop(void)
{
	fake_server_stop(&server); /* it removes the directory */
}

const char *fake_http_dir(void)
{
	return dir;
}

static const struct listener *find(const char *name)
{
	for (size_t i = 0; i < LISTENERS; i++)
		if (!strcmp(listeners[i].name, name))
			return &listeners[i];
	return NULL;
}

bool fake_http_has(const char *listener)
{
	return find(listener);
}

static unsigned port_of(const char *name)
{
	const struct listener *listener = find(name);

	assert_non_null(listener);
	return listener->port;
}

const char *fake_http_url(const char *listener, const char *path)
{
	static char urls[STATICS][512];
	static unsigned next;
	char *url = urls[next++ % STATICS];
	const char *scheme = strcmp(listener, "plain") ? "https" : "http";
	const char *host = strcmp(listener, "tls6") ? "127.0.0.1" : "[::1]";

	snprintf(url, sizeof(urls[0]), "%s://%s:%u%s", scheme, host, port_of(listener), path);
	return url;
}

const char *fake_http_path(const char *name)
{
	static char paths[STATICS][256];
	static unsigned next;
	char *path = paths[next++ % STATICS];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

const char *fake_http_file(const char *name)
{
	static char texts[STATICS][8192];
	static unsigned next;
	char *text = texts[next++ % STATICS];
	_cleanup_free_ char *read = NULL;
	size_t len;

	assert_int_equal(file_read(fake_http_path(name), sizeof(texts[0]) - 1, &read, &len), 0);
	memcpy(text, read, len + 1);
	return text;
}

void fake_http_write(const char *name, const char *text, unsigned mode)
{
	assert_int_equal(file_write_atomic(fake_http_path(name), text, strlen(text), mode), 0);
}

void fake_http_tell(const char *path, char *ret_body, size_t size)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port_of("plain")),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char got[4096] = "";
	const char *body = NULL;
	size_t n = 0;
	ssize_t r = 1;

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_true(dprintf(fd, "POST %s HTTP/1.1\r\nHost: x\r\n\r\n", path) > 0);
	shutdown(fd, SHUT_WR);
	while (r > 0 && n < sizeof(got) - 1) {
		r = read(fd, got + n, sizeof(got) - 1 - n);
		n += r > 0 ? (size_t)r : 0;
	}
	body = strstr(got, "\r\n\r\n");
	assert_non_null(body);
	snprintf(ret_body, size, "%s", body + 4);
}
