// SPDX-License-Identifier: Apache-2.0
/* MODULES: net base */
/* What reset counts, on a kernel that is played here; and the walk through plain directories. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "net/netns.h"
#include "net/reset.h"
#include "net/sockdiag.h"

#define SOCKETS 40

/* How a socket answers to net_sockdiag_destroy. */
enum temper {
	DIES,
	LEAVES, /* ended by itself between listing and destroying */
	HIDES, /* behind the next one of its kind, while that is there */
	STAYS,
	FORBIDDEN,
};

static struct {
	struct sockdiag_socket socket;
	enum temper temper;
	bool there;
} kernel[SOCKETS];
static unsigned listings, cannot_list;
static char dir[64];

int net_sockdiag_each(uint8_t protocol, uint32_t states,
		      int (*fn)(void *arg, const struct sockdiag_socket *socket), void *arg,
		      struct pc_err *err)
{
	if (protocol == cannot_list)
		return pc_err_set(err, -EOPNOTSUPP, "cannot list");
	listings += protocol == IPPROTO_TCP;
	assert_false(states & (SOCKDIAG_STATE(TCP_LISTEN) | SOCKDIAG_STATE(TCP_CLOSE)));
	for (size_t i = 0; i < SOCKETS; i++) {
		int r = 0;

		if (kernel[i].there && kernel[i].socket.protocol == protocol)
			r = fn(arg, &kernel[i].socket);
		if (r)
			return r;
	}
	return 0;
}

static bool hidden(size_t i)
{
	for (i++; i < SOCKETS; i++)
		if (kernel[i].there && kernel[i].temper == HIDES)
			return true;
	return false;
}

int net_sockdiag_destroy(const struct sockdiag_socket *socket)
{
	size_t i = socket->cookie[0];

	assert_true(kernel[i].there);
	switch (kernel[i].temper) {
	case STAYS:
		return -ENOENT;
	case FORBIDDEN:
		return -EPERM;
	case HIDES:
		if (hidden(i))
			return -ENOENT;
		break;
	case LEAVES:
	case DIES:
		break;
	}
	kernel[i].there = false;
	return kernel[i].temper == LEAVES ? -ENOENT : 0;
}

static void put(size_t i, uint8_t protocol, enum temper temper)
{
	kernel[i].there = true;
	kernel[i].temper = temper;
	kernel[i].socket = (struct sockdiag_socket){
		.protocol = protocol, .cookie = {(uint32_t)i}, .cgroup_id = 5, .remote.port = 80};
}

static bool guarded(void *arg, const uint8_t ip[16], uint16_t port, uint8_t protocol)
{
	(void)arg;
	(void)ip;
	(void)protocol;
	return port == 80;
}

static bool pod_socket(void *arg, uint64_t cgroup_id)
{
	(void)arg;
	return cgroup_id == 5;
}

static struct reset_report run(int want)
{
	const struct reset_options options = {
		.kubepods = dir, .guarded = guarded, .pod_socket = pod_socket};
	struct reset_report report;

	assert_int_equal(net_reset_connections(&options, &report, NULL), want);
	return report;
}

static void counts(struct reset_report report, unsigned found, unsigned destroyed, unsigned failed)
{
	assert_int_equal(report.found, found);
	assert_int_equal(report.destroyed, destroyed);
	assert_int_equal(report.failed, failed);
}

static void nothing(void **state)
{
	(void)state;
	counts(run(0), 0, 0, 0);
	assert_int_equal(listings, 1);
}

static void spared(void **state)
{
	(void)state;
	put(0, IPPROTO_TCP, DIES);
	put(1, IPPROTO_TCP, DIES);
	put(2, IPPROTO_UDP, DIES);
	kernel[0].socket.remote.port = 81;
	kernel[1].socket.cgroup_id = 0;
	counts(run(0), 1, 1, 0);
	assert_true(kernel[0].there && kernel[1].there);
	assert_int_equal(listings, 1);
}

static void ended_by_itself(void **state)
{
	(void)state;
	put(0, IPPROTO_TCP, LEAVES);
	put(1, IPPROTO_TCP, DIES);
	counts(run(0), 2, 1, 0);
}

static void hidden_ones(void **state)
{
	struct reset_report report;

	(void)state;
	for (size_t i = 0; i < SOCKETS; i++)
		put(i, IPPROTO_TCP, HIDES);
	report = run(0);
	counts(report, SOCKETS, SOCKETS, 0);
	assert_in_range(listings, 2, 4); /* not one for each */
}

static void stubborn(void **state)
{
	struct reset_report report;
	unsigned denied = 0;

	(void)state;
	for (size_t i = 0; i < 20; i++)
		put(i, IPPROTO_TCP, DIES);
	put(20, IPPROTO_TCP, STAYS);
	put(21, IPPROTO_UDP, FORBIDDEN);
	report = run(0);
	counts(report, 22, 20, 2);
	assert_int_equal(report.n_examples, RESET_EXAMPLES);
	for (size_t i = 0; i < RESET_EXAMPLES; i++)
		denied += report.example[i].result != 0;
	assert_int_equal(denied, 2); /* though they came when the list was full */
	assert_int_equal(report.namespaces, 1);
}

static void unlisted(void **state)
{
	struct reset_report report;

	(void)state;
	put(0, IPPROTO_TCP, DIES);
	cannot_list = IPPROTO_UDP;
	report = run(0);
	counts(report, 1, 1, 0);
	assert_int_equal(report.namespaces, 0);
	assert_int_equal(report.unreachable, 1);
	assert_non_null(strstr(report.why.msg, "]: cannot list"));
}

static void procs(const char *where, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", dir, where);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s%s/cgroup.procs", dir, where);
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
}

static unsigned visits;

static int visit(void *arg, const char *path, uint64_t inode)
{
	struct stat st;
	uint64_t own;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_ino, inode);
	assert_int_equal(net_netns_own(&own), 0);
	assert_int_equal(own, inode);
	visits++;
	return *(int *)arg;
}

static void walk(void **state)
{
	char self[32], both[64];
	struct pc_err err;
	int answer = 0;

	(void)state;
	snprintf(self, sizeof(self), "%d\n", getpid());
	snprintf(both, sizeof(both), "%d\n4194305\n", getpid()); /* above the largest pid */
	procs("/one", both);
	procs("/two", self);
	assert_int_equal(net_netns_each_below(dir, visit, &answer, &err), 0);
	assert_int_equal(visits, 1);
	answer = -ENOENT; /* fn's word is not taken for a process that vanished */
	assert_int_equal(net_netns_each_below(dir, visit, &answer, &err), -ENOENT);
	answer = 7;
	assert_int_equal(net_netns_each_below(dir, visit, &answer, &err), 7);
	answer = 0;
	visits = 0;
	procs("", "0\n"); /* walked first */
	assert_int_equal(net_netns_each_below(dir, visit, &answer, &err), -ESRCH);
	assert_non_null(strstr(err.msg, "hostPID"));
	assert_int_equal(visits, 1); /* went on */
	run(-ESRCH);
	assert_true(net_netns_each_below("/nonexistent", visit, &answer, &err) < 0);
	assert_non_null(strstr(err.msg, "/nonexistent"));
}

static int never(void *arg)
{
	(void)arg;
	fail();
	return 0;
}

static void no_namespace(void **state)
{
	(void)state;
	assert_int_equal(net_netns_run("/nonexistent", never, NULL), -ENOENT);
	assert_true(net_netns_run("/dev/null", never, NULL) < 0);
}

static int setup(void **state)
{
	(void)state;
	memset(kernel, 0, sizeof(kernel));
	listings = cannot_list = visits = 0;
	snprintf(dir, sizeof(dir), "/tmp/test_net_reset-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const names[] = {
		"/one/cgroup.procs", "/two/cgroup.procs", "/cgroup.procs", "/one", "/two", ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s", dir, names[i]);
		remove(path);
	}
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing),	   TEST(spared),       TEST(ended_by_itself),
		TEST(hidden_ones), TEST(stubborn),     TEST(unlisted),
		TEST(walk),	   TEST(no_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
