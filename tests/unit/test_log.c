// SPDX-License-Identifier: Apache-2.0
/* MODULES: base */
/* LIBS: -ljansson */
/* The log is of the whole process, so each test logs in processes of its own; stderr is what the
 * parent reads. A process that hangs is ended by its alarm, and then has not exited with 0. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/log_out.h"

#define PATIENCE_S 60
#define FLOOD	   2000
#define WRITERS	   4
#define EACH	   400

static char *output; /* what was read last */
static size_t output_len;

static pid_t start(int out, void (*say)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	alarm(PATIENCE_S);
	if (dup2(out, STDERR_FILENO) < 0)
		_exit(2);
	for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
		close(fd); /* the reader's end, too */
	say();
	_exit(0);
}

static void assert_ends_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void read_all(int fd)
{
	size_t room = 1 << 16;
	ssize_t n;

	free(output);
	output = malloc(room);
	output_len = 0;
	while ((n = read(fd, output + output_len, room - output_len - 1)) > 0) {
		output_len += (size_t)n;
		if (room - output_len < 1 << 12)
			output = realloc(output, room *= 2);
	}
	assert_int_equal(n, 0);
	output[output_len] = '\0';
}

/* ---- what a line is ---- */

static char big[3 * LOG_LINE_MAX];

static void say_everything(void)
{
	log_info("short");
	log_warn("a \"quoted\" \\ one\nwith a second line");
	log_line(LOG_LEVEL_ERROR, "%s", big);
	log_debug("not at this level");
	log_event(LOG_LEVEL_INFO, "event", "none", NULL, "empty", "", "plain", "a-b", "spaced",
		  "a b\"\\\x1b[2J\xc2\x9b\xff\xe2\x82\xac", NULL);
	log_event(LOG_LEVEL_WARN, "event", "first", "1", "big", big, "last", "2", NULL);
}

static void say_text(void)
{
	log_setup("test", LOG_LEVEL_INFO, false);
	say_everything();
}

static void say_json(void)
{
	log_setup("test", LOG_LEVEL_INFO, true);
	say_everything();
}

static void say_queued(void)
{
	log_setup("test", LOG_LEVEL_INFO, false);
	log_queue();
	say_everything();
	if (log_start() < 0)
		_exit(3);
	log_stop();
}

/* Each write(2) is a message of its own. */
static size_t messages(void (*say)(void), char ret[8][2 * LOG_LINE_MAX])
{
	size_t n = 0;
	ssize_t len;
	int ends[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	pid = start(ends[1], say);
	close(ends[1]);
	while (n < 8 && (len = recv(ends[0], ret[n], 2 * LOG_LINE_MAX - 1, 0)) > 0) {
		assert_true(len <= LOG_LINE_MAX);
		ret[n][len] = '\0';
		assert_ptr_equal(strchr(ret[n], '\n'), ret[n] + len - 1);
		ret[n++][len - 1] = '\0';
	}
	close(ends[0]);
	assert_ends_well(pid);
	return n;
}

static bool ends_with(const char *text, const char *end)
{
	return strlen(text) >= strlen(end) && !strcmp(text + strlen(text) - strlen(end), end);
}

static void assert_text(char got[8][2 * LOG_LINE_MAX])
{
	assert_string_equal(got[0], "test: short");
	assert_string_equal(got[1], "test: warning: a \"quoted\" \\ one?with a second line");
	assert_true(strlen(got[2]) > LOG_LINE_MAX - 32 && ends_with(got[2], "\xe2\x82\xac..."));
	assert_string_equal(
		got[3],
		"test: event empty=\"\" plain=a-b spaced=\"a b\\\"\\\\?[2J??\xe2\x82\xac\"");
	assert_memory_equal(got[4], "test: event first=1 big=", 24);
	assert_true(ends_with(got[4], "\xe2\x82\xac..."));
}

static void test_text(void **state)
{
	static char got[8][2 * LOG_LINE_MAX];

	(void)state;
	assert_int_equal(messages(say_text, got), 5);
	assert_text(got);
	assert_int_equal(messages(say_queued, got), 5);
	assert_text(got);
}

static const char *member(json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key)) ?: "(none)";
}

static void test_json(void **state)
{
	static char got[8][2 * LOG_LINE_MAX];
	json_t *line[5];

	(void)state;
	assert_int_equal(messages(say_json, got), 5);
	for (int i = 0; i < 5; i++) {
		line[i] = json_loads(got[i], JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(line[i]);
		assert_string_equal(member(line[i], "program"), "test");
		assert_int_equal(strlen(member(line[i], "time")), 24);
		assert_int_equal(!!json_object_get(line[i], "cut"), i == 2 || i == 4);
	}
	assert_string_equal(member(line[1], "message"), "a \"quoted\" \\ one\nwith a second line");
	assert_string_equal(member(line[1], "level"), "warning");
	assert_string_equal(member(line[2], "level"), "error");
	assert_true(ends_with(member(line[2], "message"), "\xe2\x82\xac"));
	assert_string_equal(member(line[3], "spaced"), "a b\"\\\x1b[2J\xc2\x9b?\xe2\x82\xac");
	assert_string_equal(member(line[3], "empty"), "");
	assert_string_equal(member(line[4], "first"), "1");
	assert_string_equal(member(line[4], "last"), "(none)");
	for (int i = 0; i < 5; i++)
		json_decref(line[i]);
}

/* ---- several at one stream ---- */

static void *write_patterns(void *arg)
{
	char text[LOG_LINE_MAX];

	for (unsigned i = 0; i < EACH; i++) {
		size_t len = 1 + i * 37 % 4000;

		memset(text, 'a' + (int)(len % 26), len);
		text[len] = '\0';
		log_info("0 %zu %s", len, text);
	}
	return arg;
}

static void write_from_threads(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, write_patterns, NULL))
		_exit(3);
	write_patterns(NULL);
	pthread_join(other, NULL);
}

static void write_from_threads_queued(void)
{
	log_queue();
	if (log_start() < 0)
		_exit(3);
	write_from_threads();
	log_stop();
}

static bool is_pattern(const char *line, unsigned *ret_number)
{
	size_t len;
	int text;

	return sscanf(line, "podcred: %u %zu %n", ret_number, &len, &text) == 2 &&
	       strlen(line + text) == len &&
	       strspn(line + text, (const char[]){(char)('a' + len % 26), '\0'}) == len;
}

/* Lines, and those that others stand for; ret_reports of these. Every line is whole, and where they
 * have numbers none is missing before it. */
static unsigned accounted(unsigned *ret_reports)
{
	unsigned n = 0, count, number;

	*ret_reports = 0;
	for (char *line = output, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		*end = '\0';
		if (sscanf(line, "podcred: warning: %u log lines were dropped here", &count) == 1) {
			n += count;
			++*ret_reports;
			continue;
		}
		if (!is_pattern(line, &number))
			fail_msg("torn: %s", line);
		n++;
		assert_true(!number || number == n);
	}
	return n;
}

static void assert_shared(int out, int in)
{
	pid_t pids[WRITERS];
	unsigned reports;

	for (int i = 0; i < WRITERS; i++)
		pids[i] = start(out, i % 2 ? write_from_threads : write_from_threads_queued);
	close(out);
	read_all(in);
	close(in);
	for (int i = 0; i < WRITERS; i++)
		assert_ends_well(pids[i]);
	assert_int_equal(accounted(&reports), WRITERS * 2 * EACH);
}

static void test_shared_pipe(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_shared(ends[1], ends[0]);
}

static void test_shared_socket(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_shared(ends[1], ends[0]);
}

/* O_NONBLOCK belongs to whoever set it: it costs nobody a line. */
static void test_somebodys_nonblock(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	assert_shared(ends[1], ends[0]);
}

/* ---- a reader that does not read ---- */

static unsigned lines; /* that start()'s process says */

static void say_lines(void)
{
	char text[2001] = "";

	log_queue();
	if (log_start() < 0)
		_exit(3);
	memset(text, 'a' + 2000 % 26, 2000);
	for (unsigned i = 1; i <= lines; i++)
		if (i % 2)
			log_info("%u 3 ddd", i);
		else
			log_info("%u 2000 %s", i, text);
	log_stop();
}

/* Held by what its stdin is: says there when it is done, and ends when the other end is shut. */
static void say_lines_and_stay(void)
{
	say_lines();
	if (write(STDIN_FILENO, "", 1) != 1 || read(STDIN_FILENO, &(char){0}, 1) != 0)
		_exit(4);
	log_stop();
}

static pid_t start_held(int out, unsigned n, int *ret_hold)
{
	int ends[2], before = dup(STDIN_FILENO);
	pid_t pid;

	lines = n;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	dup2(ends[1], STDIN_FILENO);
	pid = start(out, say_lines_and_stay);
	dup2(before, STDIN_FILENO);
	close(before);
	close(ends[1]);
	*ret_hold = ends[0];
	return pid;
}

static void test_stalled_reader(void **state)
{
	int ends[2], hold;
	unsigned reports;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = start_held(ends[1], FLOOD, &hold);
	close(ends[1]);
	assert_int_equal(read(hold, &(char){0}, 1), 1); /* all was said, and nobody waited for us */
	shutdown(hold, SHUT_WR);
	read_all(ends[0]);
	close(ends[0]);
	close(hold);
	assert_ends_well(pid);
	assert_int_equal(accounted(&reports), FLOOD);
	assert_int_equal(reports, 1);
}

static void test_stop_with_stalled_reader(void **state)
{
	int ends[2];

	(void)state;
	lines = FLOOD;
	assert_int_equal(pipe(ends), 0);
	assert_ends_well(start(ends[1], say_lines));
	close(ends[1]);
	close(ends[0]);
}

/* A reader that is gone ends nobody, and another one gets what was said meanwhile. */
static void test_another_reader(void **state)
{
	char path[] = "/tmp/podcred-test-XXXXXX", text[64] = "";
	int in, out, hold;
	pid_t pid;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	in = open(path, O_RDONLY | O_NONBLOCK);
	out = open(path, O_WRONLY);
	assert_true(in >= 0 && out >= 0);
	close(in);
	pid = start_held(out, 1, &hold);
	close(out);
	assert_int_equal(read(hold, &(char){0}, 1), 1);
	in = open(path, O_RDONLY);
	unlink(path);
	assert_true(read(in, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "podcred: 1 3 ddd\n");
	close(hold);
	assert_ends_well(pid);
	close(in);
}

/* ---- processes ---- */

static void say_and_fork(void)
{
	pid_t pid;
	int status;

	log_queue();
	log_info("0 3 ddd");
	pid = fork();
	if (pid < 0 || (pid && (waitpid(pid, &status, 0) != pid || status)))
		_exit(3);
	log_info("0 3 ddd");
	log_stop();
}

/* What is queued is said once, by who said it. */
static void test_fork(void **state)
{
	unsigned reports;
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = start(ends[1], say_and_fork);
	close(ends[1]);
	read_all(ends[0]);
	close(ends[0]);
	assert_ends_well(pid);
	assert_int_equal(accounted(&reports), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_shared_pipe),
		cmocka_unit_test(test_shared_socket),
		cmocka_unit_test(test_somebodys_nonblock),
		cmocka_unit_test(test_stalled_reader),
		cmocka_unit_test(test_stop_with_stalled_reader),
		cmocka_unit_test(test_another_reader),
		cmocka_unit_test(test_fork),
	};
	int failed;

	alarm(2 * PATIENCE_S);
	for (size_t i = 0; i + 3 < sizeof(big); i += 3)
		memcpy(big + i, "\xe2\x82\xac", 3);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(output);
	return failed;
}
