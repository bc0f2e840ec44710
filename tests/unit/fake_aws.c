// SPDX-License-Identifier: Apache-2.0
#include "fake_aws.h"

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
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "fake_server.h"

#define SERVICES 4
#define MAX_FILE (16U << 20)

static struct service {
	char name[16], url[64];
} services[SERVICES];
static char dir[] = "/tmp/podcred-aws-XXXXXX";
static char *ca;
static struct fake_server server;

static const char *path_of(const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", dir, name);
	return ret;
}

static char *read_file(const char *name)
{
	char path[128], *text;

	assert_int_equal(file_read(path_of(name, path), MAX_FILE, &text, NULL), 0);
	return text;
}

static void read_urls(FILE *said)
{
	_cleanup_fclose_ FILE *f = said;
	char name[16];

	for (size_t i = 0; fscanf(f, "%15s", name) == 1; i++) {
		if (!strcmp(name, "ready"))
			return;
		assert_true(i < SERVICES);
		strcpy(services[i].name, name);
		assert_int_equal(fscanf(f, "%63s", services[i].url), 1);
	}
	fail_msg("the server does not start");
}

void fake_aws_start(void)
{
	char *const argv[] = {"tests/fake/aws.py", dir, "--tls", dir, "--stdin", NULL};

	assert_non_null(mkdtemp(dir));
	read_urls(fake_server_start(&server, argv, dir));
	ca = read_file("ca.pem");
}

void fake_aws_stop(void)
{
	fake_server_stop(&server);
	fake_server_run((char *[]){"rm", "-rf", dir, NULL});
	free(ca);
}

const char *fake_aws_url(const char *service)
{
	for (size_t i = 0; i < SERVICES; i++)
		if (!strcmp(services[i].name, service))
			return services[i].url;
	fail_msg("no service %s", service);
	return NULL;
}

const char *fake_aws_ca(void)
{
	return ca;
}

char *fake_aws_calls(void)
{
	return read_file("calls.jsonl");
}

static void post(int fd, const char *text)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char path[128];

	strcpy(to.sun_path, path_of("control", path));
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_true(dprintf(fd, "POST / HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", strlen(text),
			    text) > 0);
}

char *fake_aws_do(const char *fmt, ...)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_free_ char *text = NULL, *answer = NULL;
	const char *body;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&text, fmt, ap) > 0);
	va_end(ap);
	post(fd, text);
	assert_int_equal(file_read_fd(fd, MAX_FILE, &answer, NULL), 0);
	body = strstr(answer, "\r\n\r\n");
	if (!body || !strstr(answer, " 200 "))
		fail_msg("%s: %s", text, answer);
	return strdup(body + 4);
}

void fake_aws_set(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&text, fmt, ap) > 0);
	va_end(ap);
	free(fake_aws_do("%s", text));
}
