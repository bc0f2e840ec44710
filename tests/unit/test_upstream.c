// SPDX-License-Identifier: Apache-2.0
/* MODULES: upstream base */
/* LIBS: -ljansson */
/* Both ends on one loop, over real sockets. A test runs the loop until what it expects has happened. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/loop.h"
#include "upstream/upstream.h"

#define PATIENCE_S 30

/* What one end has seen. */
struct seen {
	unsigned messages, connects, ends, troubles;
	enum upstream_role role; /* of the last message */
	enum upstream_type type;
	uint64_t id, ids_in_order;
	char text[256]; /* of the last message: a pod's uid or a token; or of the last trouble */
};

static struct loop *loop;
static struct loop_timer *patience;
static char dir[] = "/tmp/podcred-upstream-XXXXXX", path[64];
static uid_t resolver; /* who may say that it is that */
static struct upstream *server, *client, *other;
static struct seen s, c, o;

static void on_message(void *arg, enum upstream_role role, const struct upstream_message *m)
{
	struct seen *seen = arg;

	seen->messages++;
	seen->role = role;
	seen->type = m->type;
	if (m->type == UPSTREAM_REVIEW) {
		seen->id = m->review.id;
		seen->ids_in_order += m->review.id == seen->ids_in_order;
		snprintf(seen->text, sizeof(seen->text), "%.200s", m->review.token);
	}
	if (m->type == UPSTREAM_GONE)
		snprintf(seen->text, sizeof(seen->text), "%s", m->gone.pod_uid);
	loop_stop(loop, 0);
}

static void on_state(void *arg, enum upstream_role role, bool connected)
{
	struct seen *seen = arg;

	(void)role;
	*(connected ? &seen->connects : &seen->ends) += 1;
	loop_stop(loop, 0);
}

static void on_trouble(void *arg, const char *line)
{
	struct seen *seen = arg;

	seen->troubles++;
	snprintf(seen->text, sizeof(seen->text), "%s", line);
	loop_stop(loop, 0);
}

static void on_patience(void *arg)
{
	(void)arg;
	fail_msg("nothing happens: server %u %u %u %u \"%s\", client %u %u %u %u \"%s\"",
		 s.messages, s.connects, s.ends, s.troubles, s.text, c.messages, c.connects, c.ends,
		 c.troubles, c.text);
}

static void run_until(const unsigned *count, unsigned at_least)
{
	loop_timer_after(patience, PATIENCE_S * CLOCK_S);
	while (*count < at_least)
		assert_int_equal(loop_run(loop), 0);
	loop_timer_cancel(patience);
}

static struct upstream_events events_of(struct seen *seen)
{
	return (struct upstream_events){on_message, on_state, on_trouble, seen};
}

static int listen_for(uid_t user, const char *at, struct pc_err *err)
{
	const struct upstream_listen_options options = {
		.path = at,
		.users = {{user, UPSTREAM_FETCH}, {resolver, UPSTREAM_RESOLVE}},
		.n_users = 2,
		.owner = (uid_t)-1};
	const struct upstream_events events = events_of(&s);

	return upstream_listen(loop, &options, &events, &server, err);
}

static struct upstream *dial(enum upstream_role role, const char *at, struct seen *seen)
{
	const struct upstream_events events = events_of(seen);
	struct upstream *u;

	assert_int_equal(upstream_dial(loop, at, role, &events, &u, NULL), 0);
	return u;
}

static int set_up(void **state)
{
	(void)state;
	s = c = o = (struct seen){};
	resolver = getuid();
	server = client = other = NULL;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_timer_new(loop, on_patience, NULL, &patience), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	upstream_free(other);
	upstream_free(client);
	upstream_free(server);
	loop = loop_free(loop);
	unlink(path);
	return 0;
}

static void connect_both(void)
{
	assert_int_equal(listen_for(getuid(), path, NULL), 0);
	client = dial(UPSTREAM_FETCH, path, &c);
	run_until(&s.connects, 1);
	assert_int_equal(c.connects, 1);
}

static int ask(uint64_t id, const char *token)
{
	const struct upstream_message m = {.type = UPSTREAM_REVIEW,
					   .review = {.id = id, .token = token}};

	return upstream_send(server, UPSTREAM_FETCH, &m);
}

static int refuse(struct upstream *u, uint64_t id)
{
	const struct upstream_message m = {.type = UPSTREAM_REFUSAL,
					   .refusal = {.id = id, .message = "no"}};

	return upstream_send(u, UPSTREAM_FETCH, &m);
}

/* ---- talking ---- */

static void test_question_and_answer(void **state)
{
	(void)state;
	connect_both();
	assert_true(upstream_is_connected(server, UPSTREAM_FETCH));
	assert_false(upstream_is_connected(server, UPSTREAM_RESOLVE));
	assert_int_equal(ask(7, "a.b.c"), 0);
	run_until(&c.messages, 1);
	assert_int_equal(c.id, 7);
	assert_string_equal(c.text, "a.b.c");
	assert_int_equal(refuse(client, 7), 0);
	run_until(&s.messages, 1);
	assert_int_equal(s.type, UPSTREAM_REFUSAL);
	assert_int_equal(s.role, UPSTREAM_FETCH);
}

static void test_nobody_there(void **state)
{
	(void)state;
	assert_int_equal(listen_for(getuid(), path, NULL), 0);
	assert_int_equal(ask(1, "t"), -ENOTCONN);
}

/* More than any socket has room for: nothing is lost, and it comes in order. */
static void test_a_burst(void **state)
{
	char token[8192];
	uint64_t sent = 0;

	(void)state;
	connect_both();
	memset(token, 'x', sizeof(token) - 1);
	token[sizeof(token) - 1] = '\0';
	while (ask(sent, token) == 0)
		sent++;
	assert_true(sent > UPSTREAM_QUEUE_MAX / sizeof(token) / 2);
	assert_int_equal(ask(sent, token), -ENOBUFS);
	run_until(&c.messages, (unsigned)sent);
	assert_int_equal(c.ids_in_order, sent);
	assert_int_equal(ask(sent, token), 0);
	run_until(&c.messages, (unsigned)sent + 1);
}

static void test_what_cannot_be_said(void **state)
{
	const struct upstream_message gone = {.type = UPSTREAM_GONE, .gone = {"u-1"}};

	(void)state;
	connect_both();
	assert_int_equal(upstream_send(client, UPSTREAM_FETCH, &gone), -EINVAL);
	assert_int_equal(ask(1, "a\nb"), -EINVAL);
	assert_int_equal(upstream_send(server, UPSTREAM_FETCH, &gone), 0);
	run_until(&c.messages, 1);
	assert_string_equal(c.text, "u-1");
}

/* ---- coming and going ---- */

static void test_the_newest_wins(void **state)
{
	(void)state;
	connect_both();
	other = dial(UPSTREAM_FETCH, path, &o);
	run_until(&s.connects, 2);
	assert_int_equal(s.ends, 1);
	assert_int_equal(ask(1, "for-the-newest"), 0);
	run_until(&o.messages, 1);
	assert_int_equal(c.messages, 0);
}

static void test_roles_do_not_displace_each_other(void **state)
{
	const struct upstream_message gone = {.type = UPSTREAM_GONE, .gone = {"u-1"}};

	(void)state;
	connect_both();
	other = dial(UPSTREAM_RESOLVE, path, &o);
	run_until(&s.connects, 2);
	assert_int_equal(s.ends, 0);
	assert_int_equal(upstream_send(other, UPSTREAM_RESOLVE, &gone), 0);
	run_until(&s.messages, 1);
	assert_int_equal(s.role, UPSTREAM_RESOLVE);
	assert_string_equal(s.text, "u-1");
	assert_int_equal(upstream_send(server, UPSTREAM_RESOLVE, &gone), -EINVAL);
}

static void test_either_end_is_started_again(void **state)
{
	(void)state;
	connect_both();
	upstream_free(client);
	run_until(&s.ends, 1);
	assert_int_equal(ask(1, "t"), -ENOTCONN);
	client = dial(UPSTREAM_FETCH, path, &c);
	run_until(&s.connects, 2);
	upstream_free(server);
	server = NULL;
	run_until(&c.ends, 1);
	assert_int_equal(listen_for(getuid(), path, NULL), 0); /* the file is still there */
	run_until(&s.connects, 3);
	assert_int_equal(ask(2, "t"), 0);
	run_until(&c.messages, 1);
}

static void test_dials_until_somebody_listens(void **state)
{
	(void)state;
	client = dial(UPSTREAM_FETCH, path, &c);
	run_until(&c.troubles, 1);
	assert_non_null(strstr(c.text, "No such file"));
	assert_int_equal(listen_for(getuid(), path, NULL), 0);
	run_until(&s.connects, 1);
}

static void pair_up(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(upstream_adopt(server, pair[0]), 0);
	assert_int_equal(upstream_adopt(client, pair[1]), 0);
}

static void test_adopted_ends(void **state)
{
	(void)state;
	assert_int_equal(listen_for(getuid(), NULL, NULL), 0);
	client = dial(UPSTREAM_FETCH, NULL, &c);
	pair_up();
	run_until(&s.connects, 1);
	assert_int_equal(ask(1, "t"), 0);
	run_until(&c.messages, 1);
	pair_up(); /* one of the two was started again */
	run_until(&s.connects, 2);
	assert_int_equal(ask(2, "t"), 0);
	run_until(&c.messages, 2);
	assert_int_equal(c.id, 2);
}

/* ---- the file ---- */

static void test_the_file(void **state)
{
	struct pc_err err = {};
	struct upstream *first;
	struct stat st;

	(void)state;
	assert_int_equal(listen_for(getuid(), path, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	first = server;
	server = NULL;
	assert_int_equal(listen_for(getuid(), path, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, "another process listens"));
	upstream_free(first);
	assert_int_equal(listen_for(getuid(), path, &err), 0);
}

static void test_a_place_that_is_taken(void **state)
{
	struct pc_err err = {};
	char long_path[200];
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	close(fd);
	assert_int_equal(listen_for(getuid(), path, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "is not a socket"));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(listen_for(getuid(), "/nowhere/at/all", &err), -ENOENT);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(listen_for(getuid(), long_path, &err), -ENAMETOOLONG);
}

/* ---- who does not belong there ---- */

static int raw_dial(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* By now, since the other end is on this thread's loop. */
static void assert_cut_off(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

static void test_the_wrong_user(void **state)
{
	_cleanup_close_ int fd = -EBADF;

	(void)state;
	resolver = getuid() + 1;
	assert_int_equal(listen_for(getuid() + 1, path, NULL), 0);
	fd = raw_dial();
	run_until(&s.troubles, 1);
	assert_non_null(strstr(s.text, "that user may not"));
	assert_cut_off(fd);
}

static void test_the_wrong_role(void **state)
{
	(void)state;
	resolver = getuid() + 1;
	assert_int_equal(listen_for(getuid(), path, NULL), 0);
	client = dial(UPSTREAM_RESOLVE, path, &c);
	run_until(&s.troubles, 1);
	assert_non_null(strstr(s.text, "may not have that role"));
	other = dial(UPSTREAM_FETCH, path, &o);
	run_until(&s.connects, 1);
	assert_true(upstream_is_connected(server, UPSTREAM_FETCH));
}

static void assert_cut_off_for(const char *const *packets, const char *why)
{
	_cleanup_close_ int fd = -EBADF;

	set_up(NULL);
	assert_int_equal(listen_for(getuid(), path, NULL), 0);
	fd = raw_dial();
	for (; *packets; packets++)
		say(fd, *packets);
	run_until(&s.troubles, 1);
	if (!strstr(s.text, why))
		fail_msg("\"%s\" and not \"%s\"", s.text, why);
	assert_cut_off(fd);
	assert_false(upstream_is_connected(server, UPSTREAM_FETCH));
	tear_down(NULL);
}

#define HELLO "{\"type\":\"hello\",\"version\":1,\"role\":\"fetch\"}"
#define REFUSAL                                                                                    \
	"{\"type\":\"refusal\",\"id\":1,\"reason\":\"denied\",\"message\":\"m\",\"retryMs\":0}"
#define SAYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_nonsense(void **state)
{
	static char huge[UPSTREAM_MESSAGE_MAX + 2];

	(void)state;
	memset(huge, ' ', sizeof(huge) - 1);
	assert_cut_off_for(SAYS("what?"), "not JSON");
	assert_cut_off_for(SAYS(REFUSAL), "is not \"hello\"");
	assert_cut_off_for(SAYS("{\"type\":\"hello\",\"version\":2,\"role\":\"fetch\"}"),
			   "version 2");
	assert_cut_off_for(SAYS(HELLO, "{}"), "podcred fetch sent a message of a type");
	assert_cut_off_for(
		SAYS(HELLO, HELLO, "{\"type\":\"hello\",\"version\":1,\"role\":\"resolve\"}"),
		"\"hello\" does not belong");
	assert_cut_off_for(SAYS(HELLO, "{\"type\":\"gone\",\"podUid\":\"u\"}"),
			   "\"gone\" does not belong");
	assert_cut_off_for(SAYS("{\"type\":\"hello\",\"version\":1,\"role\":\"resolve\"}", REFUSAL),
			   "\"refusal\" does not belong");
	assert_cut_off_for(SAYS(HELLO, huge), "more than 65536 bytes");
}

/* Whoever says nothing takes the place of nobody. */
static void test_the_silent(void **state)
{
	int silent[8];

	(void)state;
	assert_int_equal(listen_for(getuid(), path, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		silent[i] = raw_dial();
	client = dial(UPSTREAM_FETCH, path, &c);
	run_until(&s.connects, 1);
	assert_int_equal(ask(1, "t"), 0);
	run_until(&c.messages, 1);
	assert_cut_off(silent[0]);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		close(silent[i]);
}

/* The one who listens is no more trusted with its grammar. */
static void test_a_serve_that_sends_nonsense(void **state)
{
	int pair[2];

	(void)state;
	client = dial(UPSTREAM_FETCH, NULL, &c);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(upstream_adopt(client, pair[1]), 0);
	say(pair[0], REFUSAL);
	run_until(&c.ends, 1);
	assert_non_null(strstr(c.text, "\"refusal\" does not belong"));
	close(pair[0]);
}

/* A file is no part of any message; it is not kept. */
static void test_descriptors_are_not_taken(void **state)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = {(char *)HELLO, strlen(HELLO)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int pipes[2], fd;
	char byte;

	(void)state;
	assert_int_equal(listen_for(getuid(), path, NULL), 0);
	assert_int_equal(pipe(pipes), 0);
	fd = raw_dial();
	*cmsg = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(cmsg), &pipes[1], sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, 0), strlen(HELLO));
	close(pipes[1]);
	run_until(&s.connects, 1);
	assert_int_equal(read(pipes[0], &byte, 1), 0); /* nobody has the other end */
	close(pipes[0]);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_question_and_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_burst, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_newest_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_roles_do_not_displace_each_other, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_either_end_is_started_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_dials_until_somebody_listens, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_adopted_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_place_that_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_wrong_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_wrong_role, set_up, tear_down),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test_setup_teardown(test_the_silent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_serve_that_sends_nonsense, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_descriptors_are_not_taken, set_up, tear_down),
	};
	int r;

	upstream_wipe_json();
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/fetch.sock", dir);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return r;
}
