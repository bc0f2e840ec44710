/* SPDX-License-Identifier: Apache-2.0 */
/* For test_agent_server*.c: a server on 127.0.0.1 whose callers have a made-up identity, and a
 * client that sends exactly what it is told. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <podcred/podcred.h>

#include "agent/agent.h"
#include "credentials/store.h"

#define HOST23	"Host: 169.254.170.23\r\n"
#define HOST254 "Host: 169.254.169.254\r\n"
#define GET23	"GET /v1/credentials HTTP/1.1\r\n" HOST23
#define CREDS	"/latest/meta-data/iam/security-credentials/"
#define FILE_TEXT(id)                                                                              \
	"associations:\n  - namespace: shop\n    serviceAccount: web\n    role: web-role\n"        \
	"    static:\n      accessKeyId: " id "\n      secretAccessKey: se/cret\n"                 \
	"      sessionToken: token\n"

enum identity {
	NAMED,
	UNNAMED,
	UNSTAMPED,
	DIRECT,
	IMDS_NAMED,
	IMDS_UNNAMED,
	STS_NAMED,
	OTHER_POD,
	OTHER_UNNAMED
};

extern atomic_int identity; /* of every caller from now on */
extern atomic_int asked; /* how often the fake was asked */
extern atomic_int named_after; /* UNNAMED callers get a name after that many questions; 0: never */

extern struct agent_server *server;
extern struct cred_store *store; /* its associations */
extern char file_path[]; /* where they come from */
extern uint16_t port;

struct answer {
	int status;
	char head[4096];
	char body[20000];
	size_t len;
};

int fake_peer(int fd, struct podcred_peer *ret, size_t size);
void write_file(const char *text);
int make_listener(uint16_t *ret_port);

/* server, and a thread that does what the loop of podcred serve does. */
int start_server(const struct agent_options *options, struct pc_err *err);
void stop_server(void);
void start_loop(void);
void stop_loop(void); /* as one that hangs */

int setup(void **state);
int teardown(void **state);
/* 0: the default. */
void restart(unsigned name_wait_ms, unsigned max_connections);

int dial(void);
int dial_from(uint32_t source);
/* The server may answer and close before it has read everything: errors are ignored. */
void send_all(int fd, const char *data, size_t len);
void send_text(int fd, const char *text);
/* One answer, by its Content-Length, or to the end of the stream. false: nothing but the end. */
bool read_answer(int fd, bool head, struct answer *a);
/* NULL: none. Overwritten by the next call of this thread. */
const char *find_header(const struct answer *a, const char *name);
bool at_end(int fd);
/* One request on a connection of its own. */
struct answer ask(const char *request);
void assert_credentials(const struct answer *a);

/* Makes and removes the associations file around the tests. */
int run_agent_tests(const struct CMUnitTest *tests, size_t n);
