/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in that a unit test runs as a child, for as long as the test has its standard input open. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

struct fake_server {
	pid_t pid;
	int to; /* its standard input */
};

/* Until it has ended, well. */
void fake_server_run(char *const argv[]);

/* Certificates into dir (tests/fake/certs.sh), and then the server. Returns what it says, for the caller to close. */
FILE *fake_server_start(struct fake_server *server, char *const argv[], const char *dir);
void fake_server_stop(struct fake_server *server);
