// SPDX-License-Identifier: Apache-2.0
#include "fake_server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void fake_server_run(char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

FILE *fake_server_start(struct fake_server *server, char *const argv[], const char *dir)
{
	int in[2], out[2];

	fake_server_run((char *[]){"tests/fake/certs.sh", (char *)dir, NULL});
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	server->pid = fork();
	if (server->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	server->to = in[1];
	return fdopen(out[0], "r");
}

void fake_server_stop(struct fake_server *server)
{
	close(server->to);
	waitpid(server->pid, NULL, 0);
}
